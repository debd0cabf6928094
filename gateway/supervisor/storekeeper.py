"""The process that hosts `memory://` for all workers: started when it is needed, followed when it dies or hangs.

It is no part of the supervisor, which stands still now and then, to merge metrics or to write: no request shall wait for that.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

from gateway.supervisor.child import isolated
from gateway.supervisor.judging import Deaths, ended

log = logging.getLogger("gateway")

SOCKET = "store"
PING = b"*1\r\n$4\r\nPING\r\n"
EVERY = 1.0
"""Seconds between two signs of life that it is asked for."""
SILENCE = 5.0
"""Seconds without one. Twice in a row, for once it may have been this process that stood still: it hangs."""


class Storekeeper:
    """`run` until cancelled. Workers connect to `path`; whoever does while there is no process waits until there is one."""

    def __init__(self, folder: Path) -> None:
        """Raises OSError. `folder`: of nobody else's."""
        self.path = str(folder / SOCKET)
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(self.path)
        self._listening.listen(1024)
        self._listening.setblocking(False)
        self._deaths = Deaths()
        self._has_answered = asyncio.Event()

    async def run(self, is_needed: bool) -> None:
        """`is_needed`: start it now, and not when the first worker asks for it."""
        if not is_needed:
            await self._asked_for()
        while True:
            begun = monotonic()
            await self._serve()
            await asyncio.sleep(self._deaths.after(monotonic() - begun))
            await self._asked_for()

    async def begun(self) -> None:
        """Until it answers, but for no longer than SILENCE: workers that find nobody go on by themselves, and each would count alone."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SILENCE):
                await self._has_answered.wait()

    async def _asked_for(self) -> None:
        """Until a worker connects."""
        loop, asked = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._listening, asked.set)
        try:
            await asked.wait()
        finally:
            loop.remove_reader(self._listening)

    async def _serve(self) -> None:
        """One process, until it ends; ended when this is cancelled. When the supervisor is killed it goes on for as long as workers do."""
        ours, theirs = socket.socketpair()
        with ours, theirs:
            descriptors = (self._listening.fileno(), theirs.fileno())
            command = [sys.executable, *isolated(), "-m", "gateway.store.hosted.process", *map(str, descriptors)]
            try:
                process = await asyncio.create_subprocess_exec(*command, pass_fds=descriptors, process_group=0)
            except OSError as error:
                log.error("the process that keeps memory:// cannot be started: %s", error)
                return
            theirs.close()
            watching = asyncio.create_task(self._watch(process))
            try:
                code = await process.wait()
            finally:
                watching.cancel()
                if process.returncode is None:
                    process.kill()
                    await process.wait()
            log.error("the process that keeps memory:// ended %s: what was counted is gone", ended(code))

    async def _watch(self, process: asyncio.subprocess.Process) -> None:
        reader, writer = await asyncio.open_unix_connection(self.path)
        try:
            silent = 0
            while silent < 2:
                if not silent:
                    writer.write(PING)
                try:
                    async with asyncio.timeout(SILENCE):
                        if not await reader.readline() or not await reader.readline():
                            return  # it ends
                    silent = 0
                    self._has_answered.set()
                except TimeoutError:
                    silent += 1
                except ConnectionError:
                    return
                await asyncio.sleep(EVERY)
            log.error("the process that keeps memory:// has not given a sign of life for %g s, and is killed", 2 * SILENCE)
            process.kill()
        finally:
            writer.close()

    def close(self) -> None:
        self._listening.close()


@contextmanager
def storekeeping(workers: int) -> Iterator[Storekeeper | None]:
    """None for a single worker, which keeps the store in its own memory. Raises OSError."""
    if workers == 1:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="gateway-") as folder, contextlib.closing(Storekeeper(Path(folder))) as storekeeper:
        yield storekeeper
