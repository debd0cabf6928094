"""Requests for one key that is not at hand: one asks the origin, the others wait for what becomes of it, while that is worth it."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from typing import Literal

Turn = Literal["lead", "wait", "alone"]
Woken = Literal["look", "lead", "alone"]
"""Something was stored: look again. The leader is gone: lead. Nothing will be shared, or patience is over: ask the origin oneself."""
MOST_REMEMBERED = 10_000

Waiter = asyncio.Future[Woken]


class Flights:
    """Of one rule. `memory` is how many seconds it is remembered of a key that its answers cannot be shared.

    Without that memory every request of such a key would wait for the one before it, only to ask the origin itself.
    """

    __slots__ = ("_alone", "_led", "_memory")

    def __init__(self, memory: float = 120.0) -> None:
        self._memory = memory
        self._led: dict[str, deque[Waiter]] = {}
        self._alone: OrderedDict[str, float] = OrderedDict()  # key -> until when

    def turn(self, key: str, now: float) -> Turn:
        """What a request of this key shall do. Who is told to lead is the leader, and must `land`, `divert` or `fail`."""
        if key in self._led:
            return "wait"
        if self._alone.get(key, now) > now:
            return "alone"
        self._led[key] = deque()
        return "lead"

    async def wait(self, key: str, patience: float) -> Woken:
        """Raises what cancels it: the client has left, and nobody waits for it."""
        loop = asyncio.get_running_loop()
        waiter: Waiter = loop.create_future()
        waiting = self._led[key]
        waiting.append(waiter)
        timer = loop.call_later(patience, _wake, waiter, "alone")
        try:
            return await waiter
        except asyncio.CancelledError:
            if not waiter.cancel() and not waiter.cancelled() and waiter.result() == "lead":
                self.fail(key)  # it was handed over in the very turn in which the client left
            raise
        finally:
            timer.cancel()

    def land(self, key: str) -> None:
        """What was asked for is stored."""
        self._wake_all(key, "look")

    def can_share(self, key: str) -> None:
        """What was remembered of it is so no more: somebody who went alone has stored an answer."""
        self._alone.pop(key, None)

    def divert(self, key: str, now: float) -> None:
        """The answer's head shows that it is for one client alone: the others go their own ways, and so do those to come."""
        self._alone[key] = now + self._memory
        self._alone.move_to_end(key)
        if len(self._alone) > MOST_REMEMBERED:
            self._alone.popitem(last=False)
        self._wake_all(key, "alone")

    def fail(self, key: str) -> None:
        """The leader has no answer, or its client left: the next one leads."""
        waiting = self._led.get(key)
        while waiting:
            if _wake(waiting.popleft(), "lead"):
                return
        self._led.pop(key, None)

    def _wake_all(self, key: str, woken: Woken) -> None:
        for waiter in self._led.pop(key, ()):
            _wake(waiter, woken)


def _wake(waiter: Waiter, woken: Woken) -> bool:
    """Whether it still waited."""
    if waiter.done():
        return False
    waiter.set_result(woken)
    return True
