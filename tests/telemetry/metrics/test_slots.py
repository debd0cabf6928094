"""Numbers that outlive their writer, and that are read at any moment of its writing."""

from __future__ import annotations

import errno
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.telemetry.metrics import chunk
from gateway.telemetry.metrics.chunk import MAGIC, SIZE, BadChunk, Chunk
from gateway.telemetry.metrics.families import Metrics
from gateway.telemetry.metrics.reading import merge
from gateway.telemetry.metrics.slots import SlotFile, forget, read, read_all, slot_file

Found = dict[bytes, list[float]]


def found(path: Path) -> Found:
    source = read(path)
    return {} if source is None else dict(source.entries)


def add(file: SlotFile, name: bytes, amount: float, slots: int = 1) -> None:
    view, index = file.take(name, slots)
    view[index] += amount


OPERATIONS = st.lists(st.tuples(st.sampled_from([b"a", b"bc", b"0123456789abcdef", b"x" * 500]), st.integers(1, 3)), max_size=12)


@settings(max_examples=40, deadline=None)
@given(OPERATIONS)
def test_a_reader_sees_what_was_there_before_or_after_a_write_and_nothing_else(tmp_path_factory: Any, operations: Any) -> None:
    """Read after every line that the writer executes, in whatever state that is: opening, growing, an entry half written."""
    path = tmp_path_factory.mktemp("slots") / "0.slots"
    allowed: list[Found] = [{}]
    wrong: list[Found] = []

    def look(frame: FrameType, event: str, argument: Any) -> Any:
        if Path(frame.f_code.co_filename).name in ("slots.py", "chunk.py") or frame.f_code.co_name == "add":
            sys.settrace(None)
            if event == "line" and (seen := found(path)) not in allowed:
                wrong.append(seen)
            sys.settrace(look)
        return look

    now: Found = {}
    before = sys.gettrace()
    sys.settrace(look)
    try:
        file = SlotFile(path)
        for name, amount in operations:
            bound = {**now, name: now.get(name, [0.0])}
            after = {**bound, name: [bound[name][0] + amount]}
            allowed = [now, bound, after]
            add(file, name, amount)
            now = after
    finally:
        sys.settrace(before)
    assert not wrong
    assert found(path) == now == dict(file.read().entries)


def test_an_entry_that_a_killed_writer_left_half_written_is_no_part_of_the_next(tmp_path: Path) -> None:
    view = memoryview(bytearray(SIZE))
    one = Chunk(view)
    one.begin(1)
    view[24:100] = b"\xff" * 76
    index = one.append(b"a", 3)
    assert list(one.entries()) == [(b"a", [0.0, 0.0, 0.0])]
    assert one.doubles[index] == 0.0


WRITER = """
import os, sys
from pathlib import Path
from gateway.telemetry.metrics.families import Metrics
from gateway.telemetry.metrics.slots import SlotFile
requests = Metrics(SlotFile(Path(sys.argv[1]))).counter("requests", "Requests.", ("n",), series=10**9)
n = 0
while True:
    requests.bind(n=n // 3).add()
    os.write(1, b".")
    n += 1
"""


def test_a_writer_killed_in_the_middle_loses_nothing_and_its_successor_goes_on(tmp_path: Path) -> None:
    path = slot_file(tmp_path, 3)
    told = 0
    for _ in range(3):
        with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            some = writer.stdout.read(20_000)  # new entries and new chunks meanwhile
            assert read(path) is not None
            writer.send_signal(signal.SIGKILL)
            told += len(some) + len(writer.stdout.read())
        (source,) = read_all(tmp_path)
        assert (source.worker, source.process) == ("3", 0)
        (requests,) = merge([source])
        total = sum(slots[0] for slots in requests.series.values())
        assert told <= total <= told + 3  # each of the three may have been killed between counting and telling
    assert path.stat().st_size > SIZE


def test_names_stay_where_they_are(tmp_path: Path) -> None:
    file = SlotFile(tmp_path / "0.slots")
    for n in range(5000):
        add(file, b"%d" % n, n, slots=4)
    assert file.take(b"17", 4) == file.take(b"17", 4)
    assert found(tmp_path / "0.slots") == {b"%d" % n: [n, 0, 0, 0] for n in range(5000)}
    file.close()
    again = SlotFile(tmp_path / "0.slots")
    add(again, b"4999", 1, slots=4)
    assert found(tmp_path / "0.slots")[b"4999"] == [5000, 0, 0, 0]


@pytest.mark.parametrize(
    ("content", "warns"),
    [
        (b"", False),
        (b"garbage", False),  # less than a chunk: one is being added
        (bytes(SIZE), False),  # added, not begun
        (b"garbage".ljust(SIZE, b"\0"), True),
        (b"gwslots9".ljust(SIZE, b"\0"), True),  # of another version
        (MAGIC + (1 << 60).to_bytes(8, sys.byteorder) + bytes(SIZE - 16), True),
        (MAGIC + (7).to_bytes(8, sys.byteorder) + bytes(SIZE - 16), True),
        (MAGIC + (1000).to_bytes(8, sys.byteorder) + b"\xff" * (SIZE - 16), True),
        (os.urandom(2 * SIZE), True),
    ],
)
def test_what_is_no_such_file_is_left_out_by_readers_and_begun_anew_by_a_writer(
    content: bytes, warns: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "0.slots"
    path.write_bytes(content)
    assert read(path) is None or found(path) == {}
    assert bool(caplog.records) == warns
    caplog.clear()
    add(SlotFile(path), b"a", 2)
    assert found(path) == {b"a": [2]}
    assert bool(caplog.records) == warns


@pytest.mark.parametrize("at", range(24, 24 + 16 + 8, 3))
def test_a_flipped_bit_is_seen(at: int, tmp_path: Path) -> None:
    view = memoryview(bytearray(SIZE))
    one = Chunk(view)
    one.begin(1)
    one.append(b"a", 1)
    view[at] ^= 1
    if at - 24 < 12 or at == 24 + 16:  # the entry's sizes, CRC and name; the rest is padding
        with pytest.raises(BadChunk):
            list(one.entries())


def test_a_full_disk_costs_the_new_numbers_their_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    file = SlotFile(tmp_path / "0.slots")
    add(file, b"a", 1)

    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    for n in range(5000):
        add(file, b"%d" % n, 1, slots=4)
    add(file, b"a", 1)
    assert found(tmp_path / "0.slots")[b"a"] == [2]
    assert len(file.read().entries) == 5001
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "No space left" in caplog.text


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "metrics").write_text("a file")
    file = SlotFile(slot_file(tmp_path, 0))
    add(file, b"a", 1)
    assert dict(file.read().entries) == {b"a": [1]}
    assert "kept in memory" in caplog.text


def test_too_much_for_one_name() -> None:
    with pytest.raises(ValueError, match="too much"):
        SlotFile().take(b"a", SIZE)


def test_a_gateway_forgets_what_a_former_one_counted(tmp_path: Path) -> None:
    for worker in (0, 1):
        add(SlotFile(slot_file(tmp_path, worker)), b"a", 1)
    assert len(read_all(tmp_path)) == 2
    forget(tmp_path)
    assert read_all(tmp_path) == []
    forget(tmp_path / "nowhere")


def test_who_has_ended_is_known(tmp_path: Path) -> None:
    path = slot_file(tmp_path, 0)
    file = SlotFile(path)
    add(file, b"a", 1)
    source = read(path)
    assert source is not None and source.process == os.getpid()
    file.close()
    source = read(path)
    assert source is not None and source.process == 0 and source.entries


def test_gauges_of_a_worker_that_was_killed_begin_at_nothing(tmp_path: Path) -> None:
    path = slot_file(tmp_path, 0)
    for expected in (1.0, 2.0):
        metrics = Metrics(SlotFile(path))
        metrics.gauge("active", "Active.").bind().add()
        metrics.counter("all", "All.").bind().add()
        values = {one.shape.name: one.series[()] for one in merge([metrics.read()])}
        assert values == {"active": [1.0], "all": [expected]}


def test_a_multiple_of_pages() -> None:
    assert chunk.SIZE % 65536 == 0
