"""What stands in the folder of a policy's state, who may read it, and that it is true."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.state.folder import folder_of, write
from gateway.state.record import FILE, LOCK, Record, Reload, State, running
from gateway.state.revisions import MOST, Revisions, hashed

STATE = State(4711, "/etc/gateway/gateway.yaml", 3, 2, 2, 1, Reload(False, "2026-01-01T00:00:00Z", 0.25, ("a: wrong", "b: wrong"), ()))


@pytest.mark.parametrize(
    ("policy", "named", "found"),
    [
        ("/etc/gateway/gateway.yaml", None, "/etc/gateway/var/gateway"),
        ("/etc/gateway/staging.yaml", None, "/etc/gateway/var/staging"),
        ("/etc/gateway/gateway.yaml", "/run/gateway", "/run/gateway"),
    ],
)
def test_where(policy: str, named: str | None, found: str) -> None:
    assert folder_of(policy, named) == Path(found)


def test_a_file_is_replaced_whole_and_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "below" / "file"
    write(path, "new: \u00e9\r\n")
    assert path.read_bytes() == "new: \u00e9\r\n".encode()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    write(path, "newer")
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode), os.listdir(path.parent)) == ("newer", 0o644, ["file"])


def test_a_file_that_cannot_be_replaced_stays_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    (tmp_path / "file" / "not empty").mkdir(parents=True)
    with pytest.raises(OSError, match="irectory"):
        write(tmp_path / "file", "text")
    assert os.listdir(tmp_path) == ["file"]


def test_a_gateway_is_found_while_it_runs(tmp_path: Path) -> None:
    assert running(tmp_path) is None
    record = Record(tmp_path)
    record.open()
    assert running(tmp_path) is None  # it has not said anything yet
    record.write(STATE)
    assert running(tmp_path) == STATE
    record.close()
    assert json.loads((tmp_path / FILE).read_text())["pid"] == 4711
    assert running(tmp_path) is None


def test_a_gateway_that_was_killed_is_not_found(tmp_path: Path) -> None:
    """Whoever has its process id now gets no signal."""
    code = f"""
import os
from pathlib import Path
from gateway.state.record import Record, State
record = Record(Path({str(tmp_path)!r}))
record.open()
record.write(State({os.getpid()}, "gateway.yaml"))
os.kill(os.getpid(), 9)
"""
    assert subprocess.run([sys.executable, "-c", code]).returncode == -9
    assert (tmp_path / FILE).exists() and (tmp_path / LOCK).exists()
    assert running(tmp_path) is None


def test_of_two_gateways_the_first_keeps_the_record(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first, second = Record(tmp_path), Record(tmp_path)
    first.open()
    first.write(STATE)
    second.open()
    second.write(State(1, "other"))
    assert running(tmp_path) == STATE
    assert ["another gateway keeps its state in" in message for message in caplog.messages] == [True]
    first.close()
    second.close()


def test_revisions_are_numbered_once_for_each_change(tmp_path: Path) -> None:
    revisions = Revisions(tmp_path)
    assert revisions.all() == []
    contents = [{"gateway.yaml": "a"}, {"gateway.yaml": "a"}, {"gateway.yaml": "a", "more.yaml": "b"}, {"gateway.yaml": "a"}]
    assert [revisions.keep(files, 1) for files in contents] == [1, 1, 2, 3]
    assert [(one.number, one.routes, one.files) for one in revisions.all()] == [
        (1, 1, contents[0]),
        (2, 1, contents[2]),
        (3, 1, contents[3]),
    ]
    assert [one.hash for one in revisions.all()] == [hashed(contents[n]) for n in (0, 2, 3)]


def test_the_oldest_revision_goes(tmp_path: Path) -> None:
    revisions = Revisions(tmp_path)
    for n in range(MOST + 5):
        revisions.keep({"gateway.yaml": str(n)}, n)
    assert [one.number for one in revisions.all()] == list(range(6, MOST + 6))
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "revisions").iterdir()} == {0o600}


def test_a_file_that_is_no_revision_is_passed_over(tmp_path: Path) -> None:
    revisions = Revisions(tmp_path)
    revisions.keep({"gateway.yaml": "a"}, 1)
    for name, text in (("000002.json", "{"), ("000003.json", "[]"), ("000004.json", '{"number": 4}')):
        (tmp_path / "revisions" / name).write_text(text)
    assert [one.number for one in revisions.all()] == [1]
