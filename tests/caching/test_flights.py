"""Requests for one key at once: one leads, the others wait, and nobody for what will not come."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.caching.copying import Copied
from gateway.caching.flights import Flights
from gateway.errors import BadGateway
from gateway.stream import Stream
from gateway.testing import streamed


async def turns(n: int = 3) -> None:
    for _ in range(n):
        await asyncio.sleep(0)


STEPS = st.lists(st.sampled_from(["come", "land", "divert", "fail", "leave"]), max_size=40)


@given(STEPS)
def test_there_is_one_leader_and_nobody_waits_without_one(steps: list[str]) -> None:
    """Whatever happens in whatever order: those who wait wait for a leader, and all go on in the end."""

    async def play() -> None:
        flights, now = Flights(memory=10.0), 0.0
        leader, waiting = False, []  # type: ignore[var-annotated]

        async def woken() -> None:
            nonlocal leader
            await turns()
            for task in [task for task in waiting if task.done()]:
                waiting.remove(task)
                if not task.cancelled() and task.result() == "lead":
                    assert not leader
                    leader = True

        for step in steps:
            if step == "come":
                turn = flights.turn("k", now)
                assert (turn == "wait") == leader
                if turn == "lead":
                    leader = True
                elif turn == "wait":
                    waiting.append(asyncio.ensure_future(flights.wait("k", 1000.0)))
            elif step == "leave" and waiting:
                waiting[len(waiting) // 2].cancel()
            elif leader and step in ("land", "divert", "fail"):
                await turns()
                leader = False
                if step == "divert":
                    flights.divert("k", now)
                    now += 20.0
                else:
                    getattr(flights, step)("k")
                if step != "fail":
                    await turns()
                    assert all(task.done() for task in waiting)
            await woken()
            assert leader or not waiting
        while leader:
            leader = False
            flights.fail("k")
            await woken()
        seam: Any = flights
        assert not waiting and not seam._led

    asyncio.run(play())


async def test_who_was_handed_the_lead_as_its_client_left_hands_it_on() -> None:
    flights = Flights()
    assert flights.turn("k", 0.0) == "lead"
    first = asyncio.ensure_future(flights.wait("k", 9.0))
    second = asyncio.ensure_future(flights.wait("k", 9.0))
    await turns()
    flights.fail("k")  # to the first, who does not know it yet
    first.cancel()
    await turns()
    assert await second == "lead"


async def test_what_is_remembered_is_bounded() -> None:
    flights = Flights()
    for n in range(20_000):
        assert flights.turn(str(n), 0.0) == "lead"
        flights.divert(str(n), 0.0)
    seam: Any = flights
    assert len(seam._alone) == 10_000 and not seam._led


# copies


async def read(stream: Stream) -> list[bytes]:
    pieces = []
    while piece := await stream.read():
        pieces.append(piece)
    return pieces


async def test_a_copy_is_made_of_what_passes() -> None:
    found: list[bytes | None] = []
    copied = Copied(streamed(b"ab", b"cd"), 4, found.append)
    first = await copied.read()
    copied.unread([first])  # by a plugin that looked into it
    assert await read(copied) == [b"ab", b"cd"]
    copied.abandon()  # as the front does at the end
    assert found == [b"abcd"]


async def test_there_is_no_copy_of_what_is_too_long_cut_given_up_or_has_trailers() -> None:
    found: list[bytes | None] = []
    assert await read(Copied(streamed(b"ab", b"cd"), 3, found.append)) == [b"ab", b"cd"]
    cut = Stream(asyncio.get_running_loop())
    cut.feed(b"ab")
    copied = Copied(cut, 9, found.append)
    await copied.read()
    cut.fail(BadGateway(reason="cut"))
    try:
        await copied.read()
    except BadGateway:
        copied.abandon()
    copied = Copied(streamed(b"ab"), 9, found.append)
    await copied.read()
    copied.abandon()
    ended = Stream(asyncio.get_running_loop())
    ended.feed(b"ab")
    ended.end((("A", "b"),))
    copied = Copied(ended, 9, found.append)
    assert await read(copied) == [b"ab"] and copied.trailers == (("A", "b"),)
    assert found == [None] * 4
