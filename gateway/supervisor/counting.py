"""What the supervisor counts itself: its workers, and the reloads that are one for all of them; and the numbers of all, merged."""

from __future__ import annotations

import asyncio
from pathlib import Path

from gateway.caching.operations import offer_stats
from gateway.config.server import MetricsSettings
from gateway.control import Control
from gateway.server.measures import Measures
from gateway.server.pushing import Pusher
from gateway.server.reload import Reloader
from gateway.server.sampling import ReloadSampler
from gateway.supervisor.crew import Crew
from gateway.telemetry.metrics.families import Counter, Gauge, Metrics
from gateway.telemetry.metrics.slots import SUFFIX, SlotFile, read_all

EVERY = 0.5  # seconds between two looks
FILE = f"metrics/supervisor{SUFFIX}"


class Counting:
    """`run` until cancelled, then `stop`."""

    def __init__(self, crew: Crew, reloads: Reloader, folder: Path, state: Path | None, control: Control) -> None:
        """`folder` has the workers' files; in `state`, if it can be written, the last hour is kept for the next gateway."""
        self._crew = crew
        self._metrics = Metrics(SlotFile(folder / FILE))
        self._reloads = ReloadSampler(self._metrics, lambda: reloads.state)
        self._serving, self._deaths = workers(self._metrics)
        self._died = 0
        self._measures = Measures(lambda: read_all(folder), state)
        self._measures.offer(control)
        offer_stats(control)
        self._pusher = Pusher(lambda: read_all(folder), self._receiver)

    async def run(self) -> None:
        self._pusher.start()
        measuring = asyncio.create_task(self._measures.run(), name="metrics")
        try:
            while True:
                self._look()
                await asyncio.sleep(EVERY)
        finally:
            measuring.cancel()
            await asyncio.wait([measuring])

    def stop(self) -> None:
        self._look()
        self._pusher.stop()
        self._metrics.file.close()

    def _look(self) -> None:
        self._reloads.sample()
        self._serving.set(len(self._crew.serving))
        self._deaths.add(self._crew.deaths - self._died)
        self._died = self._crew.deaths

    def _receiver(self) -> MetricsSettings:
        endpoint, interval = self._crew.decided.terms.receiver
        return MetricsSettings.model_construct(endpoint=endpoint, interval=interval)


def workers(metrics: Metrics) -> tuple[Gauge, Counter]:
    """How many serve, and how many died."""
    return (
        metrics.gauge("gateway.workers", "Workers that serve; where there is a supervisor.", merge="max").bind(),
        metrics.counter("gateway.worker.deaths", "Workers that ended though nobody had told them to.").bind(),
    )
