"""`memory://` of several workers: limits, leases and blocks of one gateway, whichever worker is asked, and whoever dies."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from gateway.supervisor import storekeeper
from gateway.supervisor.storekeeper import Storekeeper
from tests.http.recording import RawUpstream
from tests.supervisor.test_process import Gateway, is_alive, policy, script, until, workers
from tests.support import RawClient, raw

LIMIT = ", rate_limit: {limit: 50, window: 1h}"


async def burst(gateway: Gateway, requests: int, path: str = "/") -> Counter[int]:
    """Each on a connection of its own, so that all workers have their part."""
    request = f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode()
    found = await asyncio.gather(*(raw(gateway.port, request) for _ in range(requests)))
    return Counter(answer.status for (answer,) in found)


def keeper(gateway: Gateway) -> int:
    """The process that hosts the store."""
    for name in os.listdir("/proc"):
        try:
            stat = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()
            if int(stat[1]) == gateway.process.pid and b"gateway.store.hosted.process" in Path(f"/proc/{name}/cmdline").read_bytes():
                return int(name)
        except (OSError, IndexError):
            continue
    return 0


async def test_one_limit_for_all_workers(tmp_path: Path) -> None:
    """To the request, also when a worker is killed meanwhile: what it had let through stays counted."""
    async with RawUpstream(script) as upstream, workers(policy(upstream.url, 2, plugins=LIMIT), tmp_path) as gateway:
        assert "memory:// is kept by a process of its own, for all workers" in gateway.log
        assert await burst(gateway, 30) == {200: 30}
        os.kill((await gateway.pids())[0], signal.SIGKILL)
        await gateway.has(2)
        assert await burst(gateway, 60) == {200: 20, 429: 40}
        assert (await gateway.observe("/health"))["status"] == "ok"
        assert keeper(gateway)
        gateway.process.send_signal(signal.SIGTERM)
        assert await gateway.process.ended() == 0
        await until(lambda: not keeper(gateway))


async def test_one_concurrency_for_all_workers(tmp_path: Path) -> None:
    plugins = ", concurrency: {limit: 2, shared: true}"
    async with RawUpstream(script) as upstream, workers(policy(upstream.url, 2, plugins=plugins), tmp_path) as gateway:
        assert await burst(gateway, 12, "/slow") == {200: 2, 503: 10}
        assert await burst(gateway, 1, "/slow") == {200: 1}


async def test_the_store_killed(tmp_path: Path) -> None:
    """Nobody fails; what was counted in it is gone, and the limit is one for all again."""
    async with RawUpstream(script) as upstream, workers(policy(upstream.url, 2, plugins=LIMIT), tmp_path) as gateway:
        assert await burst(gateway, 60) == {200: 50, 429: 10}
        first = keeper(gateway)
        os.kill(first, signal.SIGKILL)
        await until(lambda: keeper(gateway) not in (0, first))
        await until(lambda: gateway.log.count("the store memory:// is back") == 2)
        assert await burst(gateway, 60) == {200: 50, 429: 10}
        assert "the process that keeps memory:// ended by SIGKILL: what was counted is gone" in gateway.log


async def test_a_redis_needs_no_such_process(tmp_path: Path) -> None:
    """Until a reload says that there is none any more."""
    text = policy("http://127.0.0.1:1", 2) + "store: redis://127.0.0.1:1\n"
    async with workers(text, tmp_path) as gateway:
        assert not keeper(gateway)
        (tmp_path / "gateway.yaml").write_text(text.replace("redis://127.0.0.1:1", "memory://"))
        await until(lambda: keeper(gateway))


async def test_workers_outlive_the_supervisor_with_their_store(tmp_path: Path) -> None:
    async with RawUpstream(script) as upstream, workers(policy(upstream.url, 2, plugins=LIMIT), tmp_path) as gateway:
        store = keeper(gateway)
        async with RawClient(gateway.port) as client:
            client.send(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
            await asyncio.sleep(0.3)
            os.kill(gateway.process.pid, signal.SIGKILL)
            await asyncio.sleep(0.3)
            assert is_alive(store)
            assert [answer.status for answer in await client.read(1)] == [200]
        await until(lambda: not is_alive(store))


async def test_a_store_that_hangs_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storekeeper, "SILENCE", 0.3)
    monkeypatch.setattr(storekeeper, "EVERY", 0.05)
    found: list[int] = []
    spawn = asyncio.create_subprocess_exec

    async def spawned(*command: str, pass_fds: Sequence[int], process_group: int) -> asyncio.subprocess.Process:
        process = await spawn(*command, pass_fds=pass_fds, process_group=process_group)
        found.append(process.pid)
        return process

    monkeypatch.setattr(asyncio, "create_subprocess_exec", spawned)
    keeping = Storekeeper(tmp_path)
    running = asyncio.create_task(keeping.run(is_needed=True))
    try:
        async with asyncio.timeout(30):
            await keeping._has_answered.wait()
        os.kill(found[0], signal.SIGSTOP)
        await until(lambda: not is_alive(found[0]))
        _, writer = await asyncio.open_unix_connection(keeping.path)
        await until(lambda: len(found) == 2)
        writer.close()
    finally:
        running.cancel()
        await asyncio.wait([running])
        keeping.close()
