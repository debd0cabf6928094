"""One limit at one Redis: the names of its keys, its views, and what passes between them and the script."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import hiredis

from gateway.store.contract import LimitSpec, OnFailure
from gateway.store.redis.link import Link
from gateway.store.redis.scripts import LIMITS, VERSION
from gateway.store.redis.views import View, Views, mirror

LONGEST_KEY = 100


def digest(text: str, size: int) -> str:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=size).hexdigest()


class Bound:
    """One limit at one Redis."""

    def __init__(self, spec: LimitSpec, link: Link, on_failure: OnFailure, max_keys: int) -> None:
        """Raises ValueError for an unknown time zone."""
        self.spec = spec
        self.link = link
        self._sharing = link.sharing
        self.on_failure = spec.on_failure or on_failure
        self.mirror = mirror(spec)
        self.views = Views(spec, max_keys)
        self.folded = 0
        self._over = spec.max_over * spec.limit
        self.window = max(1, round(spec.window * 1e6))  # microseconds
        self._arguments = (self.mirror.code, b"%d" % spec.limit, b"%d" % self.window)  # as they are sent
        self._is_usual = spec.period is None
        usual: tuple[Any, ...] = ("EVALSHA", LIMITS.sha, 1, "", 1, *self._arguments, 0, 0, 1)
        self._before_key, self._after_key = hiredis.pack_command(usual).split(b"$0\r\n\r\n")
        self._suffix = b"}:%s%d:%s" % (self.mirror.code, VERSION, digest(repr(spec.counts), 6).encode())

    def name(self, key: str) -> bytes:
        """In Redis: what belongs to one client lies in one slot of a cluster."""
        short = key if len(key) <= LONGEST_KEY else digest(key, 16)
        return b"gw:{" + short.encode("utf-8", "surrogatepass") + self._suffix

    def ahead(self, now: int) -> int:
        """What may be admitted before Redis has acknowledged it: b of the bound."""
        sharing = self._sharing
        return int(self._over / sharing.gateways) if now < sharing.until else 0

    def view(self, key: str, now: int) -> View:
        view = self.views.find(key, now)
        if view is None:
            self.folded += 1
            view = self.views.crowd(key, now)
        return view

    def take(self, view: View, now: int, cost: int) -> tuple[int, list[Any]]:
        """What was not sent yet, and the script's arguments with it."""
        delta, view.unsent = view.unsent, 0
        view.in_flight += delta
        return delta, [*self._arguments, delta, view.last, cost, *self.mirror.arguments(now)]

    def request(self, view: View, now: int, cost: int) -> tuple[int, bytes]:
        """As `take`, of a request under this limit alone: the whole command as it is sent. Most differ in nothing but their keys."""
        name = self.name(view.key)
        if cost == 1 and self._is_usual and not view.unsent:
            return 0, b"%b$%d\r\n%b\r\n%b" % (self._before_key, len(name), name, self._after_key)
        delta, arguments = self.take(view, now, cost)
        command: tuple[Any, ...] = ("EVALSHA", LIMITS.sha, 1, name, 1, *arguments)
        return delta, hiredis.pack_command(command)

    def answered(self, view: View, delta: int, now: int, state: Sequence[int]) -> None:
        view.in_flight -= delta
        view.at, view.connection = now, self.link.connections
        self.mirror.see(view, now, state[1], state[2], state[3])

    def lost(self, view: View, delta: int, is_refused: bool) -> None:
        """No answer, or an error: what Redis will not have is not told again."""
        view.in_flight -= delta
        if not is_refused:
            view.unsent += delta
