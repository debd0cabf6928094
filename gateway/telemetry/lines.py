"""Lines for the access log: taken without waiting, written in batches by a thread, bounded when nobody reads or a disk is full."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import queue
import stat
import threading
from pathlib import Path

from gateway.telemetry.whole import undivided, whole_lines

log = logging.getLogger("gateway.telemetry")


FLUSH = 0.1  # seconds that a line waits for others
MOST = 8 << 20  # bytes that wait for a slow reader; what comes then is dropped and counted
REOPEN = b"reopen"  # among batches, known by identity


class LineWriter:
    """Writes to a descriptor, or to a file that it owns. `write` is for the event loop's thread alone and never blocks.

    A line is written whole or counted in `dropped`. One that a full disk cut short is ended before the next one begins.
    """

    def __init__(self, target: int | Path) -> None:
        """Raises OSError when the file, or its folder, cannot be made or opened."""
        self._file = target if isinstance(target, Path) else None
        self._descriptor = target if isinstance(target, int) else opened(target)
        self._name = "standard output" if self._file is None else str(self._file)
        self._torn = self._file is not None  # the last process may have died in the middle of a line
        self._lines: list[bytes] = []
        self._flush_soon: asyncio.TimerHandle | None = None
        self._batches: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._waiting = 0  # bytes handed to the thread, and of them
        self._written = 0  # those it is done with
        self._refused = 0  # lines that the loop dropped, for too many waited
        self._lost = 0  # lines that the thread could not write
        self._told = 0  # of both, those that the log knows of
        self._is_failing = False
        self._is_closed = False

    @property
    def dropped(self) -> int:
        """Lines that were never written."""
        return self._refused + self._lost

    def write(self, line: bytes) -> None:
        self._lines.append(line)
        if self._flush_soon is None:
            self._flush_soon = asyncio.get_running_loop().call_later(FLUSH, self._flush)

    def reopen(self) -> None:
        """Take up the file of this name anew, for the open one has been renamed; what was written before still goes there."""
        if self._file is not None:
            self._flush()
            self._hand(REOPEN)

    def close(self) -> None:
        """Take no more lines; those that wait are still written, by the thread, and nobody waits for it here."""
        if self._is_closed:
            return
        self._flush()
        self._is_closed = True
        if self._thread is not None:
            self._batches.put(None)
        elif self._file is not None:
            os.close(self._descriptor)

    @property
    def is_busy(self) -> bool:
        """Lines are being written, or waited for."""
        return self._thread is not None and self._thread.is_alive()

    def join(self, patience: float) -> None:
        """Wait for the last line, but no longer than `patience` seconds for a reader."""
        if self._thread is not None:
            self._thread.join(patience)

    def stop(self, patience: float = 2.0) -> None:
        """Both."""
        self.close()
        self.join(patience)

    def _flush(self) -> None:
        if self._flush_soon is not None:
            self._flush_soon.cancel()
            self._flush_soon = None
        lines, self._lines = self._lines, []
        batch = b"".join(lines)
        if self._is_closed:
            self._refused += len(lines)
        elif self._waiting - self._written + len(batch) > MOST:
            self._refused += len(lines)
            self._tell_failing(f"{MOST >> 20} MiB wait for it")
        elif batch:
            self._waiting += len(batch)
            self._hand(batch)

    def _hand(self, batch: bytes) -> None:
        # Born when first needed: a thread would not survive a fork.
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="access-log", daemon=True)
            self._thread.start()
        self._batches.put(batch)

    def _run(self) -> None:
        while (batch := self._batches.get()) is not None:
            if batch is REOPEN:
                self._take_up_again()
            else:
                self._write(batch)
                self._written += len(batch)
        if self._file is not None:
            os.close(self._descriptor)

    def _write(self, batch: bytes) -> None:
        written = 0
        try:
            if self._torn:
                if not _ends_a_line(self._descriptor):
                    os.write(self._descriptor, b"\n")
                self._torn = False
            with undivided(self._descriptor) as most:
                for piece in whole_lines(batch, most):
                    end = written + len(piece)
                    while written < end:
                        written += os.write(self._descriptor, piece[written - end :])
        except OSError as error:  # a full disk, or a reader that has gone: neither must end the gateway
            self._torn = True
            self._lost += batch.count(b"\n", written)
            self._tell_failing(error.strerror or str(error))
        else:
            self._tell_recovered()

    def _take_up_again(self) -> None:
        assert self._file is not None
        try:
            descriptor = opened(self._file)
        except OSError as error:
            log.error("%s cannot be opened again, so the access log stays in the file it had: %s", self._name, error.strerror)
            return
        os.close(self._descriptor)
        self._descriptor = descriptor
        self._torn = True

    def _tell_failing(self, why: str) -> None:
        """Once, until lines are written again."""
        if not self._is_failing:
            self._is_failing = True
            log.error("the access log loses lines, %s cannot be written: %s", self._name, why)

    def _tell_recovered(self) -> None:
        if self._is_failing and self._waiting - self._written < MOST // 2:
            self._is_failing = False
            dropped = self.dropped
            log.warning("the access log is written to %s again; %d lines were lost", self._name, dropped - self._told)
            self._told = dropped


def opened(file: Path) -> int:
    """A descriptor that appends to `file`, which is made with its folder if need be. Raises OSError."""
    file.parent.mkdir(parents=True, exist_ok=True)
    # To be read, too, for its last byte; and a pipe that is opened for both does not wait for a reader.
    return os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)


def _ends_a_line(descriptor: int) -> bool:
    """Only of a file it can be known; of a pipe it is not, and an empty line harms nobody."""
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        return False
    try:
        return status.st_size == 0 or os.pread(descriptor, 1, status.st_size - 1) == b"\n"
    except OSError as error:
        if error.errno == errno.EBADF:  # standard output, opened by a shell for writing alone
            return False
        raise
