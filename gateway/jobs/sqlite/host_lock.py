"""A lock that all processes of one host share, and that a second host is refused: SQLite's WAL is memory of one kernel."""

from __future__ import annotations

import fcntl
import os
import socket
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from gateway.jobs.contract import JobsAway

BEAT = 2.0
"""Seconds between two signs of life in the lock file, for disks that keep the locks of one host from the other."""
WATCH = 3 * BEAT
"""Seconds that a lock file with another host's name is watched before it counts as left behind."""


def this_host() -> str:
    """The same in all containers on one kernel, and another after each start of the machine."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return f"{socket.gethostname()}-{uuid.getnode():x}"


class HostLock:
    """`take`, `beat` now and then, `leave`. It is the file's that it stands beside, and lasts as long as the process at most."""

    def __init__(self, file: Path, host: str | None = None, sleep: Callable[[float], None] = time.sleep) -> None:
        self._path = file.with_name(f"{file.name}.host")
        self._host = host or this_host()
        self._sleep = sleep
        self._lock = -1

    def take(self) -> None:
        """Raises JobsAway while another host has it. Blocks: some seconds when another host seems to have left it behind."""
        lock = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            self._share(lock)
        except BaseException:
            os.close(lock)
            raise
        self._lock = lock

    def beat(self) -> None:
        os.utime(self._lock)

    def leave(self) -> None:
        """The last one of this host leaves nothing behind, so that another need not wait."""
        lock, self._lock = self._lock, -1
        if lock >= 0:
            if _locked(lock, fcntl.LOCK_EX):
                os.ftruncate(lock, 0)
            os.close(lock)

    def _share(self, lock: int) -> None:
        if _locked(lock, fcntl.LOCK_EX):
            if _owner(lock) not in ("", self._host) and self._is_alive(lock):
                raise self._refusal()
            os.ftruncate(lock, 0)
            os.pwrite(lock, self._host.encode(), 0)
        deadline = time.monotonic() + 2 * WATCH
        while not _locked(lock, fcntl.LOCK_SH):  # another process of this host watches, or writes, at this moment
            if time.monotonic() > deadline:
                raise JobsAway(f"{self._path} is locked by a process that does not let go")
            self._sleep(0.01)
        if _owner(lock) != self._host:
            raise self._refusal()

    def _is_alive(self, lock: int) -> bool:
        """Whether the other host gives signs of life. What they show is watched, for clocks of two hosts may differ."""
        before, left = os.fstat(lock).st_mtime_ns, WATCH
        while left > 0:
            self._sleep(0.25)
            left -= 0.25
            if os.fstat(lock).st_mtime_ns != before:
                return True
        return False

    def _refusal(self) -> JobsAway:
        return JobsAway(
            f"another host uses the file beside {self._path.name}: SQLite is one machine's; give each gateway a file of its own, or Redis"
        )


def _locked(lock: int, how: int) -> bool:
    try:
        fcntl.flock(lock, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise JobsAway(f"the disk knows no locks ({error.strerror}); put the file on a local disk") from error
    return True


def _owner(lock: int) -> str:
    return os.pread(lock, 256, 0).decode("ascii", "replace").strip()
