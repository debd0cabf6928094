"""Clients that leave: what is under way for them ends with them, and nothing looks whole to the upstream that was not."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import pytest

from tests.http.case import get, post
from tests.http.client import PATIENCE, RawClient
from tests.http.recording import SILENCE, Received, Script, Step, echo, ok
from tests.support import RawUpstream, gateway

POLICY = """
version: 1
server:
  limits: {{body: 64MiB}}
upstreams:
  service: {{targets: ["{url}"]}}
plugins: [request_id, problem_details, access_log]
routes: [{{name: all, match: "/**", upstream: service}}]
"""
PROBE = get(target=b"/probe")
HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"


def unless_probed(*steps: Step) -> Script:
    return lambda received: echo(received) if received.target == b"/probe" else steps


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not holds():
            await asyncio.sleep(0.005)


LEAVINGS: dict[str, tuple[Script, bytes, bool]] = {
    # name: the upstream, what is sent, whether its request is whole
    "before the answer": (unless_probed(SILENCE), get(), True),
    "in a download": (unless_probed(HEAD, SILENCE), get(), True),
    "in a long download": (unless_probed(ok(b"a" * (32 << 20))), get(), True),
    "in a head": (echo, get()[:-2], True),
    "in an upload": (echo, post(b"Content-Length: 10", body=b"hello"), False),
    "in a chunked upload": (echo, post(b"Transfer-Encoding: chunked", body=b"5\r\nhello\r\n"), False),
    "in a long upload": (echo, post(b"Content-Length: 9000000", body=b"a" * 8000000), False),
    "before the body": (echo, post(b"Content-Length: 10"), False),
}


@pytest.mark.parametrize("half", [False, True], ids=["at once", "by half"])
@pytest.mark.parametrize("name", LEAVINGS)
async def test_client_leaves(name: str, half: bool, caplog: pytest.LogCaptureFixture) -> None:
    """By half: it says that it will send nothing more, and waits; it is taken to have left."""
    script, sent, is_whole = LEAVINGS[name]
    async with RawUpstream(script) as upstream, gateway(POLICY.format(url=upstream.url)) as running:
        async with RawClient(running.port) as client:
            client.send(sent)
            if name == "in a head":
                await until(lambda: running.connections)
            else:
                await until(lambda: upstream.received if is_whole else upstream.connections)
            if half:
                client.end()
                await client.read_to_end()
            client.leave()
        await until(lambda: not running.connections)
        if name != "in a head":
            await until(lambda: upstream.closed)
            assert len(running.lines) == 1
        async with RawClient(running.port) as other:
            other.send(PROBE)
            assert [answer.status for answer in await other.read(1)] == [200]
        assert not upstream.violations
        assert upstream.targets == ([b"/t"] if is_whole and name != "in a head" else []) + [b"/probe"]
        assert len(upstream.unfinished) == (not is_whole)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_client_leaves_behind_forty_requests() -> None:
    """None but the first was begun: an upstream is not made to work for nobody."""
    async with RawUpstream(unless_probed(SILENCE)) as upstream, gateway(POLICY.format(url=upstream.url)) as running:
        async with RawClient(running.port) as client:
            client.send(get() * 40)
            await until(lambda: upstream.received)
        await until(lambda: upstream.closed)
        async with RawClient(running.port) as other:
            other.send(PROBE)
            assert [answer.status for answer in await other.read(1)] == [200]
        assert upstream.targets == [b"/t", b"/probe"]
        assert len(running.exchanges) == 2


async def test_forty_requests_are_not_held_without_end() -> None:
    """What waits for its turn stays in the socket: the gateway's memory is not the client's."""

    script = unless_probed(SILENCE)
    async with RawUpstream(script) as upstream, gateway(POLICY.format(url=upstream.url)) as running, RawClient(running.port) as client:
        client.send(get(b"X-A: " + b"a" * 8000) * 4000)
        await until(lambda: upstream.received)
        await asyncio.sleep(0.1)
        assert client.unsent > 16 << 20


async def test_continue_is_said_when_the_body_is_wanted() -> None:
    async with RawUpstream() as upstream, gateway(POLICY.format(url=upstream.url)) as running, RawClient(running.port) as client:
        client.send(post(b"Expect: 100-continue", b"Content-Length: 5"))
        async with asyncio.timeout(PATIENCE):
            while client.data != b"HTTP/1.1 100 Continue\r\n\r\n":
                await client.more()
        client.send(b"hello" + PROBE)
        said, answer, probe = await client.read(2)
        assert (said.status, answer.status, answer.body, probe.body) == (100, 200, b"POST /t", b"GET /probe")
        assert upstream.received[0].body == b"hello"
        assert not upstream.received[0].all(b"expect")


EXPECTING = {
    "too large": (post(b"Expect: 100-continue", b"Content-Length: 99999999"), 413),
    "no route": (post(b"Expect: 100-continue", b"Content-Length: 5").replace(b"/t", b"/none"), 404),
    "malformed": (post(b"Expect: 100-continue", b"Content-Length: 5", b"X : y"), 400),
}


@pytest.mark.parametrize("name", EXPECTING)
async def test_continue_is_not_said_to_what_is_refused(name: str) -> None:
    """RFC 9110, section 10.1.1: and then the connection ends, for who knows whether the body comes."""
    sent, status = EXPECTING[name]
    policy = POLICY.replace("/**", "/t")
    async with RawUpstream() as upstream, gateway(policy.format(url=upstream.url)) as running, RawClient(running.port) as client:
        client.send(sent)
        await client.read_to_end()
        (answer,) = await client.read(1)
        assert answer.status == status
        assert answer.closes
        assert not upstream.received


async def test_answers_stay_in_order_though_the_first_is_slow() -> None:
    def script(request: Received) -> list[bytes | float]:
        return [0.05 if request.target == b"/0" else 0.0, ok(request.target)]

    async with RawUpstream(script) as upstream, gateway(POLICY.format(url=upstream.url)) as running, RawClient(running.port) as client:
        client.send(b"".join(get(target=b"/%d" % n) for n in range(40)))
        assert [answer.body for answer in await client.read(40)] == [b"/%d" % n for n in range(40)]
