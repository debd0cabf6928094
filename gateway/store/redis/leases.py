"""Leases in Redis: a sorted set for each key, of holders by when their leases end. What this process holds is renewed for it."""

from __future__ import annotations

from asyncio import Future, TimerHandle, get_running_loop
from typing import Any

import hiredis

from gateway.errors import Unavailable
from gateway.store.contract import OnFailure, Soon
from gateway.store.redis.bound import LONGEST_KEY, digest
from gateway.store.redis.link import MICRO, Link
from gateway.store.redis.scripts import LEASE, RENEW, VERSION

LASTS = 30.0
"""Seconds that a lease lasts when nobody renews it: for so long a gateway that died goes on to hold what it held."""
RENEWED_AT_ONCE = 100
"""Leases renewed by one call of the script."""


class Renewing:
    """All leases that this process holds."""

    def __init__(self, link: Link) -> None:
        self.held: dict[tuple[bytes, str], None] = {}
        self._link = link
        self._timer: TimerHandle | None = None

    def start(self) -> None:
        self._timer = get_running_loop().call_later(LASTS / 3, self._renew)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _renew(self) -> None:
        self.start()
        held = list(self.held)
        for n in range(0, len(held) if self._link.is_up else 0, RENEWED_AT_ONCE):
            some = held[n : n + RENEWED_AT_ONCE]
            arguments = [round(LASTS * MICRO), *(holder for _, holder in some)]
            self._link.evaluate(RENEW, [key for key, _ in some], arguments, self._renewed)

    def _renewed(self, reply: Any) -> None:
        if isinstance(reply, hiredis.ReplyError):
            self._link.refused(reply)


class RedisLeases:
    """While Redis is away: local shares the limit evenly among the gateways, each having at least one."""

    def __init__(self, name: str, limit: int, on_failure: OnFailure, link: Link, renewing: Renewing) -> None:
        self._limit = limit
        self._on_failure = on_failure
        self._link = link
        self._renewing = renewing
        self._suffix = b"}:h%d:%s" % (VERSION, digest(name, 6).encode())
        self._here: dict[str, int] = {}  # how many this process holds

    def acquire(self, key: str, holder: str) -> Soon[bool]:
        if not self._link.is_up:
            return self._alone(key, holder)
        future: Future[bool] = self._link.future()

        def done(reply: Any) -> None:
            if isinstance(reply, hiredis.ReplyError):
                self._link.refused(reply)
            if future.done():  # nobody waits any more
                if reply == 1:
                    self._link.call(("ZREM", self._name(key), holder), self._ignored)
            elif isinstance(reply, Exception):
                try:
                    future.set_result(self._alone(key, holder))
                except Unavailable as error:
                    future.set_exception(error)
            else:
                if reply == 1:
                    self._hold(key, holder)
                future.set_result(reply == 1)

        self._link.evaluate(LEASE, [self._name(key)], [self._limit, round(LASTS * MICRO), holder], done)
        return future

    def release(self, key: str, holder: str) -> None:
        name = self._name(key)
        if (name, holder) in self._renewing.held:
            del self._renewing.held[name, holder]
            left = self._here[key] - 1
            if left:
                self._here[key] = left
            else:
                del self._here[key]
            self._link.call(("ZREM", name, holder), self._ignored)

    def _alone(self, key: str, holder: str) -> bool:
        if self._on_failure == "closed":
            raise Unavailable(reason=f"the store is away: {self._link.state().why}", headers=[("Retry-After", "1")])
        if self._on_failure == "local" and self._here.get(key, 0) >= max(1, self._limit // self._link.gateways):
            return False
        self._hold(key, holder)  # and renewed, so told, when Redis is back
        return True

    def _hold(self, key: str, holder: str) -> None:
        if (self._name(key), holder) not in self._renewing.held:
            self._renewing.held[self._name(key), holder] = None
            self._here[key] = self._here.get(key, 0) + 1

    def _name(self, key: str) -> bytes:
        short = key if len(key) <= LONGEST_KEY else digest(key, 16)
        return b"gw:{" + short.encode("utf-8", "surrogatepass") + self._suffix

    def _ignored(self, reply: Any) -> None:
        """Not given back, it ends by itself."""
