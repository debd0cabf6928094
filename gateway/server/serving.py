"""All that serves in one process, whether it is the only one or a worker: the policy in force, its front, and what they write and count."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from gateway.app import App
from gateway.config.policy import Policy
from gateway.control import Control
from gateway.server.compile import SWITCH, Compiler, Load
from gateway.server.front import Front
from gateway.server.listener import Listener
from gateway.server.sampling import Sampler
from gateway.server.setup import tune_collector
from gateway.server.succession import Succession
from gateway.state.record import State
from gateway.telemetry.files import LineFiles
from gateway.telemetry.lines import LineWriter
from gateway.telemetry.log import LogHandler
from gateway.telemetry.metrics.families import Metrics
from gateway.telemetry.tracing.destination import exporter
from gateway.telemetry.watchdog import Watchdog


class Serving:
    """`open`, `start`, `serve`; then the front drains, and `stop`."""

    front: Front
    policies: Succession

    def __init__(self, policy: Policy, load: Load, metrics: Metrics, control: Control | None = None, *, memory: str = "") -> None:
        """Raises ConfigError. `load` reads the policy again; `memory` as App has it."""
        self.lines = LineWriter(sys.stdout.fileno())
        self.files = LineFiles()
        self.app = App(policy, self.lines.write, files=self.files, exporter=exporter, metrics=metrics, control=control, memory=memory)
        self._compiler = Compiler(load, policy, self.lines.write)
        self._watchdog = Watchdog()
        self._sampler: Sampler | None = None

    def open(self, listeners: Sequence[Listener], bound: Mapping[str, str]) -> None:
        """In the event loop. `bound`: what the gateway was started with, of the settings that need a restart."""
        self.front = Front(self.app, listeners)
        self.policies = Succession(self.front, self._compiler, bound)

    async def start(self) -> None:
        """Start the policy's plugins. Raises what they raise."""
        await self.app.start()

    def serve(self, reloads: Callable[[], State] | None = None) -> None:
        """Accept from now on. `reloads`: how they went, where this process is the one to count them."""
        self.front.start()
        self.front.app.running.work()
        self._watchdog.start()
        tune_collector()
        sys.setswitchinterval(SWITCH)  # large bodies are checked in threads meanwhile
        self._sampler = Sampler(self.front, reloads)
        self._sampler.follow_log("access", lambda: self.lines.dropped + self.files.dropped)
        for handler in logging.getLogger().handlers:
            if isinstance(handler, LogHandler) or handler.name == "sentry":
                self._sampler.follow_log(handler.name or "", partial(getattr, handler, "dropped"))
        self._sampler.follow_watchdog(self._watchdog)
        self._sampler.start()

    async def stop(self) -> None:
        """When the front has drained."""
        await self.policies.stop()
        await self.front.app.stop()
        self._watchdog.stop()
        self.lines.stop()
        self.files.stop()
        if self._sampler is not None:
            self._sampler.stop()
        self.app.metrics.file.close()
