"""A worker as its supervisor sees it: a process, the channel to it, and when it was last heard of."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import tempfile
from collections.abc import Sequence
from time import monotonic
from typing import IO, Any, Literal

from gateway.control import NONE, Arguments, Control
from gateway.supervisor.channel import Channel, opened
from gateway.supervisor.judging import Beat
from gateway.supervisor.stack import STACK, Frame, stack

DUMP = 1.0
"""Seconds for a process to write its stack; one that is stopped does not."""
LOOK = 0.02
MOST = 256 << 10
"""Bytes of a dump that are read."""


class Child:
    """`call` it, `kill` it; `ended` waits for its end."""

    def __init__(self, number: int, process: asyncio.subprocess.Process, channel: Channel, stacks: IO[bytes]) -> None:
        self.number = number
        self.pid = process.pid
        self.born = self.heard = monotonic()
        self.beat = Beat()
        self.state: Literal["starting", "running", "draining"] = "starting"
        self.is_condemned = False  # it shall be killed, and somebody has begun to
        self._process = process
        self._channel = channel
        self._stacks = stacks
        self._listening = asyncio.create_task(channel.run(), name=f"worker {number}")

    def __str__(self) -> str:
        return f"worker {self.number} (process {self.pid})"

    async def call(self, name: str, arguments: Arguments = NONE, *, deadline: float) -> Any:
        """Raises ControlError, Gone and TimeoutError."""
        return await self._channel.call(name, arguments, deadline=deadline)

    def tell(self, name: str, arguments: Arguments) -> None:
        self._channel.tell(name, arguments)

    def kill(self) -> None:
        self.is_condemned = True
        if self._process.returncode is None:
            self._process.kill()

    async def ended(self) -> int:
        """Its exit code, or less than 0: the signal that ended it."""
        code = await self._process.wait()
        await asyncio.wait([self._listening])
        return code

    def release(self) -> None:
        """It has ended, and nobody asks for its stack any more."""
        self._stacks.close()

    async def stack(self) -> list[Frame]:
        """Where its loop hangs; nothing when it cannot say."""
        try:
            os.kill(self.pid, STACK)
        except ProcessLookupError:
            return []
        before = b""
        for _ in range(int(DUMP / LOOK)):
            await asyncio.sleep(LOOK)
            written = self._dump()
            if written and written == before:
                break
            before = written
        return self.last_stack()

    def last_stack(self) -> list[Frame]:
        """What it wrote last: at its death by a signal that it had no say in, too."""
        return stack(self._dump().decode(errors="replace"))

    def is_stopped(self) -> bool:
        """Whether somebody has stopped the process, as by SIGSTOP; false where the system does not say."""
        try:
            with open(f"/proc/{self.pid}/stat") as file:
                return file.read().rpartition(")")[2].split()[0] in ("T", "t")
        except OSError:
            return False

    def _dump(self) -> bytes:
        return os.pread(self._stacks.fileno(), MOST, 0)


async def spawned(number: int, descriptors: Sequence[int], control: Control) -> Child:
    """A new worker, which waits for its orders. `control` answers what it asks. Raises OSError."""
    ours, theirs = socket.socketpair()
    stacks = tempfile.TemporaryFile()  # noqa: SIM115 - the child closes it
    child: Child

    async def answer(name: str, arguments: Arguments) -> Any:
        if name != "beat":
            return await control.call(name, arguments)
        child.heard, child.beat = monotonic(), Beat(**arguments)
        return None

    with theirs:
        passed = (theirs.fileno(), stacks.fileno())
        command = [sys.executable, *isolated(), "-m", "gateway.supervisor.worker", *map(str, passed)]
        # A group of its own: what a terminal sends to all (Ctrl-C) is the supervisor's to tell.
        process = await asyncio.create_subprocess_exec(*command, pass_fds=(*passed, *descriptors), process_group=0)
    child = Child(number, process, await opened(ours, answer), stacks)
    return child


def isolated() -> list[str]:
    """Workers import from where the supervisor did, and not from the folder in which it was started if that did not."""
    return [] if sys.path[:1] in ([""], [os.getcwd()]) else ["-P"]
