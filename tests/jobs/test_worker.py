"""`gateway worker` as an operator has it: it is probed and scraped, follows its policy, and no job pays for that."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest

from gateway.jobs.contract import NewJob
from gateway.jobs.sqlite.store import SqliteJobs
from tests.jobs.process import noted, spawned, worker, write
from tests.jobs.test_gateway import until
from tests.server.process import GatewayProcess

OBSERVE = ("--observe", "127.0.0.1:0")


class Watched(NamedTuple):
    process: GatewayProcess
    url: str

    async def get(self, path: str) -> tuple[int, str]:
        async with aiohttp.ClientSession() as session, session.get(self.url + path) as answer:
            return answer.status, await answer.text()

    async def json(self, path: str) -> Any:
        return json.loads((await self.get(path))[1])

    async def counted(self, series: str) -> float:
        (value,) = re.findall(rf"^{re.escape(series)} (\S+)$", (await self.get("/metrics"))[1], re.MULTILINE)
        return float(value)

    async def reloaded(self, number: int) -> None:
        self.process.send_signal(signal.SIGHUP)
        await until(lambda: self.process.log.count("the policy was reloaded") == number)


@asynccontextmanager
async def watched(folder: Path, *more: str) -> AsyncIterator[Watched]:
    async with worker(folder, *OBSERVE, *more) as process:
        await until(lambda: "observe port on" in process.log)
        (url,) = re.findall(r"observe port on (\S+)", process.log)
        yield Watched(process, url)


async def enqueue(folder: Path, *ids: str) -> None:
    store = SqliteJobs(folder / "jobs.db")
    await store.start()
    for id in ids:
        await store.enqueue(NewJob(id=id, type="note", payload={}))
    await store.stop()


async def test_it_is_probed_and_scraped(tmp_path: Path) -> None:
    write(tmp_path, takes=0.5)
    async with watched(tmp_path) as it:
        assert (await it.get("/health/liveness"))[0] == 200
        status, told = await it.get("/health/readiness")
        assert status == 200 and json.loads(told)["status"] == "ok" and json.loads(told)["jobs"]["status"] == "ok"
        await enqueue(tmp_path, "a", "b")
        await until(lambda: len(noted(tmp_path, "begun")) == 2)
        (alone,) = await it.json("/health/workers")
        assert (alone["pid"], alone["state"], alone["jobs"]) == (it.process.pid, "running", 2)
        await until(lambda: len(noted(tmp_path)) == 2)
        async with asyncio.timeout(30):
            while (await it.json("/health/workers"))[0]["jobs"]:
                await asyncio.sleep(0.02)
        assert await it.counted('gateway_jobs_attempts_total{result="done",type="note"}') == 2
        assert "requests" in await it.json("/health/metrics")


async def test_while_it_drains_it_lives_and_is_not_ready(tmp_path: Path) -> None:
    write(tmp_path, takes=1.0)
    async with watched(tmp_path) as it:
        await enqueue(tmp_path, "a")
        await until(lambda: noted(tmp_path, "begun") == ["a"])
        it.process.send_signal(signal.SIGTERM)
        await until(lambda: "draining" in it.process.log)
        assert (await it.get("/health/liveness"))[0] == 200
        assert ((await it.get("/health/readiness"))[0], (await it.json("/health"))["status"]) == (503, "draining")
        assert (await it.json("/health/workers"))[0]["state"] == "draining"
        assert await it.process.ended() == 0
    assert noted(tmp_path) == ["a"]


async def test_what_has_begun_ends_by_the_policy_that_began_it(tmp_path: Path) -> None:
    """Also when that takes longer than a drain: a reload is no reason to hurry."""
    policy = write(tmp_path, takes=2.0, drain="200ms")
    async with watched(tmp_path) as it:
        await enqueue(tmp_path, "a")
        await until(lambda: noted(tmp_path, "begun") == ["a"])
        (tmp_path / "gateway.yaml").write_text(policy.replace("takes: 2.0", "takes: 0.0"))
        await it.reloaded(1)
        await enqueue(tmp_path, "b")
        await until(lambda: noted(tmp_path) == ["b"])
        assert (await it.json("/health/workers"))[0]["jobs"] == 1
        await until(lambda: noted(tmp_path) == ["b", "a"])
        assert noted(tmp_path, "begun") == ["a", "b"]


async def test_a_changed_file_is_seen(tmp_path: Path) -> None:
    """The code of a sender is one."""
    write(tmp_path)
    async with watched(tmp_path) as it:
        sender = tmp_path / "senders/note.py"
        sender.write_text(sender.read_text().replace(" done\\n", " changed done\\n"))
        await until(lambda: "the policy was reloaded" in it.process.log)
        await enqueue(tmp_path, "a")
        await until(lambda: noted(tmp_path) == ["a"])
        assert " changed done" in (tmp_path / "notes").read_text()


async def test_with_no_watch_it_waits_to_be_told(tmp_path: Path) -> None:
    policy = write(tmp_path)
    async with watched(tmp_path, "--no-watch") as it:
        (tmp_path / "gateway.yaml").write_text(policy + "# changed\n")
        await asyncio.sleep(3)
        assert "reloaded" not in it.process.log
        await it.reloaded(1)


async def test_a_policy_with_mistakes_is_loud_and_the_old_one_goes_on(tmp_path: Path) -> None:
    policy = write(tmp_path)
    async with watched(tmp_path) as it:
        (tmp_path / "gateway.yaml").write_text(policy.replace("concurrency: 8", "concurrency: none"))
        await until(lambda: "the policy was not reloaded, the old one stays: 1 mistake" in it.process.log)
        assert "jobs.concurrency" in it.process.log
        health = await it.json("/health")
        assert (health["status"], health["ready"], health["policy"]["status"]) == ("degraded", True, "stale")
        assert "jobs.concurrency" in health["policy"]["mistakes"][0]
        async with asyncio.timeout(30):
            while (
                await it.counted('gateway_policy_stale{worker="0"}') != 1
                or await it.counted('gateway_reloads_total{result="failure"}') != 1
            ):
                await asyncio.sleep(0.1)
        await enqueue(tmp_path, "a")
        await until(lambda: noted(tmp_path) == ["a"])
        (tmp_path / "gateway.yaml").write_text(policy)
        await until(lambda: "the policy was reloaded" in it.process.log)
        assert (await it.json("/health"))["status"] == "ok"


async def test_a_policy_whose_jobs_are_gone_leaves_it_waiting(tmp_path: Path) -> None:
    policy = write(tmp_path)
    async with watched(tmp_path) as it:
        (tmp_path / "gateway.yaml").write_text("version: 1\nroutes: [{match: /**, plugins: [{respond: {status: 204}}]}]\n")
        await it.reloaded(1)
        assert "there is nothing to do: the policy has no jobs" in it.process.log
        (tmp_path / "gateway.yaml").write_text(policy)
        await it.reloaded(2)
        await enqueue(tmp_path, "a")
        await until(lambda: noted(tmp_path) == ["a"])
        it.process.send_signal(signal.SIGTERM)
        assert await it.process.ended() == 0


async def test_the_policy_s_own_address_is_left_to_the_gateway(tmp_path: Path) -> None:
    """On one machine a worker that took it would keep a gateway from starting again."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        policy = write(tmp_path)
        (tmp_path / "gateway.yaml").write_text(policy.replace("server: {", f'server: {{observe: "{address}", '))
        async with worker(tmp_path) as process:
            assert "observe port" not in process.log
        refused = await spawned("worker", tmp_path, "--observe", address)
        assert await refused.ended() == 1
        assert refused.log.startswith(f"gateway worker: cannot listen on {address} (--observe): Address already in use")


@pytest.mark.parametrize("address", ["9193", "localhost", "127.0.0.1:99999"])
async def test_an_address_that_is_none(tmp_path: Path, address: str) -> None:
    write(tmp_path)
    process = await spawned("worker", tmp_path, "--observe", address)
    assert await process.ended() == 2
    assert "--observe" in process.log and "is no address" in process.log
