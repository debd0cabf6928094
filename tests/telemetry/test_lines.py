"""The access log's lines: every one, in order, in batches; and never a wait, whoever reads and however full the disk is."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

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


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.005)


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FLUSH", 0.001)


async def test_every_line_in_order_and_in_one_batch() -> None:
    reader = Reader()
    lines = LineWriter(reader.writer)
    for n in range(1000):
        lines.write(b"%d\n" % n)
    lines.stop()
    os.close(reader.writer)
    assert reader.read_all() == b"".join(b"%d\n" % n for n in range(1000))
    assert lines.dropped == 0
    reader.close()


@pytest.mark.alone
async def test_a_line_waits_no_longer_than_for_others() -> None:
    reader = Reader()
    lines = LineWriter(reader.writer)
    lines.write(b"a\n")
    begun = time.monotonic()
    assert await asyncio.to_thread(os.read, reader.end, 10) == b"a\n"
    assert time.monotonic() - begun < FLUSH + 2
    lines.stop()
    reader.close()
    os.close(reader.writer)


@pytest.mark.alone
async def test_a_reader_that_does_not_read_costs_lines_and_never_a_wait(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, soon: None
) -> None:
    monkeypatch.setattr(module, "MOST", 1 << 20)
    reader = Reader()
    lines = LineWriter(reader.writer)
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
    lines.join(5)
    os.close(reader.writer)
    drain.join(5)
    assert reader.data == line * (10240 - lines.dropped)  # whole lines only
    reader.close()
    assert [record.getMessage() for record in caplog.records] == [
        "the access log loses lines, standard output cannot be written: 1 MiB wait for it",
        f"the access log is written to standard output again; {lines.dropped} lines were lost",
    ]


async def test_a_reader_that_has_gone_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    reader = Reader()
    lines = LineWriter(reader.writer)
    reader.close()
    lines.write(b"nobody hears it\n")
    lines.stop()
    assert not lines.is_busy
    assert lines.dropped == 1
    assert "standard output cannot be written: Broken pipe" in caplog.text
    os.close(reader.writer)


# Files


async def test_a_file_is_made_with_its_folder_for_its_owner_and_group(tmp_path: Path) -> None:
    file = tmp_path / "var" / "log" / "access.log"
    lines = LineWriter(file)
    lines.write(b"a\n")
    lines.stop()
    assert file.read_bytes() == b"a\n"
    assert not stat.S_IMODE(file.stat().st_mode) & 0o007


async def test_a_file_is_appended_to(tmp_path: Path) -> None:
    file = tmp_path / "access.log"
    for text in (b"a\n", b"b\n"):
        lines = LineWriter(file)
        lines.write(text)
        lines.stop()
    assert file.read_bytes() == b"a\nb\n"


async def test_half_a_line_that_a_dead_process_left_is_ended_first(tmp_path: Path) -> None:
    file = tmp_path / "access.log"
    file.write_bytes(b'a\n{"half')
    lines = LineWriter(file)
    lines.write(b"b\n")
    lines.stop()
    assert file.read_bytes() == b'a\n{"half\nb\n'


async def test_after_a_rename_lines_go_to_a_new_file_and_none_is_lost(tmp_path: Path, soon: None) -> None:
    file, old = tmp_path / "access.log", tmp_path / "access.log.1"
    lines = LineWriter(file)
    lines.write(b"before\n")
    file.rename(old)
    lines.write(b"after the rename\n")
    lines.reopen()
    lines.write(b"after the signal\n")
    lines.stop()
    assert (old.read_bytes(), file.read_bytes()) == (b"before\nafter the rename\n", b"after the signal\n")
    assert lines.dropped == 0


async def test_a_file_that_cannot_be_opened_again_is_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file, old = tmp_path / "log" / "access.log", tmp_path / "old"
    lines = LineWriter(file)
    lines.write(b"before\n")
    file.parent.rename(old)
    file.parent.write_text("a file where the folder was")
    lines.reopen()
    lines.write(b"after\n")
    lines.stop()
    assert (old / "access.log").read_bytes() == b"before\nafter\n"
    assert "cannot be opened again, so the access log stays in the file it had" in caplog.text


def test_what_is_never_written_needs_no_thread(tmp_path: Path) -> None:
    before = threading.active_count()
    lines = LineWriter(tmp_path / "access.log")
    lines.stop()
    lines.stop()
    assert threading.active_count() == before
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(lines._descriptor)


# A full disk


@pytest.fixture
def room() -> Iterator[Callable[[int | None], None]]:
    """Sets the size that no file of this process may exceed, nor that to which the tests' output may go; None: as it was."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(size: int | None) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft if size is None else size, hard))

    yield limit
    limit(None)


async def test_a_full_disk_costs_lines_that_are_counted_told_once_and_it_recovers(
    tmp_path: Path, room: Callable[[int | None], None], caplog: pytest.LogCaptureFixture, soon: None
) -> None:
    """The line that was cut in the middle is ended before the next one."""
    file = tmp_path / "access.log"
    lines = LineWriter(file)
    room(25)
    for n in range(4):
        lines.write(b"line %04d\n" % n)  # 10 bytes: the third is cut
    await until(lambda: lines.dropped == 2)
    for n in range(4, 6):
        lines.write(b"line %04d\n" % n)
        await until(lambda n=n: lines.dropped == n - 1)  # type: ignore[misc]
    room(None)
    lines.write(b"line 0006\n")
    lines.stop()
    assert file.read_bytes() == b"line 0000\nline 0001\nline \nline 0006\n"
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("ERROR", f"the access log loses lines, {file} cannot be written: File too large"),
        ("WARNING", f"the access log is written to {file} again; 4 lines were lost"),
    ]


async def test_a_second_trouble_is_told_too(
    tmp_path: Path, room: Callable[[int | None], None], caplog: pytest.LogCaptureFixture, soon: None
) -> None:
    lines = LineWriter(tmp_path / "access.log")
    for n in range(1, 3):
        room(lines_size := (tmp_path / "access.log").stat().st_size)
        lines.write(b"lost\n")
        await until(lambda n=n: lines.dropped == n)  # type: ignore[misc]
        room(None)
        lines.write(b"kept\n")
        await until(lambda before=lines_size: (tmp_path / "access.log").stat().st_size > before)  # type: ignore[misc]
    lines.stop()
    assert (tmp_path / "access.log").read_bytes() == b"kept\nkept\n"
    assert [record.levelno for record in caplog.records] == [logging.ERROR, logging.WARNING] * 2
    assert caplog.text.count("1 lines were lost") == 2


async def test_no_space_left(caplog: pytest.LogCaptureFixture) -> None:
    lines = LineWriter(Path("/dev/full"))
    for _ in range(3):
        lines.write(b"line\n")
    lines.stop()
    assert lines.dropped == 3
    assert "/dev/full cannot be written: No space left on device" in caplog.text
