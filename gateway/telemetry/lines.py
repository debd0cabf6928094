"""Lines for the access log: taken without waiting, written in batches by a thread, bounded when nobody reads."""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import sys
import threading

from gateway.telemetry.whole import whole_lines

FLUSH = 0.1  # seconds that a line waits for others
MOST = 8 << 20  # bytes that wait for a slow reader; what comes then is dropped and counted


class LineWriter:
    """Writes to a file descriptor. `write` is for the event loop's thread alone and never blocks."""

    def __init__(self, descriptor: int, most: int = sys.maxsize) -> None:
        """At most so many bytes are written at once, whole lines if they are no longer than that."""
        self._descriptor = descriptor
        self._most = most
        self._lines: list[bytes] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._flush_soon: asyncio.TimerHandle | None = None
        self._batches: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._waiting = 0  # bytes handed to the thread and not written
        self._written = 0
        self._thread = threading.Thread(target=self._write_batches, name="access-log", daemon=True)
        self.dropped = 0  # lines

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def write(self, line: bytes) -> None:
        self._lines.append(line)
        if self._flush_soon is None and self._loop is not None:
            self._flush_soon = self._loop.call_later(FLUSH, self._flush)

    def _flush(self) -> None:
        self._flush_soon = None
        lines, self._lines = self._lines, []
        batch = b"".join(lines)
        if self._waiting - self._written + len(batch) > MOST:
            self.dropped += len(lines)
        elif batch:
            self._waiting += len(batch)
            self._batches.put(batch)

    def stop(self, patience: float = 2.0) -> None:
        """Write what is left, but wait no longer than `patience` seconds for a reader."""
        if self._flush_soon is not None:
            self._flush_soon.cancel()
        self._flush()
        self._batches.put(None)
        if self._thread.is_alive():
            self._thread.join(patience)

    def _write_batches(self) -> None:
        while (batch := self._batches.get()) is not None:
            with contextlib.suppress(OSError):  # a reader that has gone must not end the gateway
                for rest in whole_lines(batch, self._most):
                    while rest:
                        rest = rest[os.write(self._descriptor, rest) :]
            self._written += len(batch)
