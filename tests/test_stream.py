"""A body on its way: order, backpressure, the end, the cut, and what a reader may do with it."""

from __future__ import annotations

import asyncio
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import ClientGone
from gateway.stream import HIGH, Stream

LOW = HIGH // 4


class Sender:
    """What a stream asks of the connection that feeds it."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.stream = Stream(asyncio.get_running_loop(), lambda: self.asked.append("pause"), lambda: self.asked.append("resume"))


async def rest(stream: Stream) -> list[bytes]:
    pieces = []
    while piece := await stream.read():
        pieces.append(piece)
    return pieces


async def test_pieces_come_in_order_then_the_end_again_and_again() -> None:
    stream = Sender().stream
    for piece in (b"a", b"b"):
        stream.feed(piece)
    stream.end((("X-Sum", "1"),))
    assert await rest(stream) == [b"a", b"b"]
    assert await stream.read() == b""
    assert stream.trailers == (("X-Sum", "1"),)
    assert stream.total == 2


async def test_a_waiting_reader_is_woken_by_a_piece_and_by_the_end() -> None:
    stream = Sender().stream
    reading = asyncio.create_task(rest(stream))
    await asyncio.sleep(0)
    stream.feed(b"a")
    await asyncio.sleep(0)
    assert not reading.done()
    stream.end()
    assert await reading == [b"a"]


async def test_a_cancelled_read_loses_nothing() -> None:
    stream = Sender().stream
    reading = asyncio.create_task(stream.read())
    await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    stream.feed(b"a")
    assert await stream.read() == b"a"


async def test_a_slow_reader_pauses_the_sender_once_and_resumes_it_below_a_quarter() -> None:
    sender = Sender()
    piece = bytes(LOW)
    for n in range(4):
        sender.stream.feed(piece)
    assert sender.asked == []  # exactly full is not too full
    sender.stream.feed(b"x")
    sender.stream.feed(b"x")
    assert sender.asked == ["pause"]
    assert sender.stream.paused
    for left in (3 * LOW + 2, 2 * LOW + 2, LOW + 2):
        await sender.stream.read()
        assert sender.asked == ["pause"], left
    await sender.stream.read()
    assert sender.asked == ["pause", "resume"]
    assert not sender.stream.paused


@pytest.mark.parametrize("when", ["before the read", "while it waits"])
async def test_a_cut_body_is_never_delivered_as_if_it_were_whole(when: str) -> None:
    stream = Sender().stream
    if when == "before the read":
        stream.feed(b"a")
        stream.fail(ClientGone())
        with pytest.raises(ClientGone):
            await stream.read()
    else:
        reading = asyncio.create_task(stream.read())
        await asyncio.sleep(0)
        stream.fail(ClientGone())
        with pytest.raises(ClientGone):
            await reading
    assert stream.failed
    assert stream.take() is None


async def test_the_first_failure_counts_and_one_after_the_end_does_not() -> None:
    cut, whole = Sender().stream, Sender().stream
    cut.fail(ClientGone())
    cut.fail(KeyError())
    with pytest.raises(ClientGone):
        await cut.read()
    whole.feed(b"a")
    whole.end()
    whole.fail(ClientGone())
    assert await rest(whole) == [b"a"]
    assert not whole.failed


@pytest.mark.parametrize(("state", "told"), [("open", 1), ("ended", 0), ("failed", 0)])
async def test_only_a_body_that_is_still_coming_can_be_abandoned(state: str, told: int) -> None:
    stream = Sender().stream
    abandoned: list[bool] = []
    stream.abandoned = lambda: abandoned.append(True)
    if state == "ended":
        stream.end()
    elif state == "failed":
        stream.fail(ClientGone())
    stream.abandon()
    assert len(abandoned) == told


async def test_unread_puts_back_in_front_and_in_order() -> None:
    stream = Sender().stream
    for piece in (b"a", b"b", b"c"):
        stream.feed(piece)
    stream.end()
    stream.unread([await stream.read(), await stream.read()])
    assert await rest(stream) == [b"a", b"b", b"c"]


async def test_take_is_all_or_nothing() -> None:
    stream = Sender().stream
    stream.feed(b"a")
    assert stream.take() is None
    stream.feed(b"b")
    stream.end()
    assert stream.take() == b"ab"
    assert await stream.read() == b""
    empty = Sender().stream
    empty.end()
    assert empty.take() == b""


async def test_take_lets_a_paused_sender_go_on() -> None:
    """Only a connection that is read tells that its client has left."""
    sender = Sender()
    sender.stream.feed(bytes(HIGH + 1))
    sender.stream.end()
    assert len(sender.stream.take() or b"") == HIGH + 1
    assert sender.asked == ["pause", "resume"]
    assert not sender.stream.paused


async def test_the_first_read_and_no_other_says_that_somebody_reads() -> None:
    stream = Sender().stream
    started: list[bool] = []
    stream.started = lambda: started.append(True)
    stream.feed(b"a")
    assert started == []
    stream.end()
    await rest(stream)
    assert started == [True]


@given(st.lists(st.binary(min_size=1, max_size=8), max_size=20), st.randoms(use_true_random=False))
def test_whatever_the_interleaving_the_body_is_the_same(pieces: list[bytes], random: Random) -> None:
    async def play() -> bytes:
        stream = Stream(asyncio.get_running_loop())
        reading = asyncio.create_task(rest(stream))
        for piece in pieces:
            stream.feed(piece)
            if random.random() < 0.5:
                await asyncio.sleep(0)
        stream.end()
        return b"".join(await reading)

    assert asyncio.run(play()) == b"".join(pieces)
