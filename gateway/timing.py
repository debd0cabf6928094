"""A pipeline that also tells how long each plugin took. It is made for one exchange, so that all others pay nothing for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gateway.pipeline import Pipeline

Clock = Callable[[], float]
Times = list[float | None]


class TimedPipeline(Pipeline):
    """The same hooks in the same order as those of `pipeline`. `down` and `up` fill as it is walked."""

    __slots__ = ("down", "up")

    def __init__(self, pipeline: Pipeline, clock: Clock) -> None:
        super().__init__(pipeline.entries, pipeline.send)
        self.down: Times = [None] * self.depth  # seconds in each plugin's on_request, what it waited for among them; None: not called
        self.up: Times = [None] * self.depth  # the same for on_response
        self._down = tuple((n, _timed(hook, is_async, clock, self.down, n), is_async) for n, hook, is_async in self._down)
        self._up = tuple(
            tuple((n, _timed(hook, is_async, clock, self.up, n), is_async) for n, hook, is_async in steps) for steps in self._up
        )


def _timed(hook: Any, is_async: bool, clock: Clock, times: Times, n: int) -> Any:
    def call(*arguments: Any) -> Any:
        begun = clock()
        try:
            return hook(*arguments)
        finally:
            times[n] = clock() - begun

    async def wait(*arguments: Any) -> Any:
        begun = clock()
        try:
            return await hook(*arguments)
        finally:
            times[n] = clock() - begun

    return wait if is_async else call
