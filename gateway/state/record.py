"""The record of a running gateway: that it runs, as which process, and how its reloads went."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from gateway.state.folder import write

log = logging.getLogger("gateway")

FILE = "running.json"
LOCK = "lock"
TRIES, PAUSE = 5, 0.02  # seconds; one that looks whether a gateway runs holds the lock for an instant


@dataclass(frozen=True, slots=True)
class Reload:
    """How one reload went."""

    ok: bool
    time: str  # RFC 3339, of its end
    seconds: float
    mistakes: tuple[str, ...] = ()  # why the old policy stays
    refused: tuple[str, ...] = ()  # what of the new policy needs a restart


@dataclass(frozen=True, slots=True)
class State:
    """What `running.json` holds. The `last` reload is the one numbered `ended`."""

    pid: int
    policy: str
    revision: int = 0  # of the policy in force; 0: it could not be kept
    begun: int = 0  # reloads
    ended: int = 0
    failed: int = 0
    last: Reload | None = None

    @classmethod
    def of(cls, policy: Path) -> State:
        """That of this process."""
        return cls(os.getpid(), str(policy.absolute()))


class Record:
    """Kept by the gateway that runs. Where nothing can be written it says so once, and the gateway runs without."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock: IO[str] | None = None

    def open(self) -> None:
        """Be the one that runs, until `close` or the end of the process."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = (self._folder / LOCK).open("a")
        except OSError as error:
            log.warning("%s cannot be written, so `gateway reload` will not find this gateway: %s", self._folder, error.strerror)
            return
        for _ in range(TRIES):
            if _locked(lock):
                self._lock = lock
                return
            time.sleep(PAUSE)
        lock.close()
        log.warning("another gateway keeps its state in %s: `gateway reload` reaches that one (--state names another folder)", self._folder)

    def write(self, state: State) -> None:
        if self._lock is None:
            return
        try:
            write(self._folder / FILE, json.dumps(asdict(state), ensure_ascii=False, indent=2) + "\n")
        except OSError as error:
            log.warning("%s cannot be written any more: %s", self._folder / FILE, error.strerror)
            self.close()

    def close(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def running(folder: Path) -> State | None:
    """The gateway that keeps its state in `folder`, if it is alive: only then its lock is held."""
    try:
        with (folder / LOCK).open() as lock:
            if _locked(lock):
                return None
        found = json.loads((folder / FILE).read_text("utf-8"))
        last = found.pop("last")
        for name in () if last is None else ("mistakes", "refused"):
            last[name] = tuple(last[name])
        return State(**found, last=None if last is None else Reload(**last))
    except (OSError, ValueError, TypeError, LookupError):
        return None  # there is none, or it has not written yet


def _locked(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
