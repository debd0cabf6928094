"""All keys together, under load: a service dies, hangs, and comes back, and no reader hears of it."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Literal

import pytest

from tests.http.recording import SILENCE, RawUpstream, Received, Step, ok
from tests.server.test_reload import until
from tests.supervisor.test_process import Gateway, policy, workers
from tests.support import RawClient, gateway

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
CLIENTS = 8
POLICY = """version: 1
upstreams:
  a:
    targets: [{targets}]
    balance: least_request
    timeouts: {{connect: 200ms, head: 2s}}
    retry: {{attempts: 3}}
    health: {{path: /health, interval: 100ms, timeout: 100ms, passes: 1, fails: 2}}
    outlier: {{consecutive_errors: 3, eject: 200ms}}
    max_in_flight: 100
routes: [{{name: all, match: "/**", upstream: a}}]
"""


class Service(RawUpstream):
    """On one port through all its lives; while it hangs it takes requests and says nothing."""

    def __init__(self) -> None:
        self.hangs = False
        super().__init__(self._answer)

    def _answer(self, received: Received) -> list[Step]:
        return [SILENCE] if self.hangs else [ok(b"well")]

    async def die(self) -> None:
        await self.__aexit__()

    async def live(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, limit=1 << 20)


@asynccontextmanager
async def load(port: int) -> AsyncIterator[Counter[int]]:
    """Readers that ask without a pause; the statuses that they were answered with."""
    statuses: Counter[int] = Counter()

    async def read() -> None:
        async with RawClient(port) as client:
            while True:
                client.data = b""
                client.send(GET)
                statuses[(await client.read(1))[0].status] += 1

    readers = [asyncio.create_task(read()) for _ in range(CLIENTS)]
    yield statuses
    for reader in readers:
        reader.cancel()
    assert all(isinstance(error, asyncio.CancelledError) for error in await asyncio.gather(*readers, return_exceptions=True))


@pytest.mark.slow
@pytest.mark.parametrize("how", ["dies", "hangs"])
async def test_no_reader_hears_of_it(how: Literal["dies", "hangs"]) -> None:
    """One that hangs is waited for by those who had asked it; that wait is all that is heard of it."""
    async with AsyncExitStack() as stack:
        services = [await stack.enter_async_context(Service()) for _ in range(3)]
        first = services[0]
        running = await stack.enter_async_context(gateway(POLICY.format(targets=", ".join(f'"{one.url}"' for one in services))))
        upstream = running.app.upstreams["a"]
        statuses = await stack.enter_async_context(load(running.port))
        await until(lambda: len(first.received) > 50)
        if how == "dies":
            await first.die()
        else:
            first.hangs = True
        await until(lambda: first.url in upstream.out)
        asked, answered = len(first.received), statuses.total()
        await until(lambda: statuses.total() > answered + 300)
        assert len(first.received) - asked < 30  # its probes, and who finds out
        if how == "dies":
            await first.live()
        else:
            first.hangs = False
        await until(lambda: not upstream.out)
        asked = len(first.received)
        await until(lambda: len(first.received) > asked + 50)
        assert statuses[200] > 500
        assert statuses.total() - statuses[200] == 0 if how == "dies" else set(statuses) <= {200, 504} and statuses[504] <= CLIENTS
        assert upstream.withheld == 0


def is_taken(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


async def counted_out(gateway: Gateway) -> float:
    lines = (await gateway.observe("/metrics")).splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith("gateway_upstream_targets{") and 'state="out"' in line)


@pytest.mark.slow
async def test_of_several_workers_each_looks_and_the_worst_is_told(tmp_path: Path) -> None:
    """Real processes: a target whose process is frozen is out for both, and back when it goes on."""
    service = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1"]
    async with RawUpstream() as well:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        frozen = await asyncio.create_subprocess_exec(*service, str(port), cwd=tmp_path, stderr=subprocess.DEVNULL)
        url = f"http://127.0.0.1:{port}"
        await until(lambda: is_taken(port))
        health = "health: {path: /, interval: 100ms, timeout: 200ms, passes: 1, fails: 2}"
        text = policy("URL", 2).replace('targets: "URL"', f'targets: ["{url}", "{well.url}"], {health}')
        try:
            async with workers(text, tmp_path) as gateway:
                for number, state in ((signal.SIGSTOP, "degraded"), (signal.SIGCONT, "ok")):
                    frozen.send_signal(number)
                    out = 2 if state == "degraded" else 0
                    async with asyncio.timeout(15):
                        while (await counted_out(gateway)) != out:
                            await asyncio.sleep(0.1)
                    told = await gateway.observe("/health")
                    assert (told["status"], told["ready"]) == (state, True)
                    assert told["upstreams"]["a"].get("out") == ({url: "no answer within 0.2 s"} if out else None)
                assert gateway.log.count(f"{url} is left out") == gateway.log.count(f"the health of {url} is well again") == 2
        finally:
            frozen.kill()
            await frozen.wait()
