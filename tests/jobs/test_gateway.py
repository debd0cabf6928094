"""Jobs in a real gateway: stored before the answer, run in it or by workers of their own, through reloads, ends and deaths."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.jobs.sqlite.backup import backup
from tests.http.client import raw
from tests.jobs.process import noted, spawned, worker, write
from tests.server.process import GatewayProcess, running


async def fire(gateway: GatewayProcess, id: str, query: str = "") -> int:
    head = f"POST /fire/{id}?{query} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    return (await raw(gateway.port, head.encode()))[0].status


async def ask(gateway: GatewayProcess, path: str) -> Any:
    (answer,) = await raw(gateway.port, f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
    return json.loads(answer.body)


async def until(true: Callable[[], bool], within: float = 30.0) -> None:
    async with asyncio.timeout(within):
        while not true():
            await asyncio.sleep(0.02)


async def test_a_job_is_run_in_the_gateway_and_known_after_a_restart(tmp_path: Path) -> None:
    policy = write(tmp_path)
    async with running(policy, tmp_path) as gateway:
        assert await fire(gateway, "a") == 202
        await until(lambda: noted(tmp_path) == ["a"])
        async with asyncio.timeout(30):
            while (told := await ask(gateway, "/jobs/a"))["state"] != "done":
                await asyncio.sleep(0.02)
        assert told == {"state": "done", "attempt": 1, "result": {"attempt": 1}}
        gateway.send_signal(signal.SIGTERM)
        assert await gateway.ended() == 0
    async with running(policy, tmp_path) as gateway:
        assert (await ask(gateway, "/jobs/a"))["state"] == "done"
        assert await fire(gateway, "a") == 202
    assert noted(tmp_path) == ["a"]


@pytest.mark.slow
async def test_what_is_answered_202_is_run_though_the_gateway_is_killed_at_once(tmp_path: Path) -> None:
    policy = write(tmp_path, takes=0.2, lease="1s")
    async with running(policy, tmp_path) as gateway:
        assert [await fire(gateway, str(n)) for n in range(12)] == [202] * 12
        await gateway.kill()
    assert len(noted(tmp_path)) < 12
    async with running(policy, tmp_path):
        await until(lambda: set(noted(tmp_path)) == {str(n) for n in range(12)})


@pytest.mark.slow
async def test_a_job_that_kills_its_worker_is_buried(tmp_path: Path) -> None:
    policy = write(tmp_path, lease="1s") + "\n"
    policy = policy.replace("  concurrency: 8", "  concurrency: 8\n  retry: {attempts: 2}")
    for attempt in (1, 2):
        async with running(policy, tmp_path) as gateway:
            if attempt == 1:
                await fire(gateway, "poison", "die")
            assert await gateway.ended() == 9
    async with running(policy, tmp_path) as gateway:
        async with asyncio.timeout(30):
            while (await ask(gateway, "/jobs/poison"))["state"] != "dead":
                await asyncio.sleep(0.05)
        assert "its worker died, or lost it, in the last of 2 attempts" in gateway.log
    assert noted(tmp_path, "begun") == ["poison", "poison"]


@pytest.mark.slow
async def test_a_gateway_that_ends_lets_jobs_end_and_gives_back_the_rest(tmp_path: Path) -> None:
    policy = write(tmp_path, takes=0.5, drain="2s")
    async with running(policy, tmp_path) as gateway:
        for n in range(12):
            await fire(gateway, str(n))
        await until(lambda: len(noted(tmp_path, "begun")) == 8)
        gateway.send_signal(signal.SIGTERM)
        assert await gateway.ended() == 0
    assert len(noted(tmp_path)) == len(noted(tmp_path, "begun")) == 8
    (tmp_path / "notes").unlink()
    async with running(write(tmp_path, takes=60, drain="100ms"), tmp_path) as gateway:
        await until(lambda: len(noted(tmp_path, "begun")) == 4)
        gateway.send_signal(signal.SIGTERM)
        assert await gateway.ended() == 0
        assert "4 jobs did not end within" in gateway.log
    (tmp_path / "notes").unlink()
    async with running(write(tmp_path), tmp_path):
        await until(lambda: len(noted(tmp_path)) == 4)
    assert {line.split()[1] for line in (tmp_path / "notes").read_text().splitlines()} == {
        "1"
    }  # that attempt did not count: no lease ended


@pytest.mark.slow
async def test_workers_of_their_own(tmp_path: Path) -> None:
    policy = write(tmp_path, workers="separate")
    async with running(policy, tmp_path) as gateway:
        assert await fire(gateway, "a") == 202
        await asyncio.sleep(0.3)
        assert noted(tmp_path, "begun") == []
        async with worker(tmp_path) as one, worker(tmp_path) as other:
            for n in range(40):
                await fire(gateway, str(n))
            await until(lambda: len(noted(tmp_path)) == 41)
            one.send_signal(signal.SIGTERM)
            other.send_signal(signal.SIGTERM)
            assert await one.ended() == await other.ended() == 0
    assert len(set(noted(tmp_path, "begun"))) == len(noted(tmp_path, "begun")) == 41


async def test_a_worker_without_jobs_says_so(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "gateway.yaml").write_text("version: 1\nroutes: [{match: /**, plugins: [{respond: {status: 204}}]}]\n")
    process = await spawned("worker", tmp_path)
    assert await process.ended() == 1
    assert "there is nothing to do: the policy has no jobs" in process.log


async def test_jobs_live_on_through_reloads(tmp_path: Path) -> None:
    """A reload that leaves them alone does not touch what runs; one that changes them lets it end."""
    policy = write(tmp_path, takes=1.0)
    async with running(policy, tmp_path) as gateway:
        await fire(gateway, "a")
        await until(lambda: noted(tmp_path, "begun") == ["a"])
        (tmp_path / "gateway.yaml").write_text(policy.replace("plugins: [fire]", "plugins: [request_id, fire]"))
        gateway.send_signal(signal.SIGHUP)
        await until(lambda: gateway.log.count("the policy was reloaded") == 1)
        (tmp_path / "gateway.yaml").write_text(policy.replace("takes: 1.0", "takes: 0.0"))
        gateway.send_signal(signal.SIGHUP)
        await until(lambda: gateway.log.count("the policy was reloaded") == 2)
        await fire(gateway, "b")
        await until(lambda: sorted(noted(tmp_path)) == ["a", "b"])
        assert noted(tmp_path) == ["b", "a"]  # by the new settings, and by the old
    assert sorted(noted(tmp_path, "begun")) == ["a", "b"]


async def test_several_processes_share_the_file(tmp_path: Path) -> None:
    policy = write(tmp_path, processes=2)
    async with running(policy, tmp_path) as gateway:
        for n in range(60):
            assert await fire(gateway, str(n)) == 202
        await until(lambda: len(noted(tmp_path)) == 60)
        gateway.send_signal(signal.SIGTERM)
        assert await gateway.ended() == 0
    assert len(set(noted(tmp_path, "begun"))) == len(noted(tmp_path, "begun")) == 60


async def test_a_backup_is_made_while_the_gateway_runs(tmp_path: Path) -> None:
    policy = write(tmp_path, workers="separate")
    async with running(policy, tmp_path) as gateway:
        for n in range(5):
            await fire(gateway, str(n))
        assert await asyncio.to_thread(backup, tmp_path / "jobs.db", tmp_path / "copy.db") == 5
        await fire(gateway, "later")
    (tmp_path / "jobs.db").unlink()
    (tmp_path / "copy.db").rename(tmp_path / "jobs.db")
    for rest in ("jobs.db-wal", "jobs.db-shm"):
        (tmp_path / rest).unlink(missing_ok=True)
    async with worker(tmp_path):
        await until(lambda: sorted(noted(tmp_path)) == list("01234"))
