"""Fewer requests when there is more than can be done in time: the least important are refused first, and at once, with a 503.

What is measured is how long work that is ready has to wait for the event loop. While no wait in `over` is shorter than `lag`, the share of
refused requests grows: first of the routes with low priority, then of all without one, then of those with high priority; when the loop is
on time again it shrinks. The health routes are never refused. Stand it below the plugins that should see its answers.
"""

from __future__ import annotations

import asyncio
from math import inf
from typing import ClassVar, Literal

from gateway.plugin import Duration, Exchange, Field, Host, OneOrMany, Plugin, ReducedCapacity, Settings

Priority = Literal["low", "normal", "high", "never"]
ORDER: tuple[Priority, ...] = ("low", "normal", "high")
"""In which they are refused."""
LOOKS = 4
"""In each `over`."""
GROWS, SHRINKS = 0.25, 0.1
"""By how much the share of one priority changes after each `over`: quickly when there is too much, slowly back."""


class Priorities(Settings):
    low: OneOrMany[str] = Field((), description="Routes whose requests are refused first, by their names.")
    high: OneOrMany[str] = Field((), description="Routes whose requests are refused last.")
    never: OneOrMany[str] = Field((), description="Routes whose requests are never refused; those with the plugin `health` are among them.")


class LoadSheddingSettings(Settings):
    example: ClassVar[str] = "over: 100ms"

    lag: Duration = Field(0.02, gt=0, le=10, description="How long ready work may wait for the event loop.")
    over: Duration = Field(
        0.1, ge=0.01, le=10, description="For how long even the shortest wait must be longer, until requests are refused."
    )
    priority: Priorities = Field(default_factory=Priorities, description="Which routes are refused first, and last.")


class Pressure:
    """How much is to be refused: 0.0 nothing, 1.0 all of the lowest priority, 3.0 all but health."""

    def __init__(self, lag: float, over: float) -> None:
        self.level = 0.0
        self._lag = lag
        self._over = over
        self._since = -inf
        self._least = inf
        self._looks = 0

    def look(self, now: float, wait: float) -> None:
        """Ready work waited so many seconds."""
        self._least = min(self._least, wait)
        self._looks += 1
        if now - self._since < self._over or self._looks < 2:  # one wait alone is a pause, not a load
            return
        change = GROWS if self._least > self._lag else -SHRINKS
        self.level = min(float(len(ORDER)), max(0.0, round(self.level + change, 6)))
        self._since, self._least, self._looks = now, inf, 0


class LoadShedding(Plugin[LoadSheddingSettings]):
    once = True

    def __init__(self, settings: LoadSheddingSettings, host: Host) -> None:
        """Raises ValueError for a route that there is not, or that is named twice."""
        super().__init__(settings, host)
        self._every = settings.over / LOOKS
        self._pressure = Pressure(settings.lag, settings.over)
        self._timer: asyncio.TimerHandle | None = None
        self._ranks: dict[str, int | None] = dict.fromkeys(host.vital)
        for word in ("low", "high", "never"):
            for route in getattr(settings.priority, word):
                if route not in host.paths:
                    raise ValueError(f'no route is called "{route}"; write the name of a route under priority')
                if route in self._ranks and route not in host.vital:
                    raise ValueError(f'route "{route}" has two priorities; keep one')
                self._ranks.setdefault(route, ORDER.index(word) if word != "never" else None)
        self._owed = [0.0] * len(ORDER)  # by priority, what of a refusal is due
        refused = host.metrics.counter("load_shedding.refused", "Requests refused because the event loop was late.", ("priority",))
        self._refused = tuple(refused.bind(priority=word) for word in ORDER)
        self._level = host.metrics.gauge("load_shedding.level", "How many priorities are refused now.", merge="max").bind()

    async def start(self) -> None:
        self._look_later()

    async def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._level.set(0.0)

    def on_request(self, ex: Exchange) -> None:
        if self._pressure.level:
            self._shed(ex)

    def explain(self, ex: Exchange) -> str:
        rank = self._ranks.get(ex.route, ORDER.index("normal"))
        return f"priority {'never' if rank is None else ORDER[rank]}"

    def _shed(self, ex: Exchange) -> None:
        rank = self._ranks.get(ex.route, 1)
        if rank is None:
            return
        self._owed[rank] += min(1.0, max(0.0, self._pressure.level - rank))
        if self._owed[rank] >= 1.0:
            self._owed[rank] -= 1.0
            self._refused[rank].add()
            ex.note("load_shedding", priority=ORDER[rank])
            raise ReducedCapacity("The gateway has more to do than it can do in time.", headers=[("Retry-After", "1")])

    def _look_later(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._every, self._look)

    def _look(self) -> None:
        # What is ready now runs before this does: all of it is what a request that came now would wait for.
        asyncio.get_running_loop().call_soon(self._looked, self.host.clock())
        self._look_later()

    def _looked(self, begun: float) -> None:
        now = self.host.clock()
        self._pressure.look(now, now - begun)
        self._level.set(self._pressure.level)
