"""Metrics sent to an OTLP receiver now and then, by a thread: who serves waits for nothing of it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from gateway.config.server import MetricsSettings
from gateway.telemetry.metrics.reading import merge
from gateway.telemetry.metrics.slots import Source

if TYPE_CHECKING:
    from gateway.telemetry.metrics.otlp import Receiver

log = logging.getLogger("gateway.metrics")

TIMEOUT = 10.0  # seconds for a receiver to take them
PATIENCE = 2.0  # seconds that the end waits for it


class Pusher:
    """`settings` are those in force, asked for each time: a reload may change them. A receiver that fails is told of once."""

    def __init__(self, sources: Callable[[], Sequence[Source]], settings: Callable[[], MetricsSettings]) -> None:
        self._sources = sources
        self._settings = settings
        self._begun = time.time()
        self._ends = threading.Event()
        self._receiver: Receiver | None = None
        self._fails = False
        self._thread = threading.Thread(target=self._run, name="otlp-metrics", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Sends the last numbers, and waits no longer than PATIENCE for that."""
        self._ends.set()
        self._thread.join(PATIENCE)

    def _run(self) -> None:
        while not self._ends.wait(self._settings().interval):
            self._push(TIMEOUT)
        self._push(PATIENCE)

    def _push(self, timeout: float) -> None:
        endpoint = self._settings().endpoint
        if not endpoint:
            return
        try:
            if self._receiver is None or self._receiver.endpoint != endpoint:
                from gateway.telemetry.metrics.otlp import Receiver  # half a second and 20 MB, for those who use it

                self._receiver = Receiver(endpoint)
            self._receiver.send(merge(self._sources()), self._begun, time.time(), timeout)
        except Exception as error:  # whatever it is, the next time may go well
            if not self._fails:
                log.warning("metrics are not delivered: %s", error)
            self._fails = True
        else:
            self._fails = False
