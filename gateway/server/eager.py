"""Runs a coroutine at once, until it first waits, and goes on whenever what it waits for is done: a task without the task."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


class Eager:
    """Drives a coroutine of ours that awaits nothing but futures and tasks.

    A task starts at the loop's next turn and costs a turn more for each wait; most requests wait once, or never. What needs
    to know its task (asyncio.timeout, most libraries) cannot run here: pipelines with an async hook get a task of their own.
    """

    __slots__ = ("_coroutine", "_failed", "_loop", "_waiting")

    def __init__(
        self, coroutine: Coroutine[Any, Any, None], loop: asyncio.AbstractEventLoop, failed: Callable[[BaseException], None]
    ) -> None:
        self._coroutine = coroutine
        self._loop = loop
        self._failed = failed
        self._waiting: asyncio.Future[Any] | None = None
        self._go(coroutine.send, None)

    def _step(self, done: asyncio.Future[Any]) -> None:
        if done is self._waiting:  # else it was cancelled in the turn in which that was done
            self._go(self._coroutine.send, None)

    def _go(self, move: Callable[[Any], Any], value: Any) -> None:
        self._waiting = None
        try:
            waiting = move(value)
        except (StopIteration, asyncio.CancelledError):
            self._failed = _ended  # whoever made this may be what it calls: no circle is left to the collector
            return
        except BaseException as error:
            self._failed(error)
            self._failed = _ended
            if not isinstance(error, Exception):
                raise
            return
        if waiting is None:  # asyncio.sleep(0): goes on at the next turn
            waiting = self._loop.create_future()
            waiting.set_result(None)
        waiting._asyncio_future_blocking = False  # what a task does to say that it has taken the future
        waiting.add_done_callback(self._step)
        self._waiting = waiting

    def cancel(self) -> None:
        """Raise CancelledError where it waits. What it waited for goes on without it."""
        waiting = self._waiting
        if waiting is not None:
            waiting.remove_done_callback(self._step)
            self._go(self._coroutine.throw, asyncio.CancelledError())


def _ended(error: BaseException) -> None:
    """Nobody is to be told any more."""
