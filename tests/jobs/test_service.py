"""The jobs of a policy in one process: where they are kept, what is told of them, and how loud a loss is."""

from __future__ import annotations

import asyncio
import gc
import logging
import weakref
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.app import App
from gateway.config.jobs import JobsSettings
from gateway.config.policy import loads
from gateway.config.store import StoreSettings
from gateway.jobs import service
from gateway.jobs.contract import Enqueued, Job, JobsAway, NewJob
from gateway.jobs.redis.store import RedisJobs
from gateway.jobs.service import JobService, Place, work
from gateway.jobs.sqlite.store import SqliteJobs
from gateway.server.operations import health
from gateway.telemetry.metrics.reading import merge
from tests.jobs.process import write
from tests.store.servers import Server


def settings(**values: Any) -> JobsSettings:
    return JobsSettings.model_validate(values, context={"folder": Path("/policy")})


@pytest.mark.parametrize(
    ("url", "store", "place"),
    [
        ("", "memory://", ""),
        ("", "redis://store:6379/1", "redis://store:6379/1"),
        ("redis://jobs:6380", "memory://", "redis://jobs:6380"),
        ("redis://jobs:6380", "redis://store", "redis://jobs:6380"),
        ("sqlite://", "redis://store", ""),
    ],
)
def test_where_jobs_are_kept(url: str, store: str, place: str) -> None:
    found = Place.of(settings(url=url), StoreSettings(url=store))
    assert found.path == Path("/policy/var/jobs.db")
    assert str(found.redis or "") == place


def test_how_a_worker_works() -> None:
    told = work(settings(concurrency=3, lease="9s", retry={"attempts": 2, "backoff": "5s", "max_backoff": "1m"}, keep={"dead_max": 7}))
    assert (told.concurrency, told.lease, told.backoff.attempts, told.backoff.first, told.backoff.most) == (3, 9.0, 2, 5.0, 60.0)
    assert (told.keep.payload, told.keep.done, told.keep.dead, told.keep.dead_max) == (86_400.0, 604_800.0, 2_592_000.0, 7)


@asynccontextmanager
async def started(folder: Path, **values: Any) -> AsyncIterator[tuple[App, JobService]]:
    app = App(loads(write(folder, **values), path=folder / "gateway.yaml"), lambda line: None)
    await app.start()
    assert app.jobs is not None
    try:
        yield app, app.jobs
    finally:
        await app.stop()


async def test_the_store_of_a_policy(tmp_path: Path) -> None:
    async with started(tmp_path) as (app, jobs):
        assert isinstance(jobs.store, SqliteJobs) and jobs.queue.types == {"note"} and jobs.is_well
        told = health(app, {})
        assert told["status"] == "ok"
        assert told["jobs"] == {"status": "ok", "url": f"sqlite://{tmp_path / 'jobs.db'}", "active": 0}


async def test_redis_that_is_away_is_told_and_keeps_nobody_from_starting(tmp_path: Path) -> None:
    (tmp_path / "redis").mkdir()
    server = Server(tmp_path / "redis")
    async with started(tmp_path, url=server.url) as (app, jobs):
        assert isinstance(jobs.store, RedisJobs) and not jobs.is_well
        told = health(app, {})
        assert (told["status"], told["ready"]) == ("degraded", True)
        assert told["jobs"]["status"] == "away" and "no connection" in told["jobs"]["why"]
        assert await jobs.queue.enqueue("note", 1, id="a") == ("a", True)
        assert health(app, {})["jobs"]["spooled"] == 1


async def test_a_second_host_keeps_the_gateway_from_starting(tmp_path: Path) -> None:
    async with started(tmp_path):
        (tmp_path / "jobs.db.host").write_text("another")
        with pytest.raises(JobsAway, match="another host"):
            async with started(tmp_path):
                pass


async def test_a_policy_without_jobs_has_none(tmp_path: Path) -> None:
    app = App(loads("version: 1\nroutes: [{match: /, plugins: [{respond: 204}]}]", path=tmp_path / "gateway.yaml"), lambda line: None)
    assert app.jobs is None and "jobs" not in health(app, {})
    assert list(tmp_path.iterdir()) == []


async def test_nothing_is_opened_before_the_start(tmp_path: Path) -> None:
    App(loads(write(tmp_path), path=tmp_path / "gateway.yaml"), lambda line: None)
    assert not (tmp_path / "jobs.db").exists()


async def test_a_reload_keeps_what_would_be_made_of_the_same(tmp_path: Path) -> None:
    policy = write(tmp_path)
    async with started(tmp_path) as (app, jobs):

        def reloaded(old: str, new: str) -> App:
            assert old in policy
            newer = loads(policy.replace(old, new), app.policy._registry, path=tmp_path / "gateway.yaml")
            return App(newer, lambda line: None, before=app)

        assert reloaded("[fire]", "[request_id, fire]").jobs is jobs
        assert reloaded("takes: 0.0", "takes: 0.1").jobs is not jobs
        assert reloaded("concurrency: 8", "concurrency: 9").jobs is not jobs
        assert reloaded("version: 1", "version: 1\ntelemetry: {pii: [email]}").jobs is not jobs


@pytest.mark.parametrize("is_redis", [False, True])
async def test_what_has_ended_holds_no_circles(tmp_path: Path, valkey: Server, is_redis: bool) -> None:
    """The collector does not look at what is loaded."""
    gc.collect()
    gc.disable()
    try:
        async with started(tmp_path, url=valkey.url if is_redis else "") as (app, jobs):
            jobs.work()
            await jobs.queue.enqueue("note", 1)
            await asyncio.sleep(0.05)
            ended = weakref.ref(jobs)
            del jobs, app
        await asyncio.sleep(0)
        assert ended() is None
    finally:
        gc.enable()


class Full:
    """A Keeper that keeps nothing."""

    async def enqueue(self, job: NewJob) -> Enqueued:
        raise JobsAway("database or disk is full")

    async def get(self, id: str) -> Job | None:
        return None

    async def note(self, id: str, notes: Mapping[str, Any]) -> bool:
        return False


async def test_a_loss_is_loud(tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    async with started(tmp_path) as (app, jobs):
        jobs._keeper._keeper = Full()
        with caplog.at_level(logging.ERROR), pytest.raises(JobsAway, match="disk is full"):
            await jobs.queue.enqueue("note", {"secret": "x"}, id="a", request_id="r1")
        assert "job a of type note (request r1) is not stored: database or disk is full" in caplog.text
        assert "secret" not in caplog.text
        told = health(app, {})
        assert told["status"] == "degraded" and told["ready"] and told["jobs"]["lost"]["number"] == 1
        assert told["jobs"]["lost"]["why"] == "database or disk is full"
        (lost,) = [slots[0] for merged in _merged(app) if merged.shape.name == "gateway.jobs.lost" for slots in merged.series.values()]
        assert lost == 1
        monkeypatch.setattr(service, "REMEMBERED", 0.0)
        assert jobs.is_well and health(app, {})["jobs"]["lost"]["number"] == 1


def _merged(app: App) -> Any:
    return merge([app.metrics.read()])


async def test_what_is_stored_is_counted(tmp_path: Path) -> None:
    async with started(tmp_path) as (app, jobs):
        await jobs.queue.enqueue("note", 1, id="a")
        await jobs.queue.enqueue("note", 1, id="a")
        counted = {merged.shape.name: sum(slots[0] for slots in merged.series.values()) for merged in _merged(app)}
        assert (counted["gateway.jobs.enqueued"], counted["gateway.jobs.duplicates"]) == (1, 1)
