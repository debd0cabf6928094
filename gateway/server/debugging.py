"""A turn whose answer tells what was decided about it and how long that took, for a client with a debug token."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from multidict import istr

from gateway.config.policy import Policy
from gateway.errors import ClientGone
from gateway.exchange import Exchange, Reply
from gateway.pii import Mask
from gateway.pipeline import Pipeline
from gateway.running import Running
from gateway.server.turn import Turn
from gateway.steps import steps, steps_at_hand
from gateway.telemetry.notes import plain
from gateway.telemetry.recent import Tried, failure_of
from gateway.telemetry.told import attempted, concealed, decisions, failed, ms
from gateway.telemetry.told import timed as add_times
from gateway.timing import Clock, TimedPipeline

if TYPE_CHECKING:
    from gateway.server.connection import Connection

log = logging.getLogger("gateway.server")

FIELD = istr("Gateway-Debug")
LOOK = 0.05
"""Seconds that a store is asked how limits stand; nothing is counted by that. Then the plugins say what is at hand."""
LONGEST = 3072
"""Bytes of the field: with the rest of a head it stays below the 4 KiB at which the first proxies in front give up."""
UNCACHED = ("CDN-Cache-Control", "Surrogate-Control")
"""Fields that caches in front obey before Cache-Control (RFC 9213)."""
_SPARED = ("says", "notes", "plugins", "attempts", "reason")
"""What is left out of a report that is too long, first things first."""


class ExplainedPipeline(TimedPipeline):
    """One whose plugins have said what they would decide before the first of them has decided."""

    __slots__ = ("says",)

    def __init__(self, pipeline: Pipeline, clock: Clock) -> None:
        super().__init__(pipeline, clock)
        self.needs_task = True  # for the time limit
        self.says: list[str | None] = [None] * self.depth

    async def answer(self, ex: Exchange) -> Reply:
        try:
            async with asyncio.timeout(LOOK):
                said = await steps(self, _unbodied(ex), ())
        except TimeoutError:
            said = steps_at_hand(self, _unbodied(ex), ())
        self.says = [step.says for step in said]
        return await super().answer(ex)


class DebuggedTurn(Turn):
    """Made like a Turn. What upstream, limits and caches see of the exchange is no different from any other."""

    __slots__ = ("_policy", "_timed")

    def __init__(
        self,
        connection: Connection,
        ex: Exchange,
        pipeline: Pipeline,
        running: Running,
        is_http10: bool,
        keep_alive: bool,
        policy: Policy,
    ) -> None:
        self._timed = ExplainedPipeline(pipeline, connection.front.clock)
        self._policy = policy
        super().__init__(connection, ex, self._timed, running, is_http10, keep_alive)

    def _head(self, reply: Reply) -> bytes:
        self._mark(reply)
        return super()._head(reply)

    async def _tunnel(self, reply: Reply) -> None:
        self._mark(reply)
        await super()._tunnel(reply)

    def _mark(self, reply: Reply) -> None:
        ex = self.ex
        log.info("answered with what was decided: client=%s route=%s request_id=%s", ex.client, ex.route, ex.request_id)
        reply.headers = reply.headers.copy()  # a cache may hold those
        for name in UNCACHED:
            reply.headers.popall(name, None)
        reply.headers["Cache-Control"] = "no-store"
        reply.headers[FIELD] = self._report()

    def _report(self) -> str:
        """JSON in ASCII, whose strings cannot end the field; what makes it too long is left out, and `cut` says that something was."""
        report = concealed(self._facts(), self._policy.secrets(self.ex.route))
        for name in _SPARED:
            text = _compact(report)
            if len(text) <= LONGEST:
                return text
            report = {**_without(report, name), "cut": True}
        return _compact(report)

    def _facts(self) -> dict[str, Any]:
        ex, timed = self.ex, self._timed
        now = self._connection.front.clock()
        plugins, notes = decisions(timed.names, ex.depth, plain(ex.notes or ()), Mask(self._policy.telemetry.pii))
        for plugin, says in zip(plugins, timed.says, strict=True):
            plugin["says"] = says
        add_times(plugins, timed.times)
        failure = None if isinstance(ex.failure, ClientGone) else failure_of(ex.failure)
        return {
            "request_id": ex.request_id,
            "route": ex.route or None,
            "total_ms": ms(now - ex.started),
            **failed(failure),
            "plugins": plugins,
            "notes": notes,
            "attempts": [attempted(Tried(one.target, one.status, one.duration, failure_of(one.error))) for one in ex.attempts],
        }


def _unbodied(ex: Exchange) -> Exchange:
    """The same request before any plugin has seen it, to be explained; its body is nobody's but the exchange's."""
    twin = Exchange(
        ex.method, ex.target, ex.path, ex.query, ex.headers.copy(),
        host=ex.host, client=ex.client, scheme=ex.scheme, started=ex.started,
        content_length=ex.content_length, body_limit=ex.body_limit, upgrade=ex.upgrade,
    )  # fmt: skip
    twin.params, twin.route = ex.params, ex.route
    return twin


def _compact(report: dict[str, Any]) -> str:
    return json.dumps(dict(_told(report)), separators=(",", ":"))


def _told(fields: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """What there is to tell: of what is not, or is as usual, nothing."""
    for name, value in fields.items():
        if name in ("plugins", "attempts"):
            value = [dict(_told(one)) for one in value if one.get("reached", True)]
        if value is not None and value is not False and value != [] and name != "reached":
            yield name, value


def _without(report: dict[str, Any], name: str) -> dict[str, Any]:
    plugins = [{key: value for key, value in plugin.items() if key != name} for plugin in report.get("plugins", ())]
    return {key: plugins if key == "plugins" else value for key, value in report.items() if key != name}
