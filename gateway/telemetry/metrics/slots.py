"""The slots of one process, in a file of chunks that another process may read, and that the process's successor goes on with."""

from __future__ import annotations

import logging
import mmap
import os
import threading
from dataclasses import dataclass
from pathlib import Path

from gateway.telemetry.metrics.chunk import SIZE, BadChunk, Chunk, entry_size

log = logging.getLogger("gateway.metrics")

SUFFIX = ".slots"

Place = tuple["memoryview[float]", int]
"""A view of doubles, and the index of the first slot in it."""


@dataclass(frozen=True, slots=True)
class Source:
    """What the slots of one worker held at some moment."""

    worker: str
    process: int  # 0: it runs no more
    entries: list[tuple[bytes, list[float]]]


class SlotFile:
    """Names and their slots, kept in the file `path`; without one, in memory that only this process sees.

    A file that cannot be read is begun anew, one that cannot grow goes on in memory: both are said in the log, and neither raises.
    A slot is written by one thread alone, the event loop's; slots may be taken by any.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.worker = "0" if path is None else path.stem
        self._path = path
        self._descriptor: int | None = None
        self._chunks: list[Chunk] = []
        self._places: dict[bytes, Place] = {}
        self._lock = threading.Lock()
        if path is not None:
            try:
                self._open(path)
            except OSError as error:
                log.warning("metrics are kept in memory, and lost with this process: %s: %s", path, error.strerror)
                self._leave_file()

    def take(self, name: bytes, slots: int) -> Place:
        """The slots called `name`, made when they are first asked for. Raises ValueError when no chunk could hold them."""
        with self._lock:
            place = self._places.get(name)
            if place is None:
                chunk = self._chunk(name, slots)
                place = self._places[name] = (chunk.doubles, chunk.append(name, slots))
            return place

    def places(self) -> list[tuple[bytes, Place]]:
        """All that was taken, now or by a worker before."""
        return list(self._places.items())

    def read(self) -> Source:
        """For this process, what another would learn from `read(path)`; and what is in memory alone."""
        return Source(self.worker, os.getpid(), [entry for chunk in list(self._chunks) for entry in chunk.entries()])

    def close(self) -> None:
        """Nothing is written any more, and others may know: what was written is still to be read."""
        for chunk in self._chunks:
            chunk.owner = 0
        self._leave_file()

    def _open(self, path: Path) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            for n in range(os.fstat(self._descriptor).st_size // SIZE):
                self._go_on(self._mapped(n))
        except BadChunk as error:
            log.warning("%s is begun anew: %s", path, error)
            self._chunks.clear()
            self._places.clear()
            self._leave_file()
            path.unlink()  # never cut: who reads it now would be killed
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def _go_on(self, chunk: Chunk) -> None:
        if not chunk.is_begun:
            chunk.begin(os.getpid())
        for name, index, _ in chunk.places():
            self._places[name] = (chunk.doubles, index)
        chunk.owner = os.getpid()
        self._chunks.append(chunk)

    def _chunk(self, name: bytes, slots: int) -> Chunk:
        if entry_size(name, slots) > SIZE // 2:
            raise ValueError(f"{slots} slots under a name of {len(name)} bytes are too much")
        if not self._chunks or not self._chunks[-1].has_room(name, slots):
            chunk = self._grown()
            chunk.begin(os.getpid())
            self._chunks.append(chunk)
        return self._chunks[-1]

    def _grown(self) -> Chunk:
        if self._descriptor is not None:
            n = len(self._chunks)
            try:
                # Filled before it is mapped: then a full disk is an error here, and does not kill who writes a slot.
                if os.pwrite(self._descriptor, bytes(SIZE), n * SIZE) != SIZE:
                    raise OSError(None, "the disk is full")
                return self._mapped(n)
            except OSError as error:
                log.warning("new metrics are kept in memory, and lost with this process: %s: %s", self._path, error.strerror)
                self._leave_file()
        return Chunk(memoryview(mmap.mmap(-1, SIZE)))

    def _leave_file(self) -> None:
        """What comes is kept in memory; what is mapped stays so."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _mapped(self, n: int) -> Chunk:
        assert self._descriptor is not None
        return Chunk(memoryview(mmap.mmap(self._descriptor, SIZE, offset=n * SIZE)))


def read(path: Path) -> Source | None:
    """A worker's file as it is now, whatever its writer is doing. None when there is nothing in it; with a warning, when it is bad."""
    try:
        with path.open("rb") as file:
            chunks = os.fstat(file.fileno()).st_size // SIZE
            if not chunks:
                return None
            with mmap.mmap(file.fileno(), chunks * SIZE, access=mmap.ACCESS_READ) as mapped:
                try:
                    return _read(path.stem, mapped, chunks)
                except BadChunk:
                    return _read(path.stem, mapped, chunks)  # an entry may have been seen before all of it was
    except FileNotFoundError:
        return None
    except (OSError, BadChunk) as error:
        log.warning("%s is left out: %s", path, error)
        return None


def _read(worker: str, mapped: mmap.mmap, number: int) -> Source | None:
    view = memoryview(mapped)
    chunks = [Chunk(view[n * SIZE : (n + 1) * SIZE]) for n in range(number)]
    try:
        if not chunks[0].is_begun:
            return None
        owner = chunks[0].owner
        entries = [entry for chunk in chunks for entry in chunk.entries()]
        return Source(worker, owner if _is_alive(owner) else 0, entries)
    finally:
        for chunk in chunks:
            chunk.release()
        view.release()


def _is_alive(process: int) -> bool:
    if not process:
        return False
    try:
        os.kill(process, 0)
    except PermissionError:
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return True


def slot_file(folder: Path, worker: int) -> Path:
    """Where worker number `worker` of the gateway with this state folder keeps its slots."""
    return folder / "metrics" / f"{worker}{SUFFIX}"


def read_all(folder: Path) -> list[Source]:
    """What all workers of the gateway with this state folder have counted since it started, those that have ended included."""
    return [source for path in sorted((folder / "metrics").glob(f"*{SUFFIX}")) if (source := read(path)) is not None]


def forget(folder: Path) -> None:
    """At the start of a gateway: what a former one counted is no more. Raises nothing: what cannot be removed is said in the log."""
    for path in (folder / "metrics").glob(f"*{SUFFIX}"):
        try:
            path.unlink()
        except OSError as error:
            log.warning("%s of a former run stays: %s", path, error.strerror)
