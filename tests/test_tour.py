"""The README's tour, walked: what `make run` starts, every command shown, and every line that is said to come of it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.free_ports import free_ports

ROOT = Path(__file__).parents[1]
CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
STEP = re.compile(r"^\$ (?P<command>.*)\n(?P<output>(?:(?!\$ ).*\n)*)", re.MULTILINE)


class Step(NamedTuple):
    command: str
    output: str


STEPS = [Step(*step) for block in CONSOLE.findall((ROOT / "README.md").read_text()) for step in STEP.findall(block)]


class Running(NamedTuple):
    process: subprocess.Popen[bytes]
    gateway: int
    leads: int
    log: Path
    env: dict[str, str]


def is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/readiness", timeout=2) as response:
            return bool(response.status == 200)
    except OSError:
        return False


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The command of `make run`, on free ports."""
    gateway, leads, observe, admin = free_ports(4)
    log = tmp_path_factory.mktemp("tour") / "log"
    command = [sys.executable, "-m", "gateway", "demo", "--port", str(leads), "--with-gateway", "gateway.yaml"]
    ports = {"PORT": str(gateway), "OBSERVE_PORT": str(observe), "ADMIN_PORT": str(admin)}
    env = {**os.environ, **ports}
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + 30
        while not is_ready(gateway):
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield Running(process, gateway, leads, log, env)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(15)
        finally:
            process.kill()


def pattern(output: str) -> str:
    """A line `...` stands for any lines, or none; `...` within a line for any text."""
    lines = (r"(?:.*\n)*?" if line == "..." else re.escape(line).replace(r"\.\.\.", ".*") + r" *\n" for line in output.splitlines())
    return "".join(lines)


@pytest.mark.parametrize(
    ("output", "actual", "fits"),
    [
        ("a\n", "a\n", True),
        ("a\n", "a\nb\n", False),
        ("a\n...\nc\n", "a\nb\nb\nc\n", True),
        ("a\n...\nc\n", "a\nc\n", True),
        ("a\n...\nc\n", "a\nb\n", False),
        ("x: ...\n", "x: 12\n", True),
        ("x: ...\n", "y: 12\n", False),
        ("x.y\n", "x-y\n", False),
    ],
)
def test_patterns(output: str, actual: str, fits: bool) -> None:
    assert bool(re.fullmatch(pattern(output), actual)) is fits


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.command[:60])
def test_a_step_of_the_tour(running: Running, step: Step) -> None:
    """In their order: later steps meet what earlier ones left behind."""
    command = step.command.replace("localhost:8080", f"127.0.0.1:{running.gateway}").replace("localhost:3000", f"127.0.0.1:{running.leads}")
    command = command.replace(".venv/bin/gateway", f"{sys.executable} -m gateway")
    result = subprocess.run(["sh", "-c", command], cwd=ROOT, env=running.env, capture_output=True, text=True, timeout=30, check=True)
    actual = result.stdout.replace("\r", "")
    actual = actual if actual.endswith("\n") else f"{actual}\n"
    assert re.fullmatch(pattern(step.output), actual), f"{step.output}\n--- but was ---\n{actual}"


def test_the_tour_shows_what_it_should() -> None:
    statuses = {int(status) for step in STEPS for status in re.findall(r"^HTTP/1.1 (\d+)", step.output, re.MULTILINE)}
    assert statuses == {200, 201, 404, 502, 429}


def test_the_first_lines_say_what_to_try(running: Running) -> None:
    said = running.log.read_text()
    assert f"leads service on http://127.0.0.1:{running.leads}" in said
    assert f"curl -i 'http://localhost:{running.gateway}/api/v1/leads" in said


def test_ctrl_c_drains_and_a_second_one_ends_it(running: Running) -> None:
    """Last of all: it ends what the others use. The stream would go on for minutes, the drain for 30 s."""
    with urllib.request.urlopen(f"http://127.0.0.1:{running.gateway}/api/v1/events?count=9&every=60") as stream:
        assert stream.readline() == b"id: 1\n"
        running.process.send_signal(signal.SIGINT)
        while b"draining" not in running.log.read_bytes():
            time.sleep(0.01)
        assert running.process.poll() is None
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(10) == 0
    for port in (running.gateway, running.leads):
        with pytest.raises(urllib.error.URLError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2)
