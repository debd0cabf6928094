"""Lines of several processes in one stream."""

from __future__ import annotations

import fcntl
import os
import select
import subprocess
import sys
import tempfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.telemetry.whole import undivided, whole_lines


@given(st.lists(st.binary(max_size=30).map(lambda line: line.replace(b"\n", b".") + b"\n")), st.integers(1, 60))
def test_pieces_are_the_batch_small_enough_and_end_where_lines_do(lines: list[bytes], most: int) -> None:
    batch = b"".join(lines)
    pieces = [bytes(piece) for piece in whole_lines(batch, most)]
    assert b"".join(pieces) == batch
    assert all(len(piece) <= most for piece in pieces)
    if all(len(line) <= most for line in lines):
        assert all(piece.endswith(b"\n") for piece in pieces if piece)


WRITER = """
import os, sys, threading
from gateway.telemetry.whole import undivided, whole_lines
size = int(sys.argv[2])
def write(letter):
    for _ in range(30_000_000 // size // 60):
        with undivided(1) as most:
            for rest in whole_lines((letter.encode() * size + b"\\n") * 10, most):
                while rest:
                    rest = rest[os.write(1, rest[: int(sys.argv[3])]) :]
threads = [threading.Thread(target=write, args=(letter,)) for letter in sys.argv[1]]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
"""


@pytest.mark.parametrize(("size", "most"), [(200, 1 << 20), (100_000, 1 << 20), (30_000, 5_000)])
def test_processes_and_threads_write_to_one_pipe_and_no_line_is_torn(size: int, most: int) -> None:
    """However long the lines are, and in however many pieces they are written."""
    read, write = os.pipe()
    command = [sys.executable, "-c", WRITER]
    writers = [subprocess.Popen([*command, letters, str(size), str(most)], stdout=write) for letters in ("ab", "cd")]
    os.close(write)
    with open(read, "rb") as stream:
        lines = stream.read().splitlines()
    assert [writer.wait() for writer in writers] == [0, 0]
    assert len(lines) == 30_000_000 // size // 60 * 4 * 10
    assert {bytes(set(line)) for line in lines} == {b"a", b"b", b"c", b"d"}
    assert {len(line) for line in lines} == {size}


def test_a_writer_that_dies_holds_nobody_up() -> None:
    read, write = os.pipe()
    held = "import sys\nfrom gateway.telemetry.whole import undivided\nwith undivided(1):\n    print('x', file=sys.stderr, flush=True)\n"
    writer = subprocess.Popen([sys.executable, "-c", f"{held}    sys.stdin.read()"], stdin=-1, stdout=write, stderr=subprocess.PIPE)
    assert writer.stderr is not None and writer.stderr.read(1) == b"x"
    writer.kill()
    with undivided(write) as most:
        assert most == sys.maxsize
    writer.communicate()
    os.close(read)
    os.close(write)


def test_a_system_that_locks_no_pipes_takes_short_lines_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int, command: int) -> None:
        raise OSError("not supported")

    monkeypatch.setattr(fcntl, "lockf", refuse)
    read, write = os.pipe()
    with undivided(write) as most:
        assert most == select.PIPE_BUF
    os.close(read)
    os.close(write)


def test_a_file_takes_any_number_of_lines_at_once() -> None:
    with tempfile.TemporaryFile() as file, undivided(file.fileno()) as most:
        assert most == sys.maxsize
