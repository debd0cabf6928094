"""A gateway on a stage: one policy, a clock of its own, stubs for upstreams, and requests one after another."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from email.utils import formatdate

from gateway.app import App
from gateway.config.jobs import JobsSettings
from gateway.config.policy import Policy
from gateway.errors import ConfigError, Mistake
from gateway.exchange import Exchange
from gateway.jobs.contract import Job
from gateway.jobs.memory import MemoryJobs
from gateway.pipeline import Pipeline
from gateway.rehearsal.answer import Answer, Ask, Sent
from gateway.rehearsal.client import OneRequest
from gateway.rehearsal.clock import Clock
from gateway.rehearsal.outcome import Outcome
from gateway.rehearsal.request import Request
from gateway.rehearsal.services import Serve, Services, silence
from gateway.rehearsal.store import RehearsedStore
from gateway.rehearsal.stub import DEFAULT, stubbed
from gateway.server.front import Front

BEGIN = 1_767_225_600.0
"""Seconds: 2026-01-01 00:00 UTC, when every rehearsal begins; the windows of limits begin there, too."""

MOST = 100_000
"""Jobs that one rehearsal looks at."""


def default(sent: Sent) -> Answer:
    return DEFAULT


class RehearsedApp(App):
    """An App that keeps the exchange it found a pipeline for, and asks stubs instead of upstreams. Jobs are `stored`, and not run."""

    stored: MemoryJobs | None = None

    def __init__(
        self, policy: Policy, write_line: Callable[[bytes], None], clock: Clock, ask: Ask = default, serve: Serve = silence
    ) -> None:
        self.services = Services(serve, clock)
        self.rehearsed = RehearsedStore(clock, policy.store.on_failure)
        super().__init__(
            policy,
            write_line,
            clock,
            lambda name, settings: stubbed(name, settings, ask, clock),
            outbound=self.services.call,
            store=lambda settings: self.rehearsed,
            jobs=self._new_jobs,
        )
        self.exchange: Exchange | None = None

    def _new_jobs(self, settings: JobsSettings) -> MemoryJobs:
        self.stored = MemoryJobs(self.clock)
        return self.stored

    def find(self, ex: Exchange) -> Pipeline:
        self.exchange = ex
        return super().find(ex)


class Stage:
    """Made by `staged`. `perform` requests one after another; `clock` moves when you move it."""

    def __init__(self, policy: Policy, answer: Ask, serve: Serve, begin: float) -> None:
        self.begin = begin
        self.clock = Clock(begin)
        self._answer = answer
        self._sent: list[Sent] = []
        self._known: set[str] = set()  # ids of the jobs that were stored before
        self._lines: list[bytes] = []
        self.app = RehearsedApp(policy, self._lines.append, self.clock, self._asked, serve)
        self.front: Front

    def _asked(self, sent: Sent) -> Answer:
        answer = self._answer(sent)
        if answer.fail != "refused":
            self._sent.append(sent)
        return answer

    async def perform(self, request: Request) -> Outcome:
        """Raises TimeoutError when a plugin waits for something outside that does not come."""
        self._sent.clear()
        self._lines.clear()
        services = self.app.services.asked
        services.clear()
        self.app.exchange = None
        self.front.date = formatdate(self.clock.now, usegmt=True)
        status, headers, body, is_cut = await OneRequest(self.front, request).exchange()
        ex = self.app.exchange
        return Outcome(
            "" if ex is None else ex.route,
            status,
            headers,
            body,
            tuple(self._sent),
            () if ex is None or ex.notes is None else tuple(ex.notes),
            tuple(json.loads(line) for line in self._lines),
            is_cut,
            tuple(services),
            await self._new_jobs(),
        )

    async def _new_jobs(self) -> tuple[Job, ...]:
        stored = () if self.app.stored is None else await self.app.stored.page(limit=MOST)
        new = tuple(job for job in reversed(stored) if job.id not in self._known)
        self._known.update(job.id for job in new)
        return new


@asynccontextmanager
async def staged(policy: Policy, answer: Ask = default, serve: Serve = silence, begin: float = BEGIN) -> AsyncIterator[Stage]:
    """A started gateway that nobody can reach but `perform`. Raises ConfigError, also for a plugin that does not start.

    `answer` is for its upstreams and `serve` for other services; `begin`: Unix time.
    """
    stage = Stage(policy, answer, serve, begin)
    try:
        await stage.app.start()
    except Exception as error:
        why = f"a plugin does not start: {type(error).__name__}: {error}"
        raise ConfigError([Mistake(str(policy.path), 0, 0, "", why)]) from error
    stage.front = Front(stage.app, ())
    try:
        yield stage
    finally:
        await stage.app.stop()
