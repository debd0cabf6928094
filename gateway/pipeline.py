"""The compiled list of plugins of one route: flat tuples, and the one function that walks them down to the upstream and back up."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from gateway.errors import ClientGone, GatewayError, NotFound, PluginError
from gateway.exchange import Attempt, End, Exchange, Reply, problem
from gateway.observing import NO_ANSWER, OBSERVE, observed
from gateway.plugin import Host, Mode, Plugin

log = logging.getLogger("gateway.pipeline")

Send = Callable[[Exchange, "Pipeline"], Awaitable[Reply]]
"""Ask the upstream: raises a GatewayError when there is no answer to pass on."""

Times = tuple[Sequence[float | None], Sequence[float | None]]
Observed = Callable[[object, str, object], None]
"""Count what a plugin would have answered in `mode: observe`: its name, the route, the status, or that it would have changed something."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One plugin in its place in the list."""

    name: str
    plugin: Plugin[Any]
    mode: Mode = "enforce"


async def no_upstream(ex: Exchange, pipeline: Pipeline) -> Reply:
    raise NotFound("Nothing answers here.", reason="no plugin answered and the route has no upstream")


class Pipeline:
    """Build once with the entries of a route, outermost first; then `answer` each exchange and `end` it.

    A reply made at depth n passes the plugins above n on its way up, and no others; the upstream's reply passes all.
    """

    times: ClassVar[Times | None] = None
    """How long each plugin took on the way down and up, in seconds; only of one that is timed."""

    __slots__ = (
        "__weakref__",
        "_attempt",
        "_below",
        "_body",
        "_down",
        "_ends",
        "_observed",
        "_up",
        "depth",
        "entries",
        "names",
        "needs_task",
        "send",
        "survives_client",
        "watches_attempts",
    )

    def __init__(self, entries: Sequence[Entry], send: Send = no_upstream, observed: Observed | None = None) -> None:
        self.entries = tuple(entry for entry in entries if entry.mode != "off")
        self.send = send
        self.depth = len(self.entries)
        self._observed = observed if any(entry.mode == "observe" for entry in self.entries) else None
        self.names = tuple(entry.name for entry in self.entries)
        self._down = tuple((n, hook) for n, entry in enumerate(self.entries) if (hook := _hook(entry, "on_request")))
        responders = [(n, hook) for n, entry in enumerate(self.entries) if (hook := _hook(entry, "on_response"))]
        bodies = [(n, _hook(entry, "on_chunk"), _hook(entry, "on_body_end")) for n, entry in enumerate(self.entries)]
        enders = [(n, hook) for n, entry in enumerate(self.entries) if (hook := _hook(entry, "on_end"))]
        depths = range(self.depth + 1)
        # One ready tuple for each depth at which a reply can be made, innermost plugin first.
        self._up = tuple(tuple(step for step in reversed(responders) if step[0] < depth) for depth in depths)
        self._body = tuple(
            tuple((on_chunk, on_body_end) for n, on_chunk, on_body_end in reversed(bodies) if n < depth and (on_chunk or on_body_end))
            for depth in depths
        )
        # A plugin that answered, or failed, was reached: its own on_end runs too.
        self._ends = tuple(tuple(step for step in reversed(enders) if step[0] <= depth) for depth in depths)
        self._attempt = tuple((n, hook) for n, entry in enumerate(self.entries) if (hook := _hook(entry, "on_attempt")))
        self.watches_attempts = bool(self._attempt)
        self.survives_client = any(entry.plugin.survives_client for entry in self.entries)
        self.needs_task = any(_is_async(hook) for _, hook in (*self._down, *responders))
        self._below: dict[int, Pipeline] = {}

    async def answer(self, ex: Exchange) -> Reply:
        """The reply, its head final. `ex.depth` says how far down the exchange came, `ex.failure` what the reply tells of.

        Only ClientGone and cancellation come out of here as exceptions.
        """
        found: Any
        try:
            for ex.depth, hook in self._down:
                found = hook(ex)
                if found is None:
                    continue
                if not isinstance(found, Reply):
                    found = await found
                if found is not None:
                    reply: Reply = found
                    break
            else:
                ex.depth = self.depth
                reply = await self.send(ex, self)
        except GatewayError as error:
            reply = _told(ex, error)
        except ClientGone:
            raise
        except Exception as error:
            reply = _told(ex, self._blame(ex.depth, "on_request", ex, error))
        for n, hook in self._up[ex.depth]:
            try:
                found = hook(ex, reply)
                if found is None:
                    continue
                if not isinstance(found, Reply):
                    found = await found
            except GatewayError as error:
                found = _told(ex, error)
            except ClientGone:
                raise
            except Exception as error:
                found = _told(ex, self._blame(n, "on_response", ex, error))
            if found is not None:
                if reply.stream is not None and found.stream is not reply.stream:
                    reply.stream.abandon()
                if reply.tunnel is not None and found.tunnel is not reply.tunnel:
                    reply.tunnel.close()
                reply = found
        return reply

    def below(self, host: Host) -> Pipeline:
        """What lies below the plugin that has `host`. Raises LookupError when it is in another pipeline."""
        place = next((n for n, entry in enumerate(self.entries) if entry.plugin.host is host), None)
        if place is None:
            raise LookupError("the plugin is not in the pipeline of this exchange")
        if place not in self._below:
            self._below[place] = Pipeline(self.entries[place + 1 :], self.send)
        return self._below[place]

    def attempt(self, ex: Exchange, attempt: Attempt) -> None:
        """Before each try at the upstream: every plugin that asked sees it, outermost first."""
        for n, hook in self._attempt:
            try:
                hook(ex, attempt)
            except GatewayError:
                raise
            except Exception as error:
                raise self._blame(n, "on_attempt", ex, error) from error

    def body_hooks(self, ex: Exchange) -> tuple[tuple[Any, Any], ...]:
        """(on_chunk, on_body_end) of the plugins the reply passes that touch bodies, innermost first; either may be None."""
        return self._body[ex.depth]

    def end(self, ex: Exchange, end: End) -> None:
        """Tell every plugin that was reached how the exchange ended; a failing one keeps none of the others from it."""
        for n, hook in self._ends[ex.depth]:
            try:
                hook(ex, end)
            except Exception as error:
                self._blame(n, "on_end", ex, error)
        if self._observed is not None and ex.notes is not None:
            for kind, fields in ex.notes:
                if kind == OBSERVE:
                    self._observed(fields["plugin"], ex.route, fields.get("status", NO_ANSWER))

    def _blame(self, n: int, hook: str, ex: Exchange, error: Exception) -> PluginError:
        name = self.names[n] if n < self.depth else "the gateway"
        log.error("%s: %s failed: route=%s request_id=%s", name, hook, ex.route, ex.request_id, exc_info=error)
        return PluginError(reason=f"{name}.{hook}: {type(error).__name__}: {error}")


def _told(ex: Exchange, failure: GatewayError) -> Reply:
    # Its traceback holds the frame that holds the exchange: a circle for each refusal, left to the collector.
    failure.__traceback__ = None
    ex.failure = failure
    return problem(failure, ex.request_id)


def transform(hooks: tuple[tuple[Any, Any], ...], ex: Exchange, chunk: bytes) -> bytes:
    """One piece of a body through the hooks, innermost first."""
    for on_chunk, _ in hooks:
        if on_chunk is not None and chunk:
            chunk = on_chunk(ex, chunk)
    return chunk


def finish(hooks: tuple[tuple[Any, Any], ...], ex: Exchange) -> bytes:
    """What the hooks kept back: each one's rest passes through those above it."""
    rest = b""
    for on_chunk, on_body_end in hooks:
        if rest and on_chunk is not None:
            rest = on_chunk(ex, rest)
        if on_body_end is not None:
            rest += on_body_end(ex)
    return rest


def _hook(entry: Entry, name: str) -> Any:
    """The bound method when the plugin overrides `name`; None when it would cost a call for nothing."""
    plugin = entry.plugin
    if getattr(type(plugin), name) is getattr(Plugin, name):
        return None
    hook = getattr(plugin, name)
    if entry.mode == "enforce" or name == "on_end":
        return hook
    return observed(entry.name, name, hook, knows_mode=plugin.handles_mode)


def _is_async(hook: Any) -> bool:
    return inspect.iscoroutinefunction(hook)
