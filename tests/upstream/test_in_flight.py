"""`max_in_flight`: how many requests an upstream has under way, and what becomes of one more; and targets chosen by that number."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.http.recording import SILENCE, Received, Step
from tests.server.test_reload import reloading, until
from tests.support import RawClient, RawUpstream, Running, gateway, ok, raw

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
SLOW = b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n"


def policy(*urls: str, more: str) -> str:
    return f"""version: 1
upstreams: {{a: {{targets: [{", ".join(f'"{url}"' for url in urls)}], {more}}}}}
plugins: [access_log]
routes: [{{name: all, match: "/**", upstream: a}}]
"""


def slow_head(request: Received) -> list[Step]:
    return [SILENCE] if request.target == b"/slow" else [ok(b"x")]


def slow_body(request: Received) -> list[Step]:
    return [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na", SILENCE] if request.target == b"/slow" else [ok(b"x")]


def in_flight(running: Running) -> int:
    return sum(target.active for target in running.front.app.upstreams["a"].targets)


async def busy(stack: AsyncExitStack, running: Running, number: int) -> list[RawClient]:
    """So many requests under way, one after another."""
    clients = []
    for _ in range(number):
        clients.append(client := await stack.enter_async_context(RawClient(running.port)))
        before = in_flight(running)
        client.send(SLOW)
        await until(lambda: in_flight(running) == before + 1)  # noqa: B023 - awaited at once
    return clients


@pytest.mark.parametrize("script", [slow_head, slow_body], ids=["no head yet", "the body on its way"])
async def test_one_more_is_refused_at_once_and_when_one_ends_there_is_room(script: object) -> None:
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(RawUpstream(script))  # type: ignore[arg-type]
        two = await stack.enter_async_context(RawUpstream(script))  # type: ignore[arg-type]
        running = await stack.enter_async_context(gateway(policy(one.url, two.url, more="max_in_flight: 3")))
        clients = await busy(stack, running, 3)
        (answer,) = await raw(running.port, GET)
        told = json.loads(answer.body)
        assert (answer.status, answer.get(b"Retry-After"), answer.get(b"Content-Type")) == (503, b"1", b"application/problem+json")
        assert told["type"] == "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity"
        assert running.app.upstreams["a"].refused == 1
        line = json.loads(running.lines[-1])
        assert (line["attempts"], line["reason"]) == (0, "upstream a: 3 requests are under way")
        clients[0].leave()
        await until(lambda: in_flight(running) == 2)
        assert (await raw(running.port, GET))[0].status == 200
        assert (await raw(running.port, GET))[0].status == 200


async def test_a_connection_that_is_being_made_counts_once() -> None:
    """As many as there may be, all at once: none of them is refused."""
    async with RawUpstream([0.05, ok(b"x")]) as server, gateway(policy(server.url, more="max_in_flight: 20")) as running:
        answers = await asyncio.gather(*(raw(running.port, GET) for _ in range(20)))
        assert {answer.status for (answer,) in answers} == {200}
        assert in_flight(running) == 0


BUSY: dict[str, list[Step]] = {
    "whole": [ok(b"full", b"Retry-After: 1", status=b"503 Busy")],
    "body on its way": [b"HTTP/1.1 503 Busy\r\nRetry-After: 1\r\nContent-Length: 4\r\n\r\n", SILENCE],
}


@pytest.mark.parametrize("busy", BUSY.values(), ids=BUSY.keys())
async def test_who_waits_to_be_sent_again_keeps_its_place(busy: list[Step]) -> None:
    """Else another would take it, and in the end there were more than there may be."""
    answers = [busy]

    def script(request: Received) -> list[Step]:
        return answers.pop() if answers else [ok(b"x")]

    more = "retry: {attempts: 2}, max_in_flight: 1"
    async with RawUpstream(script) as server, gateway(policy(server.url, more=more)) as running, RawClient(running.port) as client:
        client.send(GET)
        await until(lambda: len(server.received) == 1)
        await asyncio.sleep(0.05)
        assert ((await raw(running.port, GET))[0].status, in_flight(running)) == (503, 1)
        assert (await client.read(1))[0].status == 200
        assert (in_flight(running), len(server.received)) == (0, 2)
        answers.append(busy)
        client.send(GET)
        await until(lambda: len(server.received) == 3)
        client.leave()
        await until(lambda: in_flight(running) == 0)
        assert (await raw(running.port, GET))[0].status == 200


async def test_a_request_that_fails_leaves_its_place() -> None:
    async with RawUpstream([b"nonsense\r\n\r\n"]) as server, gateway(policy(server.url, more="max_in_flight: 1")) as running:
        assert [(await raw(running.port, GET))[0].status for _ in range(3)] == [502] * 3


async def test_what_is_under_way_counts_after_a_reload(tmp_path: Path) -> None:
    """Also where the upstream is made anew, twice, and its targets change."""
    async with AsyncExitStack() as stack:
        server, other = await stack.enter_async_context(RawUpstream(slow_head)), await stack.enter_async_context(RawUpstream(slow_head))
        found = await stack.enter_async_context(reloading(policy(server.url, more="max_in_flight: 9"), tmp_path))
        clients = await busy(stack, found.running, 2)
        assert (await found.to(policy(server.url, other.url, more="max_in_flight: 9"))).ok
        assert (await found.to(policy(server.url, more="max_in_flight: 2"))).ok
        assert (await found.ask()).status == 503
        clients[0].leave()
        await until(lambda: in_flight(found.running) == 1)
        assert (await found.ask()).status == 200
        assert (await found.to(policy(other.url, more="max_in_flight: 2"))).ok
        assert in_flight(found.running) == 0  # those of a target that went are no longer this upstream's
        clients[1].leave()


async def test_least_request_leaves_a_busy_target_alone() -> None:
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(RawUpstream(slow_head)) for _ in range(2)]
        urls = [server.url for server in servers]
        running = await stack.enter_async_context(gateway(policy(*urls, more="balance: least_request")))
        await busy(stack, running, 4)
        assert [len(server.received) for server in servers] == [2, 2]


async def test_one_client_has_one_target(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(RawUpstream()) for _ in range(3)]
        urls = [server.url for server in servers]
        running = await stack.enter_async_context(gateway(policy(*urls, more="balance: {hash: {by: {header: X-Tenant}}}")))
        for tenant in (b"a", b"b", b"c", b"d", b"e", b"f", b"g", b"h"):
            for _ in range(2):
                await raw(running.port, GET[:-2] + b"X-Tenant: " + tenant + b"\r\n\r\n")
        seen = [{request.all(b"X-Tenant")[0] for request in server.received} for server in servers]
        assert sum(map(len, seen)) == 8 and sum(map(bool, seen)) > 1
