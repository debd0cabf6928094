"""A coroutine driven without a task: it runs at once, goes on when what it waits for is done, and can be cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from gateway.server.eager import Eager


class Run:
    """An Eager and what came of it."""

    def __init__(self, coroutine: Coroutine[Any, Any, None]) -> None:
        self.failures: list[BaseException] = []
        self.eager = Eager(coroutine, asyncio.get_running_loop(), self.failures.append)


async def turns(count: int = 3) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_it_runs_to_its_first_wait_before_the_constructor_returns() -> None:
    seen: list[str] = []
    future: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def work() -> None:
        seen.append("begun")
        seen.append(await future)

    Run(work())
    assert seen == ["begun"]
    future.set_result("done")
    assert seen == ["begun"]
    await turns()
    assert seen == ["begun", "done"]


async def test_what_never_waits_is_done_at_once() -> None:
    seen: list[int] = []

    async def inner() -> int:
        return 1

    async def work() -> None:
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        done.set_result(2)
        seen.extend([await inner(), await done])

    Run(work())
    assert seen == [1, 2]


async def test_sleep_0_is_one_turn_of_the_loop() -> None:
    seen: list[int] = []

    async def work() -> None:
        for n in range(3):
            seen.append(n)
            await asyncio.sleep(0)

    Run(work())
    assert seen == [0]
    await turns(5)
    assert seen == [0, 1, 2]


async def test_futures_tasks_shields_and_gathers_can_be_awaited_at_any_depth() -> None:
    seen: list[object] = []

    async def soon(value: int) -> int:
        await asyncio.sleep(0.001)
        return value

    async def inner() -> int:
        return await asyncio.shield(asyncio.get_running_loop().create_task(soon(1)))

    async def work() -> None:
        seen.append(await inner())
        seen.append(await asyncio.gather(soon(2), soon(3)))
        seen.append("end")

    Run(work())
    await asyncio.sleep(0.05)
    assert seen == [1, [2, 3], "end"]


async def test_the_exception_of_what_it_waits_for_is_raised_where_it_waits() -> None:
    seen: list[str] = []
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def work() -> None:
        try:
            await future
        except ZeroDivisionError as error:
            seen.append(str(error))

    run = Run(work())
    future.set_exception(ZeroDivisionError("caught"))
    await turns()
    assert seen == ["caught"]
    assert run.failures == []


@pytest.mark.parametrize("waits", [False, True])
async def test_an_exception_that_leaves_it_is_told(waits: bool) -> None:
    async def work() -> None:
        if waits:
            await asyncio.sleep(0)
        raise ZeroDivisionError

    run = Run(work())
    await turns()
    assert [type(failure) for failure in run.failures] == [ZeroDivisionError]


async def test_what_ends_the_process_is_told_and_goes_on() -> None:
    async def work() -> None:
        raise SystemExit(3)

    failures: list[BaseException] = []
    with pytest.raises(SystemExit):
        Eager(work(), asyncio.get_running_loop(), failures.append)
    assert len(failures) == 1


async def test_cancel_is_raised_where_it_waits_and_what_it_waited_for_goes_on() -> None:
    seen: list[str] = []
    future: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def work() -> None:
        try:
            await future
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise
        finally:
            seen.append("cleaned up")

    run = Run(work())
    run.eager.cancel()
    assert seen == ["cancelled", "cleaned up"]
    assert not future.cancelled()
    future.set_result("nobody hears it")
    await turns()
    assert run.failures == []
    run.eager.cancel()  # again: nothing is left
    assert len(seen) == 2


async def test_a_cancelled_one_may_wait_again_to_clean_up() -> None:
    seen: list[str] = []

    async def work() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            seen.append("cleaned up")

    Run(work()).eager.cancel()
    assert seen == []
    await turns()
    assert seen == ["cleaned up"]


async def test_a_future_that_was_cancelled_by_another_cancels_the_wait() -> None:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    seen: list[str] = []

    async def work() -> None:
        try:
            await future
        except asyncio.CancelledError:
            seen.append("cancelled")

    Run(work())
    future.cancel()
    await turns()
    assert seen == ["cancelled"]


async def test_cancelled_in_the_turn_in_which_what_it_waited_for_was_done() -> None:
    """An upstream's answer and the client's leaving may come out of one poll: the cancelled one is not moved once more."""
    seen: list[str] = []
    future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    cleaning: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def work() -> None:
        try:
            await future
        finally:
            seen.append(await cleaning)

    run = Run(work())
    future.set_result("too late")
    run.eager.cancel()
    await turns()
    assert seen == []
    cleaning.set_result("cleaned up")
    await turns()
    assert seen == ["cleaned up"]
    assert run.failures == []


async def test_cancelled_in_a_sleep_of_0() -> None:
    seen: list[str] = []

    async def work() -> None:
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    run = Run(work())
    run.eager.cancel()
    await turns()
    assert seen == ["cancelled"]
    assert run.failures == []
