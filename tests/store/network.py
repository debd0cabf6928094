"""Gateways that share a real Valkey over a network that is not there: delays are drawn, and time passes when the test says so.

The scripts are the real ones but for the clock, which they read from a key; and no key expires, for that would be by the server's own
clock, by which a window of a slow machine may last longer.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from typing import Any

import hiredis

from gateway.store.contract import StoreAway
from gateway.store.redis.address import Address
from gateway.store.redis.bound import Bound
from gateway.store.redis.limits import RedisLimits
from gateway.store.redis.link import Link
from gateway.store.redis.scripts import ALL, Script
from gateway.store.redis.telling import Telling
from tests.store.servers import Server

CLOCK = "clock"


def on_virtual_clock(script: Script) -> str:
    source = script.source.replace("redis.call('TIME')", f"redis.call('HMGET', '{CLOCK}', 's', 'us')")
    assert source != script.source
    return source.replace("redis.call('PEXPIRE', ", "tostring(")


def called(data: bytes) -> tuple[Script, list[Any], list[Any]]:
    """Script, keys and arguments of an EVALSHA as it is sent."""
    reader = hiredis.Reader()
    reader.feed(data)
    name, sha, keys, *rest = reader.gets()
    assert name == b"EVALSHA"
    script = next(script for script in ALL if script.sha == sha)
    return script, rest[: int(keys)], rest[int(keys) :]


class AtOnce:
    """As much of a loop as a future needs, whose callbacks are called when it is done."""

    def get_debug(self) -> bool:
        return False

    def call_soon(self, callback: Callable[..., object], *arguments: Any, context: object = None) -> None:
        callback(*arguments)


class Network:
    """`at` so many microseconds something happens; `run` until nothing does. `now` is the server's clock."""

    def __init__(self, server: Server, now: int = 1_767_225_600_000_000) -> None:
        self.server = server
        self.now = now
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0

    def at(self, time: float, event: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._events, (int(time), self._count, event))

    def run(self, until: int | None = None) -> None:
        while self._events and (until is None or self._events[0][0] <= until):
            self.now, _, event = heapq.heappop(self._events)
            event()
        self.now = self.now if until is None else until

    def evaluate(self, script: Script, keys: list[Any], arguments: list[Any]) -> Any:
        self.server.say("HSET", CLOCK, "s", self.now // 1_000_000, "us", self.now % 1_000_000)
        return self.server.say("EVAL", on_virtual_clock(script), len(keys), *keys, *arguments)


class VirtualLink(Link):
    """A gateway's line to the server. `delay` draws microseconds of one way; replies come in order. `skew`: its clock is so wrong."""

    def __init__(self, network: Network, gateways: int, delay: Callable[[], int], skew: int = 0) -> None:
        super().__init__(Address("virtual"), lambda: (network.now + skew) / 1e6)
        self._offset = 0
        self._network = network
        self._delay = delay
        self._is_there = True
        self._last_there = self._last_back = 0
        self._unanswered: dict[Callable[[Any], None], None] = {}
        self.sharing.gateways, self.sharing.until, self.connections = gateways, 2**62, 1

    @property
    def is_up(self) -> bool:
        return self._is_there

    def now(self) -> int:
        return round(self._clock() * 1e6)

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        self._network.at(self._network.now + seconds * 1e6, call)

    def future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=AtOnce())  # type: ignore[arg-type]

    def send(self, data: bytes, done: Callable[[Any], None]) -> None:
        """Of scripts alone."""
        if not self._is_there:
            done(StoreAway("cut"))
            return
        self._last_there = there = max(self._last_there, self._network.now + self._delay())

        self._unanswered[done] = None

        def arrive() -> None:
            if done in self._unanswered:
                reply = self._network.evaluate(*called(data))
                self._last_back = max(self._last_back, self._network.now + self._delay())
                self._network.at(self._last_back, lambda: answer(reply))

        def answer(reply: Any) -> None:
            if done in self._unanswered:
                del self._unanswered[done]
                done(reply)

        self._network.at(there, arrive)

    def cut(self) -> None:
        self._is_there = False
        self.sharing.left()
        unanswered, self._unanswered = list(self._unanswered), {}
        for done in unanswered:
            done(StoreAway("cut"))

    def mend(self) -> None:
        self._is_there = True
        self.sharing.until = 2**62
        self.connections += 1
        for up in self.on_up:
            up()


def limits(link: VirtualLink, bound: Bound) -> RedisLimits:
    return RedisLimits((bound,), link, Telling(link))
