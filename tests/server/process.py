"""`gateway run` as it is started by an operator, for tests of what only a process shows: signals, memory, uvloop."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

PATIENCE = 60.0
_LISTENING = re.compile(r"listening on (https?)://(?:127\.0\.0\.1|\[::1\]):(\d+)")


class GatewayProcess:
    """`ports` are those of `server.listen`, in its order; `log` is all that it has said on stderr so far."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._reading = asyncio.create_task(self._read())
        self.log = ""
        self.ports: list[int] = []

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def port(self) -> int:
        return self.ports[0]

    async def started(self, listeners: int) -> None:
        async with asyncio.timeout(PATIENCE):
            while len(self.ports) < listeners:
                assert self._process.returncode is None, self.log
                await asyncio.sleep(0.01)
                self.ports = [int(port) for _, port in _LISTENING.findall(self.log)]

    async def ended(self) -> int:
        """Its exit code. Raises TimeoutError when it does not end."""
        async with asyncio.timeout(PATIENCE):
            code = await self._process.wait()
            await self._reading
        return code

    def send_signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def memory(self, line: str = "VmRSS") -> int:
        """Bytes that it holds, or with `VmHWM` the most that it ever held."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(status.partition(f"{line}:")[2].split()[0]) << 10

    async def kill(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self.ended()

    async def _read(self) -> None:
        assert self._process.stderr is not None
        while piece := await self._process.stderr.read(1 << 16):
            self.log += piece.decode()


@asynccontextmanager
async def running(policy: str, folder: Path, *, listeners: int = 1) -> AsyncIterator[GatewayProcess]:
    """A gateway that listens. Killed at the end if it still runs."""
    process = await spawned(policy, folder)
    try:
        await process.started(listeners)
        yield process
    finally:
        await process.kill()


async def spawned(policy: str, folder: Path) -> GatewayProcess:
    path = folder / "gateway.yaml"
    path.write_text(policy)
    command = (sys.executable, "-m", "gateway", "run", str(path))
    return GatewayProcess(await asyncio.create_subprocess_exec(*command, stdout=DEVNULL, stderr=PIPE, env={**os.environ, "LC_ALL": "C"}))
