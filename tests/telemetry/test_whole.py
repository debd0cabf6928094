"""Lines of several processes in one stream."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

from hypothesis import given
from hypothesis import strategies as st

from gateway.telemetry.whole import at_once, whole_lines


@given(st.lists(st.binary(max_size=30).map(lambda line: line.replace(b"\n", b".") + b"\n")), st.integers(1, 60))
def test_pieces_are_the_batch_small_enough_and_end_where_lines_do(lines: list[bytes], most: int) -> None:
    batch = b"".join(lines)
    pieces = [bytes(piece) for piece in whole_lines(batch, most)]
    assert b"".join(pieces) == batch
    assert all(len(piece) <= most for piece in pieces)
    if all(len(line) <= most for line in lines):
        assert all(piece.endswith(b"\n") for piece in pieces if piece)


WRITER = """
import os, sys
from gateway.telemetry.whole import at_once, whole_lines
line = sys.argv[1].encode() * 200 + b"\\n"
for _ in range(200):
    for rest in whole_lines(line * 50, at_once(1)):
        while rest:
            rest = rest[os.write(1, rest) :]
"""


def test_two_processes_write_to_one_pipe_and_no_line_is_torn() -> None:
    read, write = os.pipe()
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, letter], stdout=write) for letter in "ab"]
    os.close(write)
    with open(read, "rb") as stream:
        lines = stream.read().splitlines()
    assert [writer.wait() for writer in writers] == [0, 0]
    assert len(lines) == 20_000
    assert {bytes(set(line)) for line in lines} == {b"a", b"b"}
    assert {len(line) for line in lines} == {200}


def test_a_file_takes_any_number_of_lines_at_once() -> None:
    with tempfile.TemporaryFile() as file:
        assert at_once(file.fileno()) == sys.maxsize
