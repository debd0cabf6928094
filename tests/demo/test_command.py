"""`gateway demo` as a process: where it listens, how it stops, what it says when it cannot start."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-c", "import sys; from gateway.demo import main; sys.exit(main(sys.argv[1:]))"]


@contextmanager
def started(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process, and the address from its first line."""
    with subprocess.Popen([*COMMAND, "--port", "0", *arguments], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            line = process.stderr.readline()
            assert line.startswith("gateway.demo: leads service on http://127.0.0.1:"), line
            yield process, line.split()[-1]
        finally:
            process.kill()


def total(url: str) -> int:
    with urllib.request.urlopen(f"{url}/api/v1/leads") as response:
        return int(json.load(response)["total"])


def refused(arguments: Sequence[str]) -> str:
    result = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=30, check=False)
    assert result.returncode == 1 and "Traceback" not in result.stderr
    return result.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stops_cleanly_though_a_client_streams(number: signal.Signals) -> None:
    with started() as (process, url):
        assert total(url) == 300
        with urllib.request.urlopen(f"{url}/api/v1/events?count=9&every=60") as stream:
            assert stream.readline() == b"id: 1\n"
            process.send_signal(number)
            _, said = process.communicate(timeout=10)
        assert (process.returncode, said) == (0, "")


def test_what_a_file_keeps_is_there_after_a_restart(tmp_path: Path) -> None:
    file = str(tmp_path / "leads.db")
    with started("--db", file) as (process, url):
        urllib.request.urlopen(urllib.request.Request(f"{url}/api/v1/leads/1", method="DELETE")).close()
        process.terminate()
        assert process.wait(10) == 0
    with started("--db", file) as (_, url):
        assert total(url) == 299


def test_a_port_in_use_is_said_plainly() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"cannot listen on 127.0.0.1 port {port}" in refused(["--port", str(port)])


def test_a_database_that_cannot_be_opened_is_said_plainly(tmp_path: Path) -> None:
    assert "cannot open the database" in refused(["--port", "0", "--db", str(tmp_path)])
