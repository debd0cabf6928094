"""What can be asked of a gateway of many workers: of all, of one, or of their supervisor alone; the same names as of one process."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from pathlib import Path
from time import monotonic
from typing import Any

from gateway.caching.operations import merged
from gateway.control import Arguments, Control
from gateway.jobs.operations import NAMES as JOBS
from gateway.server.reload import Reloader
from gateway.server.telling import policy_health, set_log_level
from gateway.supervisor.crew import Crew
from gateway.supervisor.judging import together
from gateway.supervisor.place import Place
from gateway.telemetry.levels import levels

PATIENCE = 2.0
"""Seconds for a worker to say how it is; one that is busy for longer is left out."""
PURGING = 0.25
"""Seconds for a worker to purge: a client waits for it."""
EXPLAINING = 8.0
"""Seconds for an explanation: plugins may compute."""


class Operations:
    """Each public method is an operation of its name; answers are JSON values."""

    def __init__(self, crew: Crew, places: Sequence[Place], reloader: Reloader, policy: Path, listen: Sequence[str]) -> None:
        self._crew = crew
        self._places = places
        self._reloader = reloader
        self._policy = policy
        self._listen = listen
        self._started = monotonic()

    def offer(self, control: Control) -> None:
        for operation in (
            self.status, self.health, self.liveness, self.workers, self.policy, self.explain, self.exchange,
            self.log_level, self.set_log_level, self.reload, self.cache_purge_all, self.cache_memory, self.cache_look,
        ):  # fmt: skip
            control.offer(operation.__name__, operation)
        for name in ("limits_show", "blocks", "keys_list", "keys_add", "keys_revoke", "cache_purge", *JOBS):
            control.offer(name, partial(self._of_one, name))
        for name in ("limits_reset", "block", "unblock"):
            control.offer(name, partial(self._of_all, name))

    async def status(self, arguments: Arguments) -> Any:
        """What runs, since when, and how its reloads went."""
        state = self._reloader.state
        beats = [child.beat for child in self._crew.children.values()]
        return {
            "version": version("gateway"),
            "pid": os.getpid(),
            "uptime": round(monotonic() - self._started, 3),
            "policy": str(self._policy),
            "revision": state.revision,
            "routes": self._crew.read.routes,
            "listen": list(self._listen),
            "workers": len(self._crew.serving),
            "connections": sum(beat.connections for beat in beats),
            "in_flight": sum(beat.in_flight for beat in beats),
            "log_level": levels()["level"],
            "reloads": {"ended": state.ended, "failed": state.failed, "last": None if state.last is None else asdict(state.last)},
            "health": await self.health(arguments),
        }

    async def health(self, arguments: Arguments) -> Any:
        """`ready` is whether to send requests here: one worker at least takes them."""
        policy = policy_health(self._crew.decided.is_stale, self._reloader.state)
        answers = await self._crew.tell("health", deadline=PATIENCE)
        if not answers:
            return {"status": "unready", "ready": False, "policy": policy, "checks": {}}
        return {**together(answers), "policy": policy}

    async def liveness(self, arguments: Arguments) -> Any:
        """That the supervisor lives, who sees to it that the workers do."""
        return {"status": "ok"}

    async def workers(self, arguments: Arguments) -> Any:
        """What is known of each worker, by its last sign of life; `starts` counts how often its place was filled."""
        starts = {place.child.number: place.starts for place in self._places if place.child is not None}
        now = monotonic()
        return [
            {
                "worker": child.number,
                "pid": child.pid,
                "state": child.state,
                "uptime": round(now - child.born, 3),
                "heard": round(now - child.heard, 3),
                "starts": starts.get(child.number, 1),
                **asdict(child.beat),
            }
            for _, child in sorted(self._crew.children.items())
        ]

    async def policy(self, arguments: Arguments) -> Any:
        """The policy in force, without its secrets."""
        return {"file": str(self._policy), "revision": self._reloader.state.revision, "policy": await self._crew.ask("policy")}

    async def explain(self, arguments: Arguments) -> Any:
        """The explanation of a request, by the plugins and counters of one worker."""
        return await self._crew.ask("explain", arguments, deadline=EXPLAINING)

    async def exchange(self, arguments: Arguments) -> Any:
        """What became of the exchanges whose request id is `id`, the newest first; the worker knows it that served it."""
        answers = await self._crew.tell("exchange", arguments)
        return {"exchanges": [exchange for found in answers for exchange in found]}

    async def log_level(self, arguments: Arguments) -> Any:
        """The least `level` that is logged, and under `loggers` those that were set apart."""
        return levels()

    async def set_log_level(self, arguments: Arguments) -> Any:
        """The same as of one process, in every one."""
        await self._crew.tell("set_log_level", arguments)  # first: a worker knows every logger, and may refuse
        set_log_level(arguments, self._crew.decided.terms.level)
        return levels()

    async def cache_purge_all(self, arguments: Arguments) -> Any:
        """Have every worker purge, also those that drain. One that does not answer at once does so before it serves anybody again."""
        for child in self._crew.children.values():
            if child.state == "draining":
                child.tell("cache_purge_here", arguments)
        await self._crew.tell("cache_purge_here", arguments, deadline=PURGING)

    async def cache_memory(self, arguments: Arguments) -> Any:
        """How full the workers' memories are, together, and of what."""
        return merged(await self._crew.tell("cache_memory", arguments))

    async def cache_look(self, arguments: Arguments) -> Any:
        """What the workers hold of a `url`, each by itself."""
        answers = await self._crew.tell("cache_look", arguments)
        found = [one for answer in answers for one in answer["found"]]
        return {**(answers[0] if answers else {}), "found": found}

    async def _of_one(self, name: str, arguments: Arguments) -> Any:
        """Of what the workers share, or should: any of them knows it."""
        return await self._crew.ask(name, arguments, deadline=EXPLAINING)

    async def _of_all(self, name: str, arguments: Arguments) -> Any:
        """With a store in memory each worker has its own; with a shared one, doing it again changes nothing."""
        return (await self._crew.tell(name, arguments))[0]

    async def reload(self, arguments: Arguments) -> Any:
        """Read the policy again. Not `ok`, with all `mistakes`, when the old one stays."""
        state = await self._reloader.asked()
        assert state.last is not None
        return {**asdict(state.last), "revision": state.revision}
