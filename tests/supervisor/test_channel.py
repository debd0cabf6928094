"""The channel: calls both ways, refusals, deadlines, and the end of the other side at any moment."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from gateway.control import Arguments, ControlError
from gateway.supervisor.channel import UNREAD, Channel, Gone, opened


class Side:
    """Answers what tests ask; `told` is what came of calls without an answer."""

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.go_on = asyncio.Event()

    async def answer(self, name: str, arguments: Arguments) -> Any:
        match name:
            case "echo":
                return dict(arguments)
            case "never":
                await self.go_on.wait()
                return "late"
            case "refuse":
                raise ControlError(409, "not now")
            case "break":
                raise RuntimeError("a bug")
        self.told.append((name, arguments))
        return None


@asynccontextmanager
async def channels() -> AsyncIterator[tuple[Channel, Side, asyncio.Task[None], Channel, Side]]:
    one, other = socket.socketpair()
    ours, theirs = Side(), Side()
    left, right = await opened(one, ours.answer), await opened(other, theirs.answer)
    tasks = [asyncio.create_task(left.run()), asyncio.create_task(right.run())]
    try:
        yield left, ours, tasks[1], right, theirs
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def test_either_side_calls_the_other() -> None:
    async with channels() as (left, _, _, right, _):
        large = {"text": "ä" * 300_000}  # more than a socket takes at once, or a stream's usual limit
        assert await left.call("echo", large, deadline=5) == large
        assert await right.call("echo", {"n": 1}, deadline=5) == {"n": 1}
        assert await asyncio.gather(*(left.call("echo", {"n": n}, deadline=5) for n in range(50))) == [{"n": n} for n in range(50)]


async def test_refusals_are_the_other_side_s_and_a_bug_there_is_one_here(caplog: pytest.LogCaptureFixture) -> None:
    async with channels() as (left, *_):
        for name, status, why in (("refuse", 409, "not now"), ("break", 500, "break failed: RuntimeError: a bug")):
            with pytest.raises(ControlError) as caught:
                await left.call(name, deadline=5)
            assert (caught.value.status, caught.value.why) == (status, why)
        assert await left.call("echo", deadline=5) == {}


async def test_an_answer_after_the_deadline_is_nobody_s() -> None:
    async with channels() as (left, _, _, _, theirs):
        with pytest.raises(TimeoutError):
            await left.call("never", deadline=0.02)
        theirs.go_on.set()
        assert await left.call("echo", {"n": 1}, deadline=5) == {"n": 1}


async def test_who_waits_for_an_answer_learns_that_the_other_side_is_gone() -> None:
    async with channels() as (left, _, other, _, _):
        waiting = asyncio.create_task(left.call("never", deadline=60))
        await asyncio.sleep(0.02)
        other.cancel()
        with pytest.raises(Gone):
            await waiting
        with pytest.raises(Gone):
            await left.call("echo", deadline=60)
        left.tell("beat", {})


async def test_what_nobody_reads_is_dropped_and_not_gathered() -> None:
    one, other = socket.socketpair()
    with other:
        channel = await opened(one, Side().answer)
        for _ in range(500):
            channel.tell("beat", {"text": "x" * 10_000})
        assert channel._writer.transport.get_write_buffer_size() < UNREAD + 20_000
        channel._writer.transport.abort()


@pytest.mark.parametrize("last", [b"", b'{"answer": 1', b"nonsense\n", b'{"answer": 99, "value": 1}\n'])
async def test_a_side_that_dies_in_the_middle_of_a_word_is_gone(last: bytes) -> None:
    one, other = socket.socketpair()
    channel = await opened(one, Side().answer)
    running = asyncio.create_task(channel.run())
    other.sendall(last)
    other.close()
    async with asyncio.timeout(30):
        await running
