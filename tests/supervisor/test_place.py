"""One place among the workers on a clock moved by hand: who dies is followed, and how soon."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest

from gateway.supervisor.place import Place


class Clock:
    """Sleeping moves it."""

    def __init__(self, until: float) -> None:
        self.now = 0.0
        self.until = until
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        if self.now > self.until:
            raise asyncio.CancelledError


class FakeChild:
    """Lives for a time of the clock, or until it is told to drain."""

    is_condemned = False
    state = "running"

    def __init__(self, number: int, clock: Clock, life: float | None) -> None:
        self.number = number
        self._clock = clock
        self._life = life
        self.drained = asyncio.Event()

    def __str__(self) -> str:
        return f"worker {self.number}"

    async def ended(self) -> int:
        if self._life is None:
            await self.drained.wait()
            return 0
        self._clock.now += self._life
        return -9

    async def call(self, name: str, arguments: Any, *, deadline: float) -> None:
        assert (name, arguments) == ("drain", {"others_go_on": True, "patience": None})
        self.drained.set()

    def last_stack(self) -> list[Any]:
        return []


class FakeCrew:
    deaths = 0

    def __init__(self, start: Callable[[int | None], FakeChild | None]) -> None:
        self.start_ = start
        self.started: list[int | None] = []
        self.buried: list[FakeChild] = []

    async def start(self, number: int | None = None) -> FakeChild | None:
        self.started.append(number)
        return self.start_(number)

    async def bury(self, child: FakeChild) -> int:
        self.buried.append(child)
        return 0


def place(crew: Any, clock: Clock) -> Place:
    return Place(crew, 3, clock=clock, sleep=clock.sleep)


async def run(one: Place) -> None:
    with pytest.raises(asyncio.CancelledError):
        await one.run()


async def test_a_crash_loop_of_an_hour_is_a_hundred_starts() -> None:
    clock = Clock(3600.0)
    crew = FakeCrew(lambda number: FakeChild(3, clock, 0.01))
    await run(place(crew, clock))
    assert clock.slept[:6] == [0.0, 0.1, 0.2, 0.4, 0.8, 1.6]
    assert set(clock.slept[12:]) == {30.0}
    assert 100 < len(crew.started) < 135
    assert set(crew.started) == {3}  # metrics are kept by its number
    assert crew.deaths == len(crew.buried) == len(crew.started)


async def test_a_worker_that_cannot_start_is_tried_as_often() -> None:
    clock = Clock(600.0)
    crew = FakeCrew(lambda number: None)
    await run(place(crew, clock))
    assert clock.slept[:4] == [0.0, 0.1, 0.2, 0.4]
    assert len(crew.started) < 35
    assert crew.deaths == 0


async def test_one_death_now_and_then_is_followed_at_once() -> None:
    clock = Clock(100_000.0)
    crew = FakeCrew(lambda number: FakeChild(3, clock, 3600.0) if clock.now < 50_000 else None)
    await run(place(crew, clock))
    assert clock.slept[:13] == [0.0] * 13


async def test_a_replacement_serves_before_the_one_before_drains(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    clock = Clock(10.0)
    old, new = FakeChild(3, clock, None), FakeChild(7, clock, None)
    children = iter([old, new])
    crew = FakeCrew(lambda number: next(children))
    one = place(crew, clock)
    running = asyncio.create_task(one.run())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert one.may_renew()
    await one.renew("it is old")
    assert not one.may_renew()
    assert one.child is not None and one.child.number == new.number
    assert (old.state, new.state) == ("draining", "running")
    await asyncio.gather(*one.leaving)
    assert crew.buried == [old] and crew.deaths == 0
    assert crew.started == [3, None]
    assert "worker 3 ended with exit code 0: it was replaced" in caplog.messages
    running.cancel()
    await asyncio.wait([running])


async def test_a_replacement_that_fails_leaves_all_as_it_was_and_is_not_tried_again_at_once() -> None:
    clock = Clock(10.0)
    old = FakeChild(3, clock, None)
    children = iter([old, None])
    one = place(FakeCrew(lambda number: next(children)), clock)
    running = asyncio.create_task(one.run())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await one.renew("it is old")
    assert one.child is not None and one.child.number == old.number and old.state == "running" and not old.drained.is_set()
    assert not one.may_renew()
    clock.now += 31
    assert one.may_renew()
    running.cancel()
    await asyncio.wait([running])
