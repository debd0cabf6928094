"""The right to ask the origin for a key, for one of all gateways at a time, and word for those who wait when it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from hashlib import blake2b
from time import monotonic
from uuid import uuid4

from gateway.store.contract import StoreAway
from gateway.store.redis.line import Line
from gateway.store.redis.scripts import YIELD

END = b"l"
AGAIN = 0.25
"""Seconds after which who waits looks by itself: the word may have been lost."""


class Held:
    """A Lease; one of nothing when everyone leads at home."""

    __slots__ = ("_release",)

    def __init__(self, release: Callable[[], None] | None = None) -> None:
        self._release = release

    def release(self) -> None:
        release, self._release = self._release, None
        if release is not None:
            release()


class RedisLeases:
    """A lease ends by itself, so that a gateway that died holds nobody up for longer than its patience would have been."""

    def __init__(self, line: Line, channel: str) -> None:
        self._line = line
        self._channel = channel
        self._waiting: dict[bytes, set[asyncio.Future[None]]] = {}
        line.on_word.append(self._word)

    async def lead(self, key: str, patience: float) -> Held | None:
        """See Cache.lead."""
        name = blake2b(key.encode("utf-8", "surrogatepass"), digest_size=20).hexdigest().encode()
        lease, token = b"gw:c:l:" + name, uuid4().hex
        until = monotonic() + patience
        word = self._hear(name)  # before the lease is asked for, so that its end is not missed
        try:
            (taken,) = await self._line.ask(("SET", lease, token, "NX", "PX", max(1, round(patience * 1000))))
            if taken is not None:
                release = ("EVALSHA", YIELD.sha, 1, lease, token, self._channel, END + name)
                return Held(lambda: self._line.call(release))
            while (left := until - monotonic()) > 0:
                await _done_within(word, min(left, AGAIN))
                if word.done() or (await self._line.ask(("EXISTS", lease)))[0] == 0:
                    return None
        except StoreAway:
            pass
        finally:
            self._unhear(name, word)
        return Held()

    def _hear(self, name: bytes) -> asyncio.Future[None]:
        word: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(name, set()).add(word)
        return word

    def _unhear(self, name: bytes, word: asyncio.Future[None]) -> None:
        waiting = self._waiting[name]
        waiting.discard(word)
        if not waiting:
            del self._waiting[name]

    def _word(self, word: bytes) -> None:
        if word.startswith(END):
            for waiting in self._waiting.get(word[len(END) :], ()):
                if not waiting.done():
                    waiting.set_result(None)


async def _done_within(word: asyncio.Future[None], seconds: float) -> None:
    """Awaits futures alone, so that it needs no task."""
    woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def wake(_: object = None) -> None:
        if not woken.done():
            woken.set_result(None)

    timer = asyncio.get_running_loop().call_later(seconds, wake)
    word.add_done_callback(wake)
    try:
        await woken
    finally:
        timer.cancel()
        word.remove_done_callback(wake)
