"""The way to the upstream services: connections of our own, one unambiguous request whatever came in."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from time import monotonic

from gateway.config.upstream import UpstreamSettings
from gateway.errors import GatewayError, PayloadTooLarge, ReducedCapacity
from gateway.exchange import Attempt, Exchange, Reply
from gateway.pipeline import Pipeline
from gateway.upstream.connection import Connection
from gateway.upstream.failures import Failure, Stale, failure
from gateway.upstream.group import Group
from gateway.upstream.head import repeated_head, request_head
from gateway.upstream.means import Means
from gateway.upstream.retry import IDEMPOTENT, Retry, asked_wait, is_repeatable
from gateway.upstream.target import Target

__all__ = ["Means", "Target", "Upstream"]

AWAY = frozenset({502, 503, 504})
"""Statuses by which a target says that it cannot serve. A 500 may be the doing of the request."""


class Upstream:
    """A named service: one of its targets is asked, and where that is safe another."""

    def __init__(self, name: str, targets: Sequence[Target], settings: UpstreamSettings, means: Means | None = None) -> None:
        self._means = means = means or Means()
        self._group = group = Group(name, targets, settings, means)
        self.name = name
        self.targets = group.targets
        self.replays = 0
        self.retries = 0
        self.refused = 0  # because there were as many as there may be
        self._only = group.only
        self._first = group.first
        self._outlier = group.outlier
        self._most = settings.max_in_flight
        self._retry = None if settings.retry is None else Retry(settings.retry, settings.timeouts.head, means.random)

    def start(self) -> None:
        self._group.start()

    def retire(self) -> None:
        """No request begins any more."""
        self._group.retire()

    def stop(self) -> None:
        self._group.stop()

    def succeed(self, before: Upstream) -> None:
        """Take the place of the upstream of this name in the policy before."""
        self._group.succeed(before._group)

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
    def ejections(self) -> int:
        return self._group.ejections

    @property
    def out(self) -> dict[str, str]:
        """The targets that are left out, and why."""
        return self._group.out

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
        target = self._only or self._first(ex)
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
                    self._group.failed(outlier, target, error.reason)
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
                        self._group.failed(outlier, target, f"an answer with {reply.status}")
                    elif target.standing.errors or target.standing.ejected_until:
                        self._group.succeeded(outlier, target)
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
            target.waiting += 1
            try:
                await self._means.sleep(pause)
            finally:
                target.waiting -= 1
            target = self._group.choose(ex, tried)
            connection = target.free()

    def _pause(
        self, retry: Retry, ex: Exchange, wrong: Failure | int, tries: int, since: float, is_spent: bool, asked: float = 0.0
    ) -> float | None:
        """Seconds until the request is sent again; None: it is not."""
        if wrong not in retry.on or not is_repeatable(ex.method, wrong, is_spent=is_spent, is_upgrade=bool(ex.upgrade)):
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
