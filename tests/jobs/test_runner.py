"""The worker: what it claims, what becomes of jobs, and what it does while the store is away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from gateway.jobs.contract import Claim, Dead, Finish, Job, JobsAway, NewJob, Park, Retry, Want
from gateway.jobs.handler import JobHandler, SenderSettings
from gateway.jobs.machine import UNKNOWN, Backoff
from gateway.jobs.measures import Measures
from gateway.jobs.memory import MemoryJobs
from gateway.jobs.runner import Runner, Work
from gateway.telemetry.metrics.families import Metrics
from gateway.testing import Clock, host


class Told(JobHandler[SenderSettings]):
    """Does what the test says, and keeps what it was given."""

    def __init__(self, settings: SenderSettings, do: Callable[[Job], Any]) -> None:
        super().__init__(settings, host())
        self.do = do
        self.seen: list[Job] = []

    async def run(self, job: Job) -> Any:
        self.seen.append(job)
        result = self.do(job)
        return await result if asyncio.iscoroutine(result) else result


class Sick(MemoryJobs):
    """Memory that may be away; keeps what it was asked."""

    def __init__(self, time: Callable[[], float]) -> None:
        super().__init__(time)
        self.away = False
        self.asked: list[str] = []
        self.reclaimed: list[bool] = []
        self.wanted: list[Sequence[Want]] = []

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        if self.away:
            raise JobsAway("away")

    async def claim(self, wants: Sequence[Want], room: int, lease: float, token: str, *, reclaims: bool = True) -> Claim:
        self._ask("claim")
        self.reclaimed.append(reclaims)
        self.wanted.append(wants)
        return await super().claim(wants, room, lease, token, reclaims=reclaims)

    async def finish(self, finished: Sequence[Finish], token: str) -> frozenset[str]:
        self._ask("finish")
        return await super().finish(finished, token)

    async def extend(self, ids: Sequence[str], lease: float, token: str) -> frozenset[str]:
        self._ask("extend")
        return await super().extend(ids, lease, token)


class Workshop:
    def __init__(self) -> None:
        self.clock = Clock(1_800_000_000.0)
        self.store = Sick(self.clock)
        self.handlers: dict[str, Told] = {}

    def handle(self, type: str, do: Callable[[Job], Any] = lambda job: None, **settings: Any) -> Told:
        self.handlers[type] = Told(SenderSettings.model_validate(settings), do)
        return self.handlers[type]

    async def add(self, id: str, type: str = "email", **more: Any) -> None:
        await self.store.enqueue(NewJob(id=id, type=type, payload={"n": 1}, **more))

    async def state(self, id: str) -> str:
        return (await self.job(id)).state

    async def job(self, id: str) -> Job:
        job = await self.store.get(id)
        assert job is not None
        return job

    @asynccontextmanager
    async def runner(self, patience: float = 5.0, **work: Any) -> AsyncIterator[Runner]:
        runner = Runner(self.store, self.handlers, Work(**work), Measures(Metrics()), self.clock)
        runner.start()
        try:
            yield runner
        finally:
            await runner.stop(patience)


@pytest.fixture
def shop() -> Workshop:
    return Workshop()


async def until(true: Callable[[], Any], within: float = 30.0) -> None:
    async with asyncio.timeout(within):
        while True:
            found = true()
            if await found if asyncio.iscoroutine(found) else found:
                return
            await asyncio.sleep(0.002)


async def ended(shop: Workshop, id: str, state: str) -> Job:
    async def is_so() -> bool:
        return await shop.state(id) == state

    await until(is_so)
    return await shop.job(id)


def _raise(error: Exception) -> Callable[[Job], Any]:
    def do(job: Job) -> Any:
        raise error

    return do


@pytest.mark.parametrize(
    ("do", "state", "reason", "result", "notes"),
    [
        (lambda job: {"id": job.id}, "done", "", {"id": "a"}, {}),
        (_raise(Retry("451 later", after=60)), "delayed", "451 later", None, {}),
        (_raise(Retry(notes={"sent": ["x"]})), "delayed", "its handler asked for it", None, {"sent": ["x"]}),
        (_raise(Dead("550 no", {"code": 550})), "dead", "550 no", None, {"code": 550}),
        (_raise(Park("no template")), "parked", "no template", None, {}),
        (_raise(KeyError("name")), "delayed", "KeyError: 'name'", None, {}),
        (_raise(TimeoutError("of its own")), "delayed", "TimeoutError: of its own", None, {}),
        (lambda job: object(), "done", "", None, {}),  # no JSON value: the work was done all the same
    ],
)
async def test_outcomes(shop: Workshop, do: Callable[[Job], Any], state: str, reason: str, result: Any, notes: Any) -> None:
    shop.handle("email", do)
    await shop.add("a")
    async with shop.runner(backoff=Backoff(6, 1e6, 1e6)):
        job = await ended(shop, "a", state)
    assert (job.reason, job.result, job.notes, job.attempt) == (reason, result, notes, 1)


async def test_retry_after_is_honoured(shop: Workshop) -> None:
    shop.handle("email", _raise(Retry("429", after=120)))
    await shop.add("a")
    async with shop.runner():
        job = await ended(shop, "a", "delayed")
    assert 120 <= job.run_at - shop.clock.now <= 121


async def test_the_last_attempt_is_the_last(shop: Workshop) -> None:
    handler = shop.handle("email", _raise(Retry("451", after=1)))
    await shop.add("a")
    async with shop.runner(backoff=Backoff(3)):
        for attempt in (1, 2):
            await ended(shop, "a", "delayed")
            assert len(handler.seen) == attempt
            shop.clock.advance(10)
        job = await ended(shop, "a", "dead")
    assert [job.attempt for job in handler.seen] == [1, 2, 3]
    assert job.reason == "451 (the last of 3 attempts)"


async def test_an_attempt_has_a_time_limit(shop: Workshop) -> None:
    shop.handle("email", lambda job: asyncio.sleep(60), timeout="20ms")
    await shop.add("a")
    async with shop.runner(backoff=Backoff(6, 1e6, 1e6)):
        assert (await ended(shop, "a", "delayed")).reason == "it did not end within 0.02 s"


async def test_no_more_than_its_concurrency_runs(shop: Workshop) -> None:
    gate = asyncio.Event()
    handler = shop.handle("email", lambda job: gate.wait())
    for n in range(10):
        await shop.add(str(n))
    async with shop.runner(concurrency=3) as runner:
        await until(lambda: len(handler.seen) == 3)
        await asyncio.sleep(0.02)
        assert len(handler.seen) == runner.active == 3
        gate.set()
        await until(lambda: len(handler.seen) == 10)


async def test_a_provider_that_hangs_does_not_keep_the_others_waiting(shop: Workshop) -> None:
    gate = asyncio.Event()
    slow = shop.handle("email", lambda job: gate.wait())
    shop.handle("webhook")
    for n in range(10):
        await shop.add(f"e{n}")
    async with shop.runner(concurrency=4):
        await until(lambda: len(slow.seen) == 3)
        for n in range(5):
            await shop.add(f"w{n}", type="webhook")
        for n in range(5):
            await ended(shop, f"w{n}", "done")
        gate.set()


async def test_rate_and_concurrency_are_asked_of_the_store(shop: Workshop) -> None:
    shop.handle("email", rate="10/s", concurrency=2)
    async with shop.runner(concurrency=5):
        await until(lambda: shop.store.wanted)
    assert shop.store.wanted[0] == [Want("email", 5, 6, 10.0, 2)]


async def test_what_is_not_said_yet_is_said_before_more_is_claimed(shop: Workshop) -> None:
    gate = asyncio.Event()
    handler = shop.handle("email", lambda job: gate.wait())
    for n in range(4):
        await shop.add(str(n))
    async with shop.runner(concurrency=2):
        await until(lambda: len(handler.seen) == 2)
        shop.store.away = True
        shop.store.asked.clear()
        gate.set()
        await until(lambda: shop.store.asked.count("finish") >= 2)
        assert "claim" not in shop.store.asked
        shop.store.away = False
        await until(lambda: len(handler.seen) == 4)
        await ended(shop, "3", "done")
    assert [job.id for job in handler.seen] == ["0", "1", "2", "3"]  # none of them twice


async def test_nobody_reclaims_for_one_lease_after_an_outage(shop: Workshop) -> None:
    shop.handle("email")
    async with shop.runner(lease=30.0):
        await until(lambda: shop.store.reclaimed)
        assert not any(shop.store.reclaimed)  # it has just begun: an outage may have ended
        shop.clock.advance(31)
        await until(lambda: shop.store.reclaimed[-1])
        shop.store.away = True
        await asyncio.sleep(0.01)
        await shop.add("wakes")
        await until(lambda: shop.store.asked.count("claim") > len(shop.store.reclaimed))
        shop.store.away = False
        told = len(shop.store.reclaimed)
        await until(lambda: len(shop.store.reclaimed) > told)
        assert not shop.store.reclaimed[-1]
        shop.clock.advance(31)
        await until(lambda: shop.store.reclaimed[-1])


async def test_where_there_are_no_outages_a_worker_that_begins_takes_over_at_once(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a fleet whose workers die sooner than a lease ends would never take over what they left."""
    monkeypatch.setattr(Sick, "is_elsewhere", False)
    shop.handle("email")
    async with shop.runner(lease=30.0):
        await until(lambda: shop.store.reclaimed)
        assert all(shop.store.reclaimed)


async def test_leases_are_renewed(shop: Workshop) -> None:
    gate = asyncio.Event()
    handler = shop.handle("email", lambda job: gate.wait())
    await shop.add("a")
    async with shop.runner(lease=0.03):
        await until(lambda: handler.seen)
        await until(lambda: shop.store.asked.count("extend") >= 2)
        gate.set()
        await ended(shop, "a", "done")


async def test_a_job_that_was_given_to_another_is_stopped(shop: Workshop) -> None:
    ends: list[str] = []

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ends.append("stopped")

    handler = shop.handle("email", lambda job: work())
    await shop.add("a")
    async with shop.runner(lease=0.03):
        await until(lambda: handler.seen)
        shop.clock.advance(60)
        other = await MemoryJobs.claim(shop.store, [Want("email", 1, 9)], 1, 1e6, "other")
        assert [job.id for job in other.jobs] == ["a"]
        await until(lambda: ends)
        assert await shop.state("a") == "active"
        assert await MemoryJobs.extend(shop.store, ["a"], 1.0, "other") == frozenset()


async def test_a_worker_that_stops_gives_back_what_has_not_ended(shop: Workshop) -> None:
    gate = asyncio.Event()
    handler = shop.handle("email", lambda job: gate.wait() if job.id == "a" else asyncio.sleep(60))
    for id in ("a", "b"):
        await shop.add(id)
    async with shop.runner(patience=0.05) as runner:
        await until(lambda: len(handler.seen) == 2)
        runner.quiet()
        gate.set()
        await ended(shop, "a", "done")
        await shop.add("c")
    job = await shop.job("b")
    assert (job.state, job.attempt) == ("queued", 0)
    assert await shop.state("c") == "queued" and len(handler.seen) == 2


async def test_a_job_that_was_just_claimed_is_given_back_too(shop: Workshop) -> None:
    shop.handle("email", lambda job: asyncio.sleep(60))
    runner = Runner(shop.store, shop.handlers, Work(), Measures(Metrics()), shop.clock)
    runner.start()
    await shop.add("a")
    await until(lambda: shop.store.asked)
    await runner.stop(0)
    assert await shop.state("a") == "queued"


async def test_types_that_became_known_are_queued_again(shop: Workshop) -> None:
    await shop.add("a", type="fax", parked=UNKNOWN)
    shop.handle("fax")
    async with shop.runner():
        await ended(shop, "a", "done")
