"""Files of lines: one writer for each, open as long as somebody writes there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gateway.telemetry.files import LineFiles


def descriptors(file: Path) -> int:
    """How many of this process are open on it."""
    found = 0
    for one in Path("/proc/self/fd").iterdir():
        try:
            found += os.readlink(one) == str(file)
        except FileNotFoundError:
            continue  # that of the listing itself
    return found


async def test_the_same_file_twice_has_one_writer_and_is_closed_with_the_last(tmp_path: Path) -> None:
    files, file = LineFiles(), tmp_path / "a.log"
    first, second = files.open(file), files.open(file)
    assert descriptors(file) == 1
    first.write(b"1\n")
    second.write(b"2\n")
    first.close()
    assert descriptors(file) == 1
    second.write(b"3\n")
    second.close()
    files.stop()
    assert descriptors(file) == 0
    assert file.read_bytes() == b"1\n2\n3\n"


async def test_files_are_apart(tmp_path: Path) -> None:
    files = LineFiles()
    for name in ("a", "b"):
        files.open(tmp_path / name).write(name.encode() + b"\n")
    for name in ("a", "b"):
        (tmp_path / name).rename(tmp_path / f"{name}.1")
    files.reopen()
    files.stop()
    assert [(tmp_path / name).read_text() for name in ("a.1", "b.1", "a", "b")] == ["a\n", "b\n", "", ""]


async def test_one_that_was_closed_can_be_opened_again_at_once(tmp_path: Path) -> None:
    files, file = LineFiles(), tmp_path / "a.log"
    for n in range(3):
        use = files.open(file)
        use.write(b"%d\n" % n)
        use.close()
    files.stop()
    assert sorted(file.read_bytes().split()) == [b"0", b"1", b"2"]


async def test_lost_lines_of_all_are_counted() -> None:
    files = LineFiles()
    use = files.open(Path("/dev/full"))
    use.write(b"1\n2\n")
    use.close()
    use = files.open(Path("/dev/full"))
    use.write(b"3\n")
    files.stop()
    assert files.dropped == 3


def test_one_that_cannot_be_opened_is_not_kept(tmp_path: Path) -> None:
    files = LineFiles()
    with pytest.raises(IsADirectoryError):
        files.open(tmp_path)
    files.stop()
