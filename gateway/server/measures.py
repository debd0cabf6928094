"""What the metrics tell to whoever asks: for Prometheus, and as JSON with the rates of the last hour. Where the ports are, this is."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from gateway.control import Arguments, Control
from gateway.state.folder import write
from gateway.telemetry.metrics.cached import cached
from gateway.telemetry.metrics.exposition import Exposition
from gateway.telemetry.metrics.hour import Hour
from gateway.telemetry.metrics.reading import Merged, merge
from gateway.telemetry.metrics.slots import Source

log = logging.getLogger("gateway.metrics")

EVERY = 15.0  # seconds between two readings for the last hour: how fine it is
FILE = "hour.json"

T = TypeVar("T")


class Measures:
    """`run` keeps the last hour until it is cancelled; the file in `folder` lets the next gateway go on with it. `sources` reads the slots.

    All reading is done by one thread of its own.
    """

    def __init__(self, sources: Callable[[], Sequence[Source]], folder: Path | None, now: Callable[[], float] = time.time) -> None:
        self._sources = sources
        self._file = None if folder is None else folder / "metrics" / FILE
        self._now = now
        self._exposition = Exposition()
        self._hour = Hour(now())
        self._thread = ThreadPoolExecutor(1, "metrics")

    def offer(self, control: Control) -> None:
        control.offer("metrics", self.metrics)
        control.offer("metrics_json", self.metrics_json)

    async def metrics(self, arguments: Arguments) -> Any:
        """All of them, in the format that `accept`, the Accept field of who asks, prefers: `content_type` and `text`."""
        accept = str(arguments.get("accept", ""))
        content_type, body = await self._in_thread(lambda: self._exposition.write(self._sources(), accept))
        return {"content_type": content_type, "text": body.decode()}

    async def metrics_json(self, arguments: Arguments) -> Any:
        """`requests` under way and since the start, and rates, errors and percentiles of the last minute, five minutes and hour.

        `cache` tells what became of those that it could have answered, since the start.
        """
        return await self._in_thread(self._told)

    async def run(self) -> None:
        await self._in_thread(self._load)
        try:
            while True:
                await asyncio.sleep(EVERY)
                await self._in_thread(self._look)
        finally:
            with contextlib.suppress(RuntimeError):  # the interpreter ends and takes no more work
                self._thread.submit(self._look)
            self._thread.shutdown(wait=False)

    def _told(self) -> dict[str, Any]:
        reading = merge(self._sources())
        now = self._now()
        self._hour.add(reading, now)
        active = _sum(reading, "http.server.active_requests")
        requests = {"active": round(active), "since_start": round(self._hour.requests)}
        return {"requests": requests, **self._hour.windows(now), "cache": cached(reading)}

    def _look(self) -> None:
        self._hour.add(merge(self._sources()), self._now())
        if self._file is not None:
            try:
                write(self._file, self._hour.dump().decode())
            except OSError as error:
                log.warning("%s cannot be written, the next gateway will not know of this hour: %s", self._file, error.strerror)
                self._file = None

    def _load(self) -> None:
        if self._file is not None:
            try:
                self._hour.load(self._file.read_bytes())
            except FileNotFoundError:
                pass
            except (OSError, ValueError) as error:
                log.warning("%s is not read, the last hour begins anew: %s", self._file, error)

    async def _in_thread(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)


def _sum(reading: Sequence[Merged], name: str) -> float:
    return sum(slots[0] for merged in reading if merged.shape.name == name for slots in merged.series.values())
