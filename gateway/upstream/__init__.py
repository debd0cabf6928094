"""The way to the upstream services: connections of our own, one unambiguous request whatever came in."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Self

from gateway.config.balance import Balance
from gateway.config.recovery import HealthSettings
from gateway.config.upstream import UpstreamSettings
from gateway.errors import GatewayError, PayloadTooLarge, ReducedCapacity
from gateway.exchange import Attempt, Exchange, Headers, Reply
from gateway.pipeline import Pipeline
from gateway.upstream.balance import Pick, pick
from gateway.upstream.connection import Connection
from gateway.upstream.failures import Failure, Stale, failure
from gateway.upstream.probing import Prober
from gateway.upstream.retry import IDEMPOTENT, Retry, asked_wait, is_repeatable
from gateway.upstream.standing import Outlier
from gateway.upstream.target import Target
from gateway.wire import serialize

__all__ = ["Means", "Target", "Upstream"]

log = logging.getLogger("gateway.upstream")

WITH_CONTENT = frozenset({"POST", "PUT", "PATCH"})
"""Methods whose lack of a body is said, Content-Length: 0 (RFC 9110, section 8.6)."""
AWAY = frozenset({502, 503, 504})
"""Statuses by which a target says that it cannot serve. A 500 may be the doing of the request."""


@dataclass(frozen=True, slots=True)
class Means:
    """What an upstream goes by: time, in seconds, and chance. A rehearsal has its own."""

    now: Callable[[], float] = monotonic
    time: Callable[[], float] = time.time  # since 1970
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    random: Callable[[], float] = random.random  # from 0.0 up to 1.0


class Upstream:
    """A named service, and which of its targets is asked."""

    def __init__(
        self,
        name: str,
        targets: Sequence[Target],
        balance: Balance = "round_robin",
        most: int | None = None,
        retry: Retry | None = None,
        outlier: Outlier | None = None,
        health: HealthSettings | None = None,
        means: Means | None = None,
    ) -> None:
        """`most`: requests under way at all targets together; None: any number."""
        self.name = name
        self.targets = tuple(targets)
        self.replays = 0
        self.retries = 0
        self.ejections = 0
        self.refused = 0  # because there were `most` already
        self._means = means or Means()
        self._pick: Pick[Target] = pick(balance, self._means.random)
        self._pick_again: Pick[Target] = pick(balance, self._means.random)  # turns of its own: else a dead target would have each first try
        self._most = most
        self._retry = retry
        self._health = health
        self._probers: tuple[Prober, ...] = ()
        self._only = self.targets[0] if len(self.targets) == 1 else None
        self._may_be_out = outlier is not None or health is not None
        self._outlier = outlier if len(self.targets) > 1 else None  # the only one is asked, whatever becomes of it

    @classmethod
    def of(cls, name: str, targets: Sequence[Target], settings: UpstreamSettings, means: Means | None = None) -> Self:
        """As the policy wishes."""
        means = means or Means()
        retry = None if settings.retry is None else Retry(settings.retry, settings.timeouts.head, means.random)
        outlier = None if settings.outlier is None else Outlier(settings.outlier, len(targets))
        return cls(name, targets, settings.balance, settings.max_in_flight, retry, outlier, settings.health, means)

    def start(self) -> None:
        for target in self.targets:
            target.start()
        if self._health is not None:
            self._probers = tuple(Prober(target, self._health, self._probed, self._means.random) for target in self.targets)
            for prober in self._probers:
                prober.start()

    def retire(self) -> None:
        """Requests under way may last for days: who waits for their end need not look after the targets."""
        for prober in self._probers:
            prober.stop()
        self._probers = ()

    def stop(self) -> None:
        self.retire()
        for target in self.targets:
            target.stop()

    def succeed(self, before: Upstream) -> None:
        """Take the place of the upstream of this name in the policy before: targets that stay keep what is known of them."""
        known = {target.url: target for target in before.targets}
        for target in self.targets:
            if (old := known.pop(target.url, None)) is not None:
                target.succeed(old)
            if self._outlier is None:
                target.standing.readmit()
            if self._health is None:
                target.standing.failing = ""

    @property
    def is_full(self) -> bool:
        """There are as many requests under way as there may be."""
        if self._most is None:
            return False
        under_way = 0
        for target in self.targets:
            under_way += target.active
        return under_way >= self._most

    @property
    def withheld(self) -> int:
        """Retries that the budget did not allow."""
        return 0 if self._retry is None else self._retry.withheld

    @property
    def out(self) -> dict[str, str]:
        """The targets that are left out, and why."""
        now = self._means.now()
        return {target.url: why for target in self.targets if (why := target.standing.why(now))}

    def _choose(self, ex: Exchange, tried: tuple[Target, ...] = ()) -> Target:
        """One of those that are well, or of all if none is; another than those that were tried, where there is one."""
        targets: Sequence[Target] = self.targets
        for target in targets:
            if target.standing.failing or target.standing.ejected_until:
                break
        else:
            return self._picked(ex, targets, tried)
        now = self._means.now()
        chosen = self._picked(ex, [target for target in targets if target.standing.is_in(now)] or targets, tried)
        if chosen.standing.ejected_until:
            chosen.standing.let_through(now)
        return chosen

    def _picked(self, ex: Exchange, among: Sequence[Target], tried: tuple[Target, ...]) -> Target:
        if not tried:
            return self._pick(ex, among)
        return self._pick_again(ex, [target for target in among if target not in tried] or among)

    def _probed(self, target: Target, why: str) -> None:
        """It is out now because its probes fail, or back."""
        if why:
            log.warning("upstream %s: %s is left out, its health: %s", self.name, target.url, why)
            self._tell_if_none_is_left()
        else:
            log.info("upstream %s: the health of %s is well again", self.name, target.url)

    def _tell_if_none_is_left(self) -> None:
        if len(self.out) == len(self.targets):
            log.error("upstream %s: all its targets are out, so that all are asked", self.name)

    def _failed(self, outlier: Outlier, target: Target, why: str) -> None:
        now = self._means.now()
        if outlier.failed(target.standing, [one.standing for one in self.targets], now):
            self.ejections += 1
            log.warning("upstream %s: %s is %s, the last failure: %s", self.name, target.url, target.standing.why(now), why)
            self._tell_if_none_is_left()

    def _succeeded(self, outlier: Outlier, target: Target) -> None:
        if outlier.succeeded(target.standing):
            log.info("upstream %s: %s is back", self.name, target.url)

    async def send(self, ex: Exchange, pipeline: Pipeline) -> Reply:
        """The reply of one of the targets. Raises a GatewayError when there is none to pass on.

        Whatever the policy says of retries, one request is sent twice: an idempotent one without a body, on a connection that was used
        before and closed without a byte of an answer, for then it closed while the request was on its way (RFC 9112, section 9.3.1).
        """
        ex.check_length()
        if self._most is not None and self.is_full:
            self.refused += 1
            why = f"upstream {self.name}: {self._most} requests are under way"
            raise ReducedCapacity("The service has as much to do as it can.", reason=why, headers=[("Retry-After", "1")])
        body = ex.body_at_hand
        stream = ex.stream if body is None else None
        if stream is not None and (body := stream.take()) is not None:
            if len(body) > ex.body_limit:
                raise PayloadTooLarge(ex.body_limit)
            stream = None
        retry, outlier = self._retry, self._outlier
        since = 0.0
        tried: tuple[Target, ...] = ()
        if retry is not None:
            since = self._means.now()
            retry.budget.count(since)
        target = self._only or (self._choose(ex) if self._may_be_out else self._pick(ex, self.targets))
        connection = target.free()
        answer: asyncio.Future[Reply] | None = None
        chunked = False
        while True:
            attempt = Attempt(len(ex.attempts) + 1, target.url, ex.headers)
            ex.attempts = (*ex.attempts, attempt)
            reused = connection is not None
            begun = monotonic()
            try:
                if pipeline.watches_attempts:
                    pipeline.attempt(ex, attempt)
                if connection is None:
                    connection = await target.connect()
                data = None if body is not None or stream is not None else repeated_head(ex, attempt)
                if data is None:
                    data, chunked = request_head(ex, attempt.headers, target.authority, body, stream is not None)
                answer = connection.ask(data + body if body else data, ex, stream, chunked)
                reply = await answer
            except GatewayError as error:
                attempt.error = error
                attempt.duration = monotonic() - begun
                if connection is not None:
                    connection.close()
                if reused and isinstance(error, Stale) and body is None and stream is None and ex.method in IDEMPOTENT and not ex.upgrade:
                    self.replays += 1
                    error.__traceback__ = None  # it holds this frame, which holds the attempt that holds the error
                    connection = answer = None
                    continue
                wrong = failure(error)
                if wrong is not None and outlier is not None and not (reused and isinstance(error, Stale)):
                    self._failed(outlier, target, error.reason)
                if wrong is None or retry is None:
                    raise
                pause = self._pause(retry, ex, wrong, len(tried) + 1, since, stream is not None and answer is not None)
                if pause is None:
                    raise
                error.__traceback__ = None
            except BaseException:
                if connection is not None:
                    _give_up(connection, answer)
                raise
            else:
                attempt.duration = monotonic() - begun
                attempt.status = reply.status
                if outlier is not None:
                    if reply.status in AWAY:
                        self._failed(outlier, target, f"an answer with {reply.status}")
                    elif target.standing.errors or target.standing.ejected_until:
                        self._succeeded(outlier, target)
                if retry is None or reply.status not in retry.on:
                    reply.upstream = target.url
                    return reply
                asked = asked_wait(reply.headers.get("Retry-After"), self._means.time())
                pause = self._pause(retry, ex, reply.status, len(tried) + 1, since, stream is not None, asked)
                if pause is None:
                    reply.upstream = target.url
                    return reply
                reply.abandon()
            tried = (*tried, target)
            answer = None
            await self._means.sleep(pause)
            target = self._only or self._choose(ex, tried)
            connection = target.free()

    def _pause(
        self, retry: Retry, ex: Exchange, wrong: Failure | int, tries: int, since: float, is_spent: bool, asked: float = 0.0
    ) -> float | None:
        """Seconds until the request is sent again; None: it is not."""
        if wrong not in retry.on or not is_repeatable(ex.method, wrong, is_spent=is_spent, is_upgrade=bool(ex.upgrade)) or self.is_full:
            return None
        now = self._means.now()
        pause = retry.pause(tries, now - since, now, asked)
        if pause is not None:
            self.retries += 1
            ex.note("retry", after=wrong, pause=round(pause, 3))
        return pause


def _give_up(connection: Connection, answer: asyncio.Future[Reply] | None) -> None:
    """Close the connection, unless it was answered on in the very turn of the cancellation: then another may have it by now."""
    if answer is None or not answer.done() or answer.cancelled() or answer.exception() is not None:
        connection.close()
    else:
        answer.result().abandon()


def repeated_head(ex: Exchange, attempt: Attempt) -> bytes | None:
    """The head of a request whose fields are to the letter those its client sent before, and whatever was added behind them.

    None: it must be written anew.
    """
    block = ex.block
    if block is None or not ex.is_untouched or not attempt.is_untouched:
        return None
    if ex.upgrade or ex.takes_trailers or not ex.host or ex.method in WITH_CONTENT:
        return None
    if not block.serialized:
        block.serialized = "".join([f"\r\n{name}: {value}" for name, value in block.headers.items()])
    head = f"{ex.method} {ex.target} HTTP/1.1{block.serialized}{ex.added}{attempt.added}\r\n\r\n"
    return head.encode("utf-8", "surrogateescape") if ex.has_raw_bytes else head.encode()


def request_head(ex: Exchange, headers: Headers, authority: str, body: bytes | None, streams: bool) -> tuple[bytes, bool]:
    """The head of the one unambiguous request, and whether its body goes in chunks."""
    chunked = False
    if "Host" not in headers:
        headers["Host"] = authority
    if body is not None:
        headers["Content-Length"] = str(len(body))
    elif streams:
        if ex.content_length is None:
            chunked = True
            headers["Transfer-Encoding"] = "chunked"
        else:
            headers["Content-Length"] = str(ex.content_length)
    elif ex.method in WITH_CONTENT:
        headers["Content-Length"] = "0"
    if ex.upgrade:
        headers["Connection"] = "Upgrade"
        headers["Upgrade"] = ex.upgrade
    elif ex.takes_trailers:
        headers["Connection"] = "TE"
        headers["TE"] = "trailers"
    return serialize(f"{ex.method} {ex.target} HTTP/1.1", headers, has_raw_bytes=ex.has_raw_bytes), chunked
