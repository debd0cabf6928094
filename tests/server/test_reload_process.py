"""Reloads as an operator causes them, of a gateway that is a process: by SIGHUP, by a changed file, under load."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from gateway.state.record import running as recorded
from tests.http.recording import ECHO, RawUpstream, Received, Step, ok
from tests.server.process import running
from tests.support import Answer, RawClient, answers, raw

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
UPGRADE = b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
EVENTS = 200


def policy(url: str, n: int = 0) -> str:
    """Number `n` of one that always changes: its name, an upstream, a header; what it does for a request stays the same."""
    return f"""version: 1
server: {{listen: "127.0.0.1:0", timeouts: {{lame_duck: 0s, drain: 2s, idle: {5 + n % 7}s}}, limits: {{connections: 100}}}}
upstreams:
  a: {{targets: "{url}", keepalive: {{idle: {3 + n // 4 % 3}s}}}}
plugins:
  - request_id
  - access_log
  - security_headers
  - headers: {{response: {{set: {{X-Policy: "{n}"}}}}}}
  - rate_limit: {{limit: 1000000, window: 1h, name: all}}
routes:
  - {{name: all-{n}, match: "/**", upstream: a, upgrades: [websocket]}}
"""


def script(request: Received) -> Sequence[Step]:
    match request.target:
        case b"/upload":
            return [ok(b"%d" % len(request.body))]
        case b"/ws":
            return [b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", ECHO]
        case b"/events":
            head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
            return [head, *(step for n in range(EVENTS) for step in (b"a\r\ndata: %02x\n\n\r\n" % (n % 256), 0.02)), b"0\r\n\r\n"]
    return [0.003, ok(request.target)]


class Clients:
    """All go on until `enough` is set. What did not end well is in `failures`."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.enough = asyncio.Event()
        self.answered = 0
        self.policies: set[bytes] = set()
        self.remaining: list[int] = []
        self.failures: list[str] = []

    def took(self, found: list[Answer], body: bytes) -> None:
        if [(answer.status, answer.body) for answer in found] != [(200, body)]:
            self.failures.append(repr(found))
            return
        self.answered += 1
        self.policies.add(found[0].get(b"X-Policy"))
        self.remaining.append(int(found[0].get(b"RateLimit").partition(b"r=")[2].partition(b";")[0]))

    async def keep_asking(self) -> None:
        async with RawClient(self.port) as client:
            n = 0
            while not self.enough.is_set():
                n += 1
                client.data = b""
                client.send(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % n)
                self.took(await client.read(1), b"/%d" % n)

    async def keep_connecting(self) -> None:
        while not self.enough.is_set():
            self.took(await raw(self.port, GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")), b"/")

    async def keep_uploading(self) -> None:
        while not self.enough.is_set():
            async with RawClient(self.port) as client:
                client.send(b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 30000\r\n\r\n")
                for _ in range(30):
                    client.send(bytes(1000))
                    await asyncio.sleep(0.01)
                self.took(await client.read(1), b"30000")

    async def keep_talking(self) -> None:
        """Over one WebSocket, from the first policy to the last."""
        async with RawClient(self.port) as client:
            client.send(UPGRADE)
            assert [answer.status for answer in await client.read(1)] == [101]
            n = 0
            while not self.enough.is_set():
                n += 1
                client.data = b""
                client.send(b"message %d" % n)
                while b"message %d" % n not in client.data:
                    await client.more()

    async def listen(self) -> None:
        async with RawClient(self.port) as client:
            client.send(GET.replace(b"/ ", b"/events "))
            (answer,) = await client.read(1)
            assert answer.body.count(b"data: ") == EVENTS


@pytest.mark.slow
async def test_reloads_all_the_time_fail_nobody(tmp_path: Path) -> None:
    """Four seconds of load and of reloads, one after another: requests, uploads, a stream of events and a WebSocket live through them."""
    async with RawUpstream(script) as upstream, running(policy(upstream.url), tmp_path) as process:
        clients = Clients(process.port)
        work = [clients.keep_asking() for _ in range(6)] + [clients.keep_connecting() for _ in range(2)]
        tasks = [asyncio.create_task(one) for one in (*work, clients.keep_uploading(), clients.keep_talking(), clients.listen())]
        reloads = 0
        for reloads in range(1, 28):
            (tmp_path / "gateway.yaml").write_text(policy(upstream.url, reloads))
            process.send_signal(signal.SIGHUP)
            await asyncio.sleep(0.15)
            await until(lambda: f"revision {reloads + 1}" in process.log)  # noqa: B023 - waited for in this turn
            assert "Traceback" not in process.log
        clients.enough.set()
        async with asyncio.timeout(30):
            await asyncio.gather(*tasks)
        assert clients.failures == []
        assert clients.answered > 500
        assert len(clients.policies) > reloads * 0.8
        # Every answer was counted by one and the same counter, through all policies.
        assert len(set(clients.remaining)) == clients.answered
        assert upstream.violations == []
        assert upstream.unfinished == []
        state = recorded(tmp_path / "var" / "gateway")
        assert state is not None and state.failed == 0
        process.send_signal(signal.SIGTERM)
        assert await process.ended() == 0


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not holds():
            await asyncio.sleep(0.02)


async def asked(port: int) -> Answer:
    (answer,) = await raw(port, GET)
    return answer


async def test_a_configmap_that_changes_is_loaded_without_being_asked_for(tmp_path: Path) -> None:
    """A broken one is told, and what follows it loaded again."""
    async with RawUpstream() as upstream, running(policy(upstream.url), tmp_path) as process:
        path = tmp_path / "gateway.yaml"
        for n, text in enumerate((policy(upstream.url, 1), "version: 1\nrouts: []\n", policy(upstream.url, 2)), 1):
            (tmp_path / f"..{n}").mkdir()
            (tmp_path / f"..{n}" / "gateway.yaml").write_text(text)
        (tmp_path / "..data").symlink_to("..1")
        (tmp_path / "link").symlink_to("..data/gateway.yaml")
        (tmp_path / "link").rename(path)
        await until(lambda: "the policy was reloaded" in process.log)
        assert (await asked(process.port)).get(b"X-Policy") == b"1"
        for version, said in (("..2", 'did you mean "routes"?'), ("..3", "revision 3")):
            (tmp_path / "fresh").symlink_to(version)
            (tmp_path / "fresh").rename(tmp_path / "..data")
            await until(lambda: said in process.log)  # noqa: B023 - waited for in this turn
        assert (await asked(process.port)).get(b"X-Policy") == b"2"


async def test_an_included_file_that_was_broken_is_loaded_when_it_is_mended(tmp_path: Path) -> None:
    included = tmp_path / "more.yaml"
    included.write_text("routes: [{name: more, match: /more, plugins: [respond: {status: 204}]}]\n")
    async with RawUpstream() as upstream, running(policy(upstream.url), tmp_path) as process:
        included.write_text("routs: []\n")
        (tmp_path / "gateway.yaml").write_text(policy(upstream.url) + "include: more.yaml\n")
        await until(lambda: "more.yaml:1:1: routs: unknown key" in process.log)
        assert (await asked(process.port)).status == 200
        included.write_text("routes: [{name: more, match: /more, plugins: [respond: {status: 204}]}]\n")
        await until(lambda: "2 routes" in process.log)
        assert (await raw(process.port, GET.replace(b"/ ", b"/more ")))[0].status == 204


async def test_sighup_while_it_drains_is_of_no_matter(tmp_path: Path) -> None:
    async with RawUpstream(script) as upstream, running(policy(upstream.url), tmp_path) as process, RawClient(process.port) as client:
        client.send(UPGRADE)
        assert [answer.status for answer in await client.read(1)] == [101]
        process.send_signal(signal.SIGTERM)
        await until(lambda: "draining" in process.log)
        process.send_signal(signal.SIGHUP)
        assert await process.ended() == 0
        assert "Traceback" not in process.log
        with contextlib.suppress(AssertionError):
            assert answers(client.data)
