"""The access log's lines: every one, in order, in batches; and never a wait, whoever reads."""

from __future__ import annotations

import asyncio
import os
import threading
import time

import pytest

from gateway.telemetry import lines as module
from gateway.telemetry.lines import FLUSH, LineWriter


class Reader:
    """The other end of a pipe; reads when told to."""

    def __init__(self) -> None:
        self.end, self.writer = os.pipe()
        self.data = b""

    def read_all(self) -> bytes:
        """Until the writing end is closed."""
        while piece := os.read(self.end, 1 << 16):
            self.data += piece
        return self.data

    def close(self) -> None:
        os.close(self.end)


async def test_every_line_in_order_and_in_one_batch() -> None:
    reader = Reader()
    lines = LineWriter(reader.writer)
    lines.write(b"before the start\n")
    lines.start()
    for n in range(1000):
        lines.write(b"%d\n" % n)
    lines.stop()
    os.close(reader.writer)
    assert reader.read_all() == b"before the start\n" + b"".join(b"%d\n" % n for n in range(1000))
    assert lines.dropped == 0
    reader.close()


async def test_a_line_waits_no_longer_than_for_others() -> None:
    reader = Reader()
    lines = LineWriter(reader.writer)
    lines.start()
    lines.write(b"a\n")
    begun = time.monotonic()
    assert await asyncio.to_thread(os.read, reader.end, 10) == b"a\n"
    assert time.monotonic() - begun < FLUSH + 2
    lines.stop()
    reader.close()
    os.close(reader.writer)


async def test_a_reader_that_does_not_read_costs_lines_and_never_a_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 1 << 20)
    monkeypatch.setattr(module, "FLUSH", 0.001)
    reader = Reader()
    lines = LineWriter(reader.writer)
    lines.start()
    line = b"x" * 1023 + b"\n"
    slowest = 0.0
    for _ in range(40):  # 10 MiB into a pipe that holds 64 KiB
        for _ in range(256):
            begun = time.monotonic()
            lines.write(line)
            slowest = max(slowest, time.monotonic() - begun)
        await asyncio.sleep(0.002)
    assert lines.dropped > 5000
    assert slowest < 0.5
    begun = time.monotonic()
    lines.stop(patience=0.05)
    assert time.monotonic() - begun < 1.0
    drain = threading.Thread(target=reader.read_all)
    drain.start()
    lines._thread.join(5)
    os.close(reader.writer)
    drain.join(5)
    assert reader.data == line * (10240 - lines.dropped)  # whole lines only
    reader.close()


async def test_a_reader_that_has_gone_ends_nothing() -> None:
    reader = Reader()
    lines = LineWriter(reader.writer)
    lines.start()
    reader.close()
    lines.write(b"nobody hears it\n")
    lines.stop()
    assert not lines._thread.is_alive()
    os.close(reader.writer)
