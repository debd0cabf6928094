"""The body of a request, whole and plain, and as what it is read: by whoever checks it, off the loop when it is large."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

from pydantic import Field

from gateway.config.settings import Settings
from gateway.content.decoding import decoded
from gateway.content.forms import FormLimits
from gateway.errors import ReducedCapacity
from gateway.exchange import Exchange
from gateway.strictjson import Limits

LARGE = 16 << 10
"""Bytes from which on a body is parsed and checked in a thread: below, it takes the loop less than a millisecond."""

WAITING = 32
"""Large bodies of one plugin that wait for the one that is checked; a further one is refused."""

T = TypeVar("T")


class LimitsSettings(Settings):
    """What a body may have in it at most, whatever its size in bytes; that is the business of `body_limit`."""

    depth: int = Field(32, ge=1, le=200, description="Levels of objects and arrays of JSON.")
    values: int = Field(20_000, ge=1, description="Values of JSON in all: members, elements, objects and arrays.")
    members: int = Field(1000, ge=1, description="Members of one object of JSON.")
    elements: int = Field(10_000, ge=1, description="Elements of one array of JSON.")
    name: int = Field(256, ge=1, description="Characters of the name of a member, or of a field of a form or query.")
    string: int = Field(
        100_000, ge=1, description="Characters of one string of JSON, or of a form's field, for each that is escaped three."
    )
    fields: int = Field(1000, ge=1, description="Fields of a form or query.")
    parts: int = Field(100, ge=1, description="Parts of multipart/form-data.")
    ratio: int = Field(50, ge=1, description="How many times larger than it came a body with a Content-Encoding may become.")

    @property
    def json_limits(self) -> Limits:
        return Limits(self.depth, self.values, self.members, self.elements, self.name, self.string)

    @property
    def form_limits(self) -> FormLimits:
        return FormLimits(self.fields, self.name, self.string, self.parts)


class Reader:
    """Reads bodies within limits, and has what takes long done in a thread: one body at a time, for a second thread would only be another
    to share the interpreter with.
    """

    def __init__(self, limits: LimitsSettings, run_blocking: Callable[[Callable[[], Any]], Awaitable[Any]], large: int = LARGE) -> None:
        self._large = large
        self._ratio = limits.ratio
        self._run_blocking = run_blocking
        self._lock = asyncio.Lock()
        self._waiting = 0

    def is_quick(self, ex: Exchange) -> bool:
        """The body is at hand, plain and small: nothing must be waited for."""
        body = ex.body_at_hand
        return body is not None and len(body) < self._large and "Content-Encoding" not in ex.headers

    async def read(self, ex: Exchange) -> bytes:
        """The body without its Content-Encoding: so it goes upstream, too.

        Raises PayloadTooLarge, UnsupportedMediaType, BadRequest, and what cut it.
        """
        body = await ex.body()
        if "Content-Encoding" not in ex.headers:
            return body
        encodings = ",".join(ex.headers.getall("Content-Encoding"))
        plain: bytes = await self._off_loop(partial(decoded, body, encodings, ex.body_limit, self._ratio))
        ex.set_body(plain)
        return plain

    async def work(self, size: int, call: Callable[[], T]) -> T:
        """What `call` returns for a body of this size. Raises what it raises, and ReducedCapacity when too many wait."""
        return call() if size < self._large else await self._off_loop(call)

    async def _off_loop(self, call: Callable[[], T]) -> T:
        if self._waiting >= WAITING:
            raise ReducedCapacity("Too many large bodies are being checked.", headers=[("Retry-After", "1")])
        self._waiting += 1
        try:
            async with self._lock:
                done: T = await self._run_blocking(call)
                return done
        finally:
            self._waiting -= 1
