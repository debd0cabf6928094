"""A real Prometheus beside a real gateway: what it has counted is what was sent, its rules and the dashboard's queries work."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections import Counter
from collections.abc import Collection
from pathlib import Path

import aiohttp
import pytest

from tests.deploy.dashboard import QUERIES, filled
from tests.deploy.files import needs
from tests.deploy.prometheus import PATIENCE, Prometheus, prometheus
from tests.free_ports import free_port
from tests.server.process import running

pytestmark = [pytest.mark.slow, needs("prometheus")]

COUNT = "http_server_request_duration_seconds_count"
ROUND = [
    ("GET", "/leads/{id}", "/leads/1", 200),
    ("GET", "/leads/{id}", "/leads/2", 200),
    ("POST", "/leads", "/leads", 201),
    ("PUT", "/leads", "/leads", 429),
    ("GET", "/down", "/down", 502),
    ("GET", "", "/nowhere", 404),
]
ROUNDS = 150
CLIENTS = 8
WORKERS = 4


def policy(nobody: int) -> str:
    return f"""version: 1
server: {{listen: 127.0.0.1:0, observe: 127.0.0.1:0, workers: {WORKERS}}}
upstreams: {{down: {{targets: "http://127.0.0.1:{nobody}"}}}}
plugins: [metrics]
routes:
  - {{match: "GET /leads/{{id}}", plugins: [respond: {{status: 200, body: one}}]}}
  - {{match: POST /leads, plugins: [respond: 201]}}
  - {{match: PUT /leads, plugins: [respond: 429]}}
  - {{match: /down, upstream: down}}
"""


async def send(port: int) -> Counter[tuple[str, str, str]]:
    """ROUNDS rounds by several clients at once: how many answers of each method, route and status came."""
    came: Counter[tuple[str, str, str]] = Counter()
    rounds = iter(range(ROUNDS))

    async def client(session: aiohttp.ClientSession) -> None:
        for _ in rounds:
            for method, route, path, status in ROUND:
                async with session.request(method, path, data=b"lead" if method != "GET" else None) as answer:
                    assert answer.status == status
                    await answer.read()
                    came[method, route, str(answer.status)] += 1

    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
        await asyncio.gather(*(client(session) for _ in range(CLIENTS)))
    return came


async def send_while(port: int, enough: asyncio.Event) -> tuple[int, int]:
    """GETs by several clients until it is enough: how many were answered, and how many were cut off."""
    answered = cut = 0

    async def client(session: aiohttp.ClientSession) -> None:
        nonlocal answered, cut
        while not enough.is_set():
            try:
                async with session.get("/leads/1") as answer:
                    await answer.read()
                    answered += 1
            except aiohttp.ClientError:
                cut += 1

    connector = aiohttp.TCPConnector(force_close=True)  # so that all workers have their part, the one that comes again, too
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", connector=connector) as session:
        await asyncio.gather(*(client(session) for _ in range(CLIENTS)))
    return answered, cut


async def workers(observe: int, killed: Collection[int] = ()) -> dict[int, int]:
    """The process of each by its number, once all serve and none is one of those killed."""
    async with asyncio.timeout(PATIENCE), aiohttp.ClientSession(f"http://127.0.0.1:{observe}") as session:
        while True:
            async with session.get("/health/workers") as answer:
                found = {one["worker"]: one["pid"] for one in await answer.json() if one["state"] == "running"}
            if len(found) == WORKERS and not set(killed) & set(found.values()):
                return found
            await asyncio.sleep(0.05)


async def counted(server: Prometheus) -> dict[tuple[str, str, str], float]:
    found = await server.query(f"sum by (http_request_method, http_route, http_response_status_code) ({COUNT})")
    return {
        (one.get("http_request_method", ""), one.get("http_route", ""), one.get("http_response_status_code", "")): n for one, n in found
    }


async def test_prometheus_has_counted_what_was_sent(tmp_path: Path) -> None:
    nobody = free_port()
    async with running(policy(nobody), tmp_path) as gateway:
        found = re.search(r"observe port on http://127\.0\.0\.1:(\d+)", gateway.log)
        assert found is not None
        async with prometheus(tmp_path, int(found[1])) as server:
            await server.looked()
            before = await counted(server)
            assert before == {}
            came = await send(gateway.port)
            await server.looked()
            assert await counted(server) == came and came.total() == ROUNDS * len(ROUND)
            assert await server.query(f"sum({COUNT}) - sum(http_server_request_duration_seconds_bucket{{le='+Inf'}})") == [({}, 0)]
            assert await server.query("sum(http_server_request_body_size_bytes_sum)") == [({}, ROUNDS * 2 * len("lead"))]
            attempts = await server.query("sum by (error_type, server_port) (http_client_request_duration_seconds_count)")
            assert attempts == [({"error_type": "upstream-unreachable", "server_port": str(nobody)}, ROUNDS)]

            await send(gateway.port)
            await server.looked()
            assert await counted(server) == {key: 2 * n for key, n in came.items()}

            await kills(server, gateway.port, int(found[1]))
            await asks(server)


async def kills(server: Prometheus, port: int, observe: int) -> None:
    """A worker killed while there is nothing under way costs no count, nor does its successor; one under load what it had in hand."""
    before = await counted(server)
    killed = [(await workers(observe))[0]]
    os.kill(killed[0], signal.SIGKILL)
    came = await send(port)
    await server.looked()
    assert await counted(server) == {key: n + came[key] for key, n in before.items()}

    enough = asyncio.Event()
    sending = asyncio.create_task(send_while(port, enough))
    killed.append((await workers(observe, killed))[1])
    await asyncio.sleep(1)  # of load
    os.kill(killed[1], signal.SIGKILL)
    await workers(observe, killed)
    enough.set()
    answered, cut = await sending
    await server.looked()
    key = ("GET", "/leads/{id}", "200")
    more = (await counted(server))[key] - before[key] - came[key]
    assert answered - CLIENTS <= more <= answered + cut and cut <= CLIENTS, (answered, cut, more)
    assert await server.query("sum(gateway_worker_deaths_total)") == [({}, 2)]
    async with asyncio.timeout(PATIENCE):
        while await server.query("max(gateway_workers)") != [({}, WORKERS)]:  # nobody tells of it as it happens: it is looked at
            await asyncio.sleep(0.1)


async def asks(server: Prometheus) -> None:
    """Every rule could be evaluated, and every query of the dashboard is answered."""
    async with asyncio.timeout(PATIENCE):
        while not await server.query("job:gateway_errors:ratio_rate5m > 0") or any(
            rule["health"] == "unknown" for rule in await server.rules()
        ):
            await asyncio.sleep(0.1)
    assert [(rule["name"], rule.get("lastError")) for rule in await server.rules() if rule["health"] != "ok"] == []
    ((_, share),) = await server.query("job:gateway_errors:ratio_rate5m")
    assert share == pytest.approx(1 / len(ROUND), rel=0.9)  # the last GETs are among them
    empty = {query.panel for query in QUERIES if not await server.query(filled(query.expression))}
    # Nothing was cut short, observed, or refused before it was a route's, and the upstream never said 5xx; alerts take their time.
    assert empty - {"Alerts"} == {"Errors by route", "Failed attempts", "Refused before any route", "Would have been refused"}
