"""A pipeline that also tells how long each plugin took. It is made for one exchange, so that all others pay nothing for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from gateway.exchange import Reply
from gateway.pipeline import Pipeline, Times

Clock = Callable[[], float]
Seconds = list[float | None]


class TimedPipeline(Pipeline):
    """The same hooks in the same order as those of `pipeline`. `down` and `up` fill as it is walked."""

    __slots__ = ("down", "up")

    def __init__(self, pipeline: Pipeline, clock: Clock) -> None:
        super().__init__(pipeline.entries, pipeline.send, pipeline._observed)
        self.down: Seconds = [None] * self.depth  # seconds in each plugin's on_request, what it waited for among them; None: not called
        self.up: Seconds = [None] * self.depth  # the same for on_response
        self._down = tuple((n, _timed(hook, clock, self.down, n)) for n, hook in self._down)
        self._up = tuple(tuple((n, _timed(hook, clock, self.up, n)) for n, hook in steps) for steps in self._up)

    @property
    def times(self) -> Times:  # type: ignore[override]
        return self.down, self.up


def _timed(hook: Any, clock: Clock, times: Seconds, n: int) -> Any:
    async def wait(found: Awaitable[Reply | None], begun: float) -> Reply | None:
        try:
            return await found
        finally:
            times[n] = clock() - begun

    def call(*arguments: Any) -> Any:
        begun = clock()
        try:
            found = hook(*arguments)
        finally:
            times[n] = clock() - begun
        return found if found is None or isinstance(found, Reply) else wait(found, begun)

    return call
