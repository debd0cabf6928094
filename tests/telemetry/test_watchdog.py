"""Who blocks the event loop is named while it is blocked, with the stack; and nobody is blamed for a process that was stopped."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from gateway.registry import Registry
from gateway.telemetry.watchdog import Watchdog, where

TICK = 0.125


class Bench:
    """A watchdog whose looks are made by hand, one a tick, of a process whose CPU time is told."""

    def __init__(self) -> None:
        self.dog = Watchdog()
        self.dog._loop_thread = threading.get_ident()
        self.now = self.marked = 1000.0
        self.used = 0.0
        self.look(turns=True)

    def look(self, *, turns: bool, after: float = TICK, busy: float = 0.0) -> None:
        self.now += after
        self.used += busy
        if turns:
            self.marked = self.now - TICK / 2
        self.dog.look(self.marked, self.now, self.used)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The first line of each report."""
    return [record.getMessage().partition(":")[0] for record in caplog.records]


def test_a_loop_that_turns_is_left_alone(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    for n in range(1000):
        bench.look(turns=n % 2 == 0, busy=TICK)
    assert (bench.dog.stalls, told(caplog)) == (0, [])


def test_a_stall_is_told_while_it_lasts_and_when_it_has_ended(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(8):
        bench.look(turns=False)
    assert told(caplog) == ["the event loop has not turned for 0.31 s"]
    assert (bench.dog.stalls, bench.dog.stalled) == (1, 0)
    bench.look(turns=True)
    assert told(caplog)[1:] == ["the event loop turns again, after 1.12 s"]
    assert (bench.dog.stalls, bench.dog.stalled, bench.dog.longest) == (1, 1.125, 1.125)


def test_once_a_minute_and_what_was_not_told_is_counted(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(31):  # 31 stalls of half a second, one every 2.5 s
        for n in range(20):
            bench.look(turns=n < 16)
    assert bench.dog.stalls == 31
    assert told(caplog) == [
        "the event loop has not turned for 0.31 s",
        "the event loop turns again, after 0.62 s",
        "the event loop has not turned for 0.31 s (23 more were not told)",
        "the event loop turns again, after 0.62 s",
    ]


def test_one_that_does_not_end_is_told_every_minute(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(int(150 / TICK)):
        bench.look(turns=False)
    assert told(caplog) == [f"the event loop has not turned for {seconds} s" for seconds in ("0.31", "60.31", "120.31")]
    assert bench.dog.stalls == 1


@pytest.mark.parametrize("apart", [0.3, 1.0, 3600.0])
def test_a_process_that_was_stopped_blames_nobody(apart: float, bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.look(turns=False, after=TICK + apart)
    bench.look(turns=True)
    assert (bench.dog.stalls, told(caplog)) == (0, [])


def test_being_stopped_is_no_part_of_a_stall(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    for after in (TICK, TICK, 3600.0, TICK):
        bench.look(turns=False, after=after)
    bench.look(turns=True)
    assert told(caplog)[-1] == "the event loop turns again, after 0.62 s"


def test_a_library_that_lets_no_other_thread_run_is_seen_by_its_cpu_time(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.look(turns=False, after=2.0, busy=1.9)
    assert told(caplog) == ["the event loop has not turned for 2.06 s"]


# For real


@pytest.fixture
def quick() -> Watchdog:
    return Watchdog(0.2)


PLUGIN = """
import time

from gateway.plugin import Plugin


def slow(seconds):
    time.sleep(seconds)


class Sluggish(Plugin):
    def on_request(self, ex):
        slow(0.8)
"""


async def test_the_plugin_is_named_with_its_stack_while_it_blocks(
    tmp_path: Path, quick: Watchdog, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "sluggish.py").write_text(PLUGIN)
    plugin = Registry(tmp_path).load("sluggish")
    quick.start()
    await asyncio.sleep(0.2)
    assert quick.stalls == 0
    plugin.on_request(None, None)  # type: ignore[arg-type]
    blocked_until = time.time()
    await asyncio.sleep(0.5)
    quick.stop()
    begun, ended = caplog.records
    assert begun.created < blocked_until - 0.3
    message = begun.getMessage()
    assert f"it waits for {tmp_path}/plugins/sluggish.py:8\n" in message
    assert message.rstrip().endswith("in slow\n    time.sleep(seconds)")
    assert "slow(0.8)" in message
    assert "turns again, after" in ended.getMessage()
    assert 0.75 < quick.longest < 3.0
    assert quick.stalls == 1


@pytest.mark.alone
async def test_computing_is_blocking(quick: Watchdog, caplog: pytest.LogCaptureFixture) -> None:
    quick.start()
    end = time.monotonic() + 0.8
    while time.monotonic() < end:
        pass
    await asyncio.sleep(0.5)
    quick.stop()
    assert "no plugin is in its stack" in caplog.text
    assert "in test_computing_is_blocking" in caplog.text


async def test_what_runs_in_a_thread_blocks_nobody(quick: Watchdog) -> None:
    quick.start()
    await asyncio.to_thread(hashlib.pbkdf2_hmac, "sha256", b"a", b"b", 500_000)
    quick.stop()
    assert quick.stalls == 0


STOPPED = """
import asyncio, logging, sys
from gateway.telemetry.watchdog import Watchdog
logging.basicConfig(stream=sys.stdout)
async def main():
    dog = Watchdog(0.1)
    dog.start()
    print("started", flush=True)
    for _ in range(20):
        await asyncio.sleep(0.05)
    print("stalls", dog.stalls, flush=True)
asyncio.run(main())
"""


def test_sigstop_blames_nobody() -> None:
    with subprocess.Popen([sys.executable, "-c", STOPPED], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        os.kill(process.pid, signal.SIGSTOP)
        time.sleep(1.0)
        os.kill(process.pid, signal.SIGCONT)
        assert process.stdout.read() == "stalls 0\n"


async def test_after_its_end_it_looks_no_more(quick: Watchdog) -> None:
    quick.start()
    quick.stop()
    for _ in range(100):
        if not any(thread.name == "watchdog" for thread in threading.enumerate()):
            break
        await asyncio.sleep(0.01)
    else:
        pytest.fail("its thread still runs")


def test_a_thread_that_has_ended_has_no_stack() -> None:
    assert where(None) == "its thread has ended"
