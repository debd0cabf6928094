"""A cache in front of an upstream, on a clock moved by hand: for the tests of the plugin."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from gateway.caching import dates
from gateway.caching.memory import MemoryCache
from gateway.exchange import End, Exchange, Headers, Reply
from gateway.pipeline import Pipeline
from gateway.plugin import Host
from gateway.testing import Clock, FakeUpstream, Measured, exchange, host, load, pipeline

START = 1_800_000_000.0
Fields = Sequence[tuple[str, str]]


def date(seconds: float = 0.0) -> str:
    """An HTTP date so many seconds from the start."""
    return dates.written(START + seconds)


class Origin(FakeUpstream):
    """Answers with what was told last, each time with a body of its own: `1`, `2`, ..."""

    def __init__(self, clock: Clock, *fields: tuple[str, str], status: int = 200, body: bytes | None = None) -> None:
        super().__init__(self._answer)
        self.clock = clock
        self.fields: Fields = fields
        self.status = status
        self.body = body
        self.delay: Callable[[], Any] | None = None
        self.failure: Exception | None = None
        self.is_dated = True

    def _answer(self, ex: Exchange) -> Reply:
        if self.failure is not None:
            raise self.failure
        fields = [*self.fields]
        if self.is_dated and "date" not in [name.lower() for name, _ in fields]:
            fields.append(("Date", dates.written(self.clock())))
        sent = self.requests[-1][2]
        etag = dict(fields).get("ETag")
        if etag is not None and sent.get("If-None-Match") == etag:
            return Reply(304, Headers(fields))
        body = self.body if self.body is not None else str(len(self.requests)).encode()
        return Reply(self.status, Headers(fields), b"" if ex.method == "HEAD" else body)

    async def send(self, ex: Exchange, pipeline: Pipeline) -> Reply:
        """What is answered is decided when it is asked, and comes when its `delay` is over."""
        waiting = None if self.delay is None else self.delay()
        try:
            return await super().send(ex, pipeline)
        finally:
            if waiting is not None:
                await waiting


class Bench:
    """One entry `cache` with these settings, and what asks it."""

    def __init__(
        self, settings: object = None, *fields: tuple[str, str], mode: Any = "enforce", status: int = 200, limit: int = 1 << 20
    ) -> None:
        self.clock = Clock(START)
        self.metrics = Measured()
        self.host: Host = host(clock=self.clock, time=self.clock, mode=mode, metrics=self.metrics)
        self.cache = MemoryCache(limit)
        self.host.cache = self.cache
        self.plugin = load("cache", settings, host=self.host)
        self.origin = Origin(self.clock, *fields, status=status)
        self.line = pipeline(self.plugin, upstream=self.origin)

    async def ask(
        self, method: str = "GET", target: str = "/a", headers: Fields = (), *, consumer: str | None = None, groups: tuple[str, ...] = (),
        claims: dict[str, Any] | None = None, **kw: Any
    ) -> Reply:  # fmt: skip
        ex = exchange(method, target, headers, **kw)
        ex.consumer, ex.groups, ex.claims = consumer, groups, claims or {}
        return await self.send(ex)

    async def send(self, ex: Exchange) -> Reply:
        reply: Reply | None = None
        try:
            reply = await self.line.answer(ex)
            if reply.entity is None and reply.stream is not None:
                whole = [piece async for piece in _pieces(reply)]
                reply = Reply(reply.status, reply.headers, b"".join(whole))
            return reply
        finally:
            if reply is not None and reply.stream is not None:
                reply.stream.abandon()
            self.line.end(ex, End(None if reply is None else reply.status, attempts=ex.attempts, error=ex.failure))

    async def settled(self) -> None:
        """What goes on in the background has ended."""
        while self.host.tasks:
            await asyncio.gather(*self.host.tasks)

    @property
    def asked(self) -> int:
        """Requests that reached the origin."""
        return len(self.origin.requests)


async def _pieces(reply: Reply) -> Any:
    assert reply.stream is not None
    while piece := await reply.stream.read():
        yield piece


def body(reply: Reply) -> bytes:
    assert reply.entity is not None
    return reply.entity.data
