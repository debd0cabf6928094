"""What can be asked of this process by name: how it is, what it runs, and to reload."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from gateway.app import App
from gateway.checks import Check
from gateway.control import Arguments, Control
from gateway.jobs.contract import JobsState
from gateway.server.front import Front
from gateway.server.recall import recall
from gateway.server.reload import Reloader
from gateway.server.succession import Succession
from gateway.server.telling import policy_health, set_log_level
from gateway.store.contract import StoreState
from gateway.telemetry.levels import levels


class Operations:
    """Each public method is an operation of its name; answers are JSON values."""

    def __init__(self, front: Front, reloader: Reloader, policies: Succession, clock: Callable[[], float]) -> None:
        self._front = front
        self._reloader = reloader
        self._policies = policies
        self._clock = clock
        self._started = clock()

    def offer(self, control: Control) -> None:
        for operation in (
            self.status, self.health, self.liveness, self.workers, self.policy, self.log_level, self.set_log_level, self.reload,
            self.exchange,
        ):  # fmt: skip
            control.offer(operation.__name__, operation)

    async def status(self, arguments: Arguments) -> Any:
        """What runs, since when, and how its reloads went."""
        state, policy = self._reloader.state, self._front.app.policy
        return {
            "version": version("gateway"),
            "pid": os.getpid(),
            "uptime": self._uptime(),
            "policy": str(policy.path),
            "revision": state.revision,
            "routes": len(policy.routes),
            "listen": [f"{listener.scheme}://{listener.address}" for listener in self._front.listeners],
            "connections": self._front.connections,
            "in_flight": self._policies.exchanges,
            "log_level": levels()["level"],
            "reloads": {"ended": state.ended, "failed": state.failed, "last": None if state.last is None else asdict(state.last)},
            "health": await self.health(arguments),
        }

    async def health(self, arguments: Arguments) -> Any:
        """`ready` is whether to send requests here; `status` is ok, degraded, unready or draining."""
        app = self._front.app
        return health(app, policy_health(app.running.is_stale, self._reloader.state))

    async def liveness(self, arguments: Arguments) -> Any:
        """That the loop turns: also of one that drains, which must not be restarted."""
        return {"status": "ok"}

    async def workers(self, arguments: Arguments) -> Any:
        """A list with what is known of each process that serves; here of this one."""
        running = self._front.app.running
        state = "draining" if running.draining else "running"
        told = {"worker": 0, "pid": os.getpid(), "state": state, "uptime": self._uptime(), "in_flight": self._policies.exchanges}
        return [told | {"jobs": self._policies.jobs}]

    async def policy(self, arguments: Arguments) -> Any:
        """The policy in force, without its secrets."""
        policy = self._front.app.policy
        revision = self._reloader.state.revision
        return {"file": str(policy.path), "revision": revision, "policy": await asyncio.to_thread(policy.masked)}

    async def log_level(self, arguments: Arguments) -> Any:
        """The least `level` that is logged, and under `loggers` those that were set apart."""
        return levels()

    async def set_log_level(self, arguments: Arguments) -> Any:
        """The least `level` from now on, of all or of one `logger`; `policy` is the policy's, of all, which a reload sets too."""
        set_log_level(arguments, self._front.app.policy.telemetry.log.level)
        return levels()

    async def exchange(self, arguments: Arguments) -> Any:
        """What became of the exchanges whose request id is `id`, the newest first; of several processes the one knows it that served it."""
        return {"exchanges": await recall(self._front, str(arguments.get("id", "")))}

    async def reload(self, arguments: Arguments) -> Any:
        """Read the policy again. Not `ok`, with all `mistakes`, when the old one stays."""
        state = await self._reloader.asked()
        assert state.last is not None
        return {**asdict(state.last), "revision": state.revision}

    def _uptime(self) -> float:
        return round(self._clock() - self._started, 3)


def health(app: App, file: Mapping[str, Any]) -> dict[str, Any]:
    """What one process says of itself; `file` is what is known of the policy's file."""
    running, policy = app.running, app.policy
    store, jobs = app.store.state(), app.jobs
    is_sick = not store.is_up or (jobs is not None and not jobs.is_well)
    out = {name: left_out for name, upstream in app.upstreams.items() if (left_out := upstream.out)}
    is_degraded = running.is_stale or is_sick or bool(out) or any(check.failure for check in running.checks)
    ready = running.is_ready()
    return {
        "status": "draining" if running.draining else "unready" if not ready else "degraded" if is_degraded else "ok",
        "ready": ready,
        "policy": file,
        "store": _stored(store),
        **({} if jobs is None else {"jobs": _stored(jobs.state())}),
        "upstreams": {
            name: {"targets": list(settings.targets), **({"out": out[name]} if name in out else {})}
            for name, settings in policy.upstreams.items()
        },
        "checks": {check.name: _checked(check) for check in running.checks},
    }


def _stored(state: StoreState | JobsState) -> dict[str, Any]:
    told: dict[str, Any] = {"status": "ok" if state.is_up else "away", "url": state.address}
    told |= state.details if isinstance(state, JobsState) else {}
    return told | ({"why": state.why} if state.why else {}) | ({"warnings": list(state.warnings)} if state.warnings else {})


def _checked(check: Check) -> dict[str, Any]:
    state = {"status": "failing", "why": check.failure} if check.failure else {"status": "ok"}
    return {**state, "required": check.is_required}
