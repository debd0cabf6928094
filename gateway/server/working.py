"""All that a process has that runs jobs alone: the policy in force and those after it, what it counts, and what can be asked of it."""

from __future__ import annotations

import asyncio
import logging
import os
from functools import partial
from time import monotonic
from typing import Any

from gateway.app import App
from gateway.config.policy import Policy
from gateway.control import Arguments
from gateway.server.compile import Compiler, Load
from gateway.server.measures import Measures
from gateway.server.operations import health
from gateway.server.pushing import Pusher
from gateway.server.reading import bound
from gateway.server.reload import Reloader, reloader
from gateway.server.sampling import Sampler
from gateway.server.succession import Succession
from gateway.server.telling import policy_health
from gateway.telemetry.log import LogHandler
from gateway.telemetry.metrics.families import Metrics
from gateway.telemetry.tracing.destination import exporter
from gateway.telemetry.watchdog import Watchdog

log = logging.getLogger("gateway")

NEEDS_RESTART = ("sentry_dsn",)
"""What a worker looks at when it starts, and not again."""


class Working:
    """`start`, then `stop`. It goes by `app`, as a front does, but nobody connects."""

    reloads: Reloader
    connections = 0

    def __init__(self, policy: Policy, load: Load) -> None:
        """Raises ConfigError. `load` reads the policy again."""
        self.app = App(policy, _nowhere, exporter=exporter, metrics=Metrics(), serves=False)
        self._policy = policy
        self._compiler = Compiler(load, policy, _nowhere)
        self._begun = monotonic()
        self._watchdog = Watchdog()
        self._pusher = Pusher(lambda: [self.app.metrics.read()], lambda: self.app.policy.telemetry.metrics)
        self._measures = Measures(lambda: [self.app.metrics.read()], None)
        for operation in (self.health, self.liveness, self.workers):
            self.app.control.offer(operation.__name__, operation)
        self._measures.offer(self.app.control)
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def idle(self) -> str:
        """Why there is nothing to do by this policy; "" when there is."""
        if self.app.jobs is None:
            return "the policy has no jobs"
        return "" if self.app.policy.senders else "the policy has no senders in jobs"

    @property
    def _types(self) -> str:
        return ", ".join(sender.name for sender in self.app.policy.senders)

    async def start(self, watch: bool) -> None:
        """Run jobs from now on, and reload. Raises what store and senders raise; then nothing is left open."""
        await self.app.start()
        loop = asyncio.get_running_loop()
        restart = bound(self._policy)
        self._policies = Succession(self, self._compiler, {name: restart[name] for name in NEEDS_RESTART})
        self.reloads = reloader(self._policies, self._policy.path, None, watch=watch)
        self._sampler = Sampler(self, lambda: self.reloads.state)
        for handler in logging.getLogger().handlers:
            if isinstance(handler, LogHandler) or handler.name == "sentry":
                self._sampler.follow_log(handler.name or "", partial(getattr, handler, "dropped"))
        self._sampler.follow_watchdog(self._watchdog)
        self._sampler.start()
        self._pusher.start()
        self._watchdog.start()
        self._tasks = [loop.create_task(self.reloads.run(), name="reload"), loop.create_task(self._measures.run(), name="metrics")]
        self.app.running.work()
        log.info("working for %s", self._types)

    def adopt(self, app: App) -> None:
        """Go by this policy from now on; what has begun by the one before ends by it."""
        before, self.app = self._types, app
        if self.idle:
            log.warning("there is nothing to do: %s", self.idle)
        elif self._types != before:
            log.info("working for %s", self._types)

    async def stop(self) -> None:
        """Claim nothing more, let jobs end while the policy's drain lasts, and give the rest back."""
        running = self.app.running
        running.draining = True
        if running.jobs is not None:
            running.jobs.quiet()
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)
        self.reloads.stop()
        await self._policies.stop()
        await running.stop()
        self._watchdog.stop()
        self._sampler.stop()
        self._pusher.stop()

    async def health(self, arguments: Arguments) -> Any:
        """As of a gateway, but for what only requests need."""
        return health(self.app, policy_health(self.app.running.is_stale, self.reloads.state))

    async def liveness(self, arguments: Arguments) -> Any:
        """That the loop turns, also while it drains."""
        return {"status": "ok"}

    async def workers(self, arguments: Arguments) -> Any:
        """A list of this process alone: of the fleet's others, each tells of itself."""
        state = "draining" if self.app.running.draining else "running"
        uptime = round(monotonic() - self._begun, 3)
        return [{"worker": 0, "pid": os.getpid(), "state": state, "uptime": uptime, "in_flight": 0, "jobs": self._policies.jobs}]


def _nowhere(line: bytes) -> None:
    """A worker has no access log."""
