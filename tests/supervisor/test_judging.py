"""What the supervisor thinks, at every moment: tables of values and times."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from gateway.server.reading import Terms
from gateway.supervisor.balance import ahead
from gateway.supervisor.cores import quota
from gateway.supervisor.judging import MOST, Beat, Deaths, ended, pause, slept, together, verdict
from gateway.supervisor.stack import Frame, blocking, stack
from gateway.supervisor.voting import Lost, No, Vote, Yes, decide


def test_a_crash_loop_burns_nothing() -> None:
    pauses = [pause(n) for n in range(1, 14)]
    assert pauses[:5] == [0.0, 0.1, 0.2, 0.4, 0.8]
    assert pauses == sorted(pauses) and pauses[-1] == MOST == pause(10**9)
    assert sum(pause(n) > 0 for n in range(1, 1000)) == 998  # only the first is at once


@pytest.mark.parametrize(
    ("lives", "pauses"),
    [
        ([0, 0, 0], [0.0, 0.1, 0.2]),
        ([59.9, 59.9], [0.0, 0.1]),
        ([0, 0, 60, 0], [0.0, 0.1, 0.0, 0.1]),  # one that lived for a minute has ended the row
        ([3600, 3600], [0.0, 0.0]),
    ],
)
def test_deaths_in_a_row(lives: list[float], pauses: list[float]) -> None:
    deaths = Deaths()
    assert [deaths.after(lived) for lived in lives] == pauses


def terms(memory: int | None = None, age: float | None = None) -> Terms:
    return Terms(1.0, 1.0, memory, age, "INFO", None, (None, 60.0))


@pytest.mark.parametrize(
    ("beat", "silent", "age", "of", "found"),
    [
        (Beat(), 0.0, 0.0, terms(), "well"),
        (Beat(), 9.99, 1e9, terms(), "well"),
        (Beat(), 10.0, 0.0, terms(), "hangs"),
        (Beat(memory=100), 10.0, 99.0, terms(50, 5), "hangs"),  # before all else
        (Beat(memory=100), 0.0, 60.0, terms(100), "large"),
        (Beat(memory=99), 0.0, 60.0, terms(100), "well"),
        (Beat(memory=100), 0.0, 59.9, terms(100), "well"),  # so from its beginning: it would be so again
        (Beat(memory=None), 0.0, 99.0, terms(100), "well"),
        (Beat(memory=10**12), 0.0, 99.0, terms(), "well"),
        (Beat(), 0.0, 5.0, terms(age=5.0), "old"),
        (Beat(), 0.0, 4.9, terms(age=5.0), "well"),
    ],
)
def test_verdicts(beat: Beat, silent: float, age: float, of: Terms, found: str) -> None:
    assert verdict(beat, silent, age, of) == found


@pytest.mark.parametrize(("since", "found"), [(1.0, False), (2.9, False), (3.1, True), (60.0, True)])
def test_a_supervisor_that_slept_blames_nobody(since: float, found: bool) -> None:
    assert slept(since) is found


@pytest.mark.parametrize(
    ("answers", "status", "ready"),
    [
        ([("ok", True)], "ok", True),
        ([("ok", True), ("degraded", True)], "degraded", True),
        ([("unready", False), ("ok", True)], "unready", True),
        ([("draining", False), ("draining", False)], "draining", False),
        ([("unready", False), ("degraded", False)], "unready", False),
    ],
)
def test_health_of_all(answers: list[tuple[str, bool]], status: str, ready: bool) -> None:
    found = together([{"status": one, "ready": is_ready, "checks": {}} for one, is_ready in answers])
    assert found == {"status": status, "ready": ready, "checks": {}}


@pytest.mark.parametrize(
    ("code", "told"), [(0, "with exit code 0"), (3, "with exit code 3"), (-9, "by SIGKILL"), (-11, "by SIGSEGV"), (-63, "by signal 63")]
)
def test_ends_in_words(code: int, told: str) -> None:
    assert ended(code) == told


YES, NO, LOST = Yes("a"), No(("g.yaml:1:1: wrong",)), Lost("worker 0 ended")


@pytest.mark.parametrize(
    ("votes", "mistakes"),
    [
        ([YES], ()),
        ([YES, YES, YES], ()),
        ([NO], NO.mistakes),
        ([YES, NO, NO], NO.mistakes),  # once
        ([YES, NO, No(("other",))], (*NO.mistakes, "other")),
        ([YES, LOST], ()),  # its follower will be told
        ([YES, LOST, NO], NO.mistakes),
        ([LOST], ("worker 0 ended",)),
        ([LOST, YES], ("worker 0 ended",)),  # the one that tried it first
        ([YES, Yes("b")], ("the workers did not read the same: a file that the policy names is changing; reload again",)),
    ],
)
def test_all_or_none(votes: list[Vote], mistakes: tuple[str, ...]) -> None:
    assert decide(votes) == mistakes


@pytest.mark.parametrize(
    ("own", "others", "found"),
    [
        (0, [0], False),
        (4, [0], False),
        (5, [0], True),
        (5, [], False),
        (100, [88], False),
        (100, [87], True),
        (100, [300, 99], False),
        (100, [300, 10], True),
    ],
)
def test_who_is_ahead(own: int, others: list[int], found: bool) -> None:
    assert ahead(own, others) is found


def cgroups(folder: Path, files: dict[str, str]) -> tuple[Path, Path]:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder / "sys", folder / "own"


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({}, math.inf),
        ({"own": "0::/\n", "sys/cpu.max": "150000 100000\n"}, 1.5),
        ({"own": "0::/\n", "sys/cpu.max": "max 100000\n"}, math.inf),
        ({"own": "0::/a/b\n", "sys/a/b/cpu.max": "max 100000\n", "sys/a/cpu.max": "200000 100000\n"}, 2.0),  # of a group around it
        ({"own": "0::/a/b\n", "sys/cpu.max": "50000 100000\n"}, 0.5),  # the path is the host's, the mount the container's
        ({"own": "4:cpu,cpuacct:/x\n", "sys/cpu/x/cpu.cfs_quota_us": "300000\n", "sys/cpu/x/cpu.cfs_period_us": "100000\n"}, 3.0),
        ({"own": "4:cpu,cpuacct:/\n", "sys/cpu,cpuacct/cpu.cfs_quota_us": "-1\n", "sys/cpu,cpuacct/cpu.cfs_period_us": "1\n"}, math.inf),
        ({"own": "4:memory:/\n", "sys/cpu.max": "1 2\n"}, math.inf),
        ({"own": "0::/\n", "sys/cpu.max": "nonsense\n"}, math.inf),
        ({"own": "0::/\n", "sys/cpu.max": "1 0\n"}, math.inf),
    ],
)
def test_the_quota_of_cgroups(files: dict[str, str], found: float, tmp_path: Path) -> None:
    assert quota(*cgroups(tmp_path, files)) == found


DUMP = """Thread 0x00007f1 (most recent call first):
  File "/usr/lib/python3.11/queue.py", line 171 in get
  File "/srv/gateway/telemetry/lines.py", line 60 in _write_batches

Current thread 0x00007f0 (most recent call first):
  File "/usr/lib/python3.11/json/decoder.py", line 355 in raw_decode
  File "/etc/gw/plugins/mine.py", line 12 in on_request
  File "/srv/plugins/rewrite.py", line 3 in on_request
  File "/srv/gateway/pipeline.py", line 90 in answer
  File "/srv/gateway/supervisor/worker.py", line 200 in main
"""


def test_the_stack_of_the_loop_is_found_among_those_of_threads() -> None:
    frames = stack(DUMP)
    assert [frame.name for frame in frames] == ["raw_decode", "on_request", "on_request", "answer", "main"]
    assert blocking(frames, [Path("/etc/gw/plugins"), Path("/srv/plugins")]) == Frame("/etc/gw/plugins/mine.py", 12, "on_request")
    assert blocking(frames, [Path("/elsewhere/plugins")]) is None


@pytest.mark.parametrize("dump", ["", "Fatal Python error: Segmentation fault\n", DUMP[: DUMP.index("Current")], "x" * 1000, "\n\n\n"])
def test_a_dump_without_the_loop_says_nothing(dump: str) -> None:
    assert stack(dump) == []


def test_terms_and_all_else_that_is_told_survive_json() -> None:
    import json
    from dataclasses import asdict

    one: Any = Terms(1.0, 2.0, None, 3.0, "INFO", ("127.0.0.1:1", None), (None, 60.0))
    assert Terms.from_values(json.loads(json.dumps(asdict(one)))) == one
