"""A server as a process of its own on one core: started until it answers, looked at through /proc, ended."""

from __future__ import annotations

import contextlib
import functools
import http.client
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
PATIENCE = 20.0  # seconds for a server to answer, and to end


class NotServing(Exception):
    """It ended, never answered, or answers something else than its row claims."""


class Process:
    """A process, and all that it started."""

    def __init__(self, command: list[str], core: int, folder: Path, env: dict[str, str] | None = None) -> None:
        """What it writes goes to the files `stdout` and `stderr` of the folder."""
        self._errors = folder / "stderr"
        with (folder / "stdout").open("wb") as out, self._errors.open("wb") as err:
            self._child = subprocess.Popen(
                command,
                cwd=folder,
                env={**os.environ, **(env or {})},
                stdout=out,
                stderr=err,
                start_new_session=True,
                preexec_fn=functools.partial(os.sched_setaffinity, 0, {core}),
            )

    def wait_until_answering(self, port: int, path: str, headers: dict[str, str]) -> http.client.HTTPResponse:
        """Its first answer, read to its end. Raises NotServing with the end of what it complained of."""
        deadline = time.monotonic() + PATIENCE
        while self._child.poll() is None and time.monotonic() < deadline:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(connection):
                connection.request("GET", path, headers=headers)
                response = connection.getresponse()
                response.read()
                return response
            time.sleep(0.05)
        what = "no answer" if self._child.poll() is None else f"ended with {self._child.returncode}"
        raise NotServing(f"{what}: {self._errors.read_text(errors='replace').strip()[-600:]}")

    def cpu(self) -> float:
        """Seconds, user and system, of the tree; of children that ended too, once they were waited for."""
        ticks = 0
        for pid in self._tree(self._child.pid):
            with contextlib.suppress(OSError):
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                ticks += sum(int(field) for field in fields[11:15])
        return ticks / TICKS

    def resident(self) -> int:
        """Bytes of memory of the tree, now."""
        return self._status("VmRSS")

    def most_resident(self) -> int:
        """The sum of each process's peak since `forget_peak`."""
        return self._status("VmHWM")

    def forget_peak(self) -> None:
        """proc(5): 5 written to clear_refs sets the peak back to what is resident now."""
        for pid in self._tree(self._child.pid):
            Path(f"/proc/{pid}/clear_refs").write_text("5")

    def stop(self) -> None:
        for number, patience in ((signal.SIGTERM, 5.0), (signal.SIGKILL, PATIENCE)):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._child.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._child.wait(patience)
                return

    def _status(self, field: str) -> int:
        kib = 0
        for pid in self._tree(self._child.pid):
            with contextlib.suppress(OSError):
                found = re.search(rf"^{field}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
                kib += int(found[1]) if found else 0
        return kib << 10

    def _tree(self, pid: int) -> Iterator[int]:
        yield pid
        with contextlib.suppress(OSError):
            for thread in os.listdir(f"/proc/{pid}/task"):
                for child in Path(f"/proc/{pid}/task/{thread}/children").read_text().split():
                    yield from self._tree(int(child))


@contextlib.contextmanager
def running(command: list[str], core: int, folder: Path, env: dict[str, str] | None = None) -> Iterator[Process]:
    process = Process(command, core, folder, env)
    try:
        yield process
    finally:
        process.stop()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])
