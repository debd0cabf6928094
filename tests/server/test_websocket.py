"""WebSockets of a real library, through the gateway to a real server (RFC 6455)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from tests.support import gateway

LARGEST = 4 << 20  # bytes of a message


@asynccontextmanager
async def service(subprotocols: Sequence[Subprotocol] | None = None) -> AsyncIterator[int]:
    """Sends back what it is sent; `close` ends it, `count` says how many have come."""
    count = 0

    async def converse(connection: ServerConnection) -> None:
        nonlocal count
        if connection.request is not None and connection.request.path == "/later":
            await asyncio.sleep(0.03)
        await connection.send("welcome")  # at once: it may come along with the 101
        async for message in connection:
            count += 1
            if message == "close":
                await connection.close(4000, "as asked")
                return
            await connection.send(str(count) if message == "count" else message)

    async with serve(converse, "127.0.0.1", 0, max_size=LARGEST, subprotocols=subprotocols) as server:
        yield next(iter(server.sockets)).getsockname()[1]


def policy(port: int, upgrades: str = "[websocket]", plugins: str = "[]") -> str:
    return f"""version: 1
upstreams: {{a: {{targets: "http://127.0.0.1:{port}", timeouts: {{idle: 100ms, head: 1s}}}}}}
plugins: {plugins}
routes: [{{name: all, match: "/**", upstream: a, upgrades: {upgrades}}}]
"""


@pytest.mark.parametrize(
    "message", ["", "text \u00e9", b"\x00\xff", "x" * 200_000, bytes(LARGEST)], ids=["empty", "text", "binary", "long", "largest"]
)
async def test_what_is_sent_comes_back(message: str | bytes) -> None:
    async with service() as port, gateway(policy(port)) as running:
        async with connect(f"ws://127.0.0.1:{running.port}/chat", max_size=LARGEST) as client:
            assert await client.recv() == "welcome"
            for _ in range(3):
                await client.send(message)
                assert await asyncio.wait_for(client.recv(), 30) == message
            await (await client.ping())
        assert client.close_code == 1000


async def test_a_close_of_the_service_is_the_clients_with_code_and_reason() -> None:
    async with service() as port, gateway(policy(port)) as running, connect(f"ws://127.0.0.1:{running.port}/") as client:
        await client.recv()
        await client.send("close")
        with pytest.raises(ConnectionClosed) as closed:
            await client.recv()
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4000, "as asked")


async def test_no_time_limit_of_an_exchange_ends_a_quiet_conversation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.server.front.SWEEP", 0.02)
    monkeypatch.setattr("gateway.upstream.target.SWEEP", 0.02)
    async with service() as port:
        limited = policy(port).replace("version: 1\n", "version: 1\nserver: {timeouts: {head: 100ms, body: 100ms, idle: 100ms}}\n")
        async with gateway(limited) as running, connect(f"ws://127.0.0.1:{running.port}/") as client:
            await client.recv()
            await asyncio.sleep(0.4)
            await client.send("still here")
            assert await client.recv() == "still here"


async def test_subprotocols_and_headers_are_negotiated_end_to_end() -> None:
    offered = [Subprotocol("other"), Subprotocol("chat")]
    async with (
        service([Subprotocol("chat")]) as port,
        gateway(policy(port, plugins="[request_id]")) as running,
        connect(f"ws://127.0.0.1:{running.port}/", subprotocols=offered) as client,
    ):
        assert client.subprotocol == "chat"
        assert client.response is not None
        assert "X-Request-Id" in client.response.headers


async def test_where_upgrades_are_not_allowed_the_request_goes_on_without() -> None:
    """RFC 9110, section 7.8: a server may ignore Upgrade. The service then says what it thinks of it."""
    async with service() as port, gateway(policy(port, upgrades="[]")) as running:
        with pytest.raises(InvalidStatus) as refused:
            async with connect(f"ws://127.0.0.1:{running.port}/"):
                pass
        assert refused.value.response.status_code == 426


async def test_many_conversations_do_not_mix_and_all_of_them_are_told_at_the_end() -> None:
    async with service() as port, gateway(policy(port, plugins="[access_log]")) as running:

        async def talk(name: str) -> None:
            async with connect(f"ws://127.0.0.1:{running.port}/{name}") as client:
                await client.recv()
                for n in range(20):
                    await client.send(f"{name} {n}")
                    assert await client.recv() == f"{name} {n}"

        await asyncio.gather(*(talk(f"client-{n}") for n in range(20)))
        async with asyncio.timeout(30):
            while running.front.tunnels or len(running.lines) < 20:
                await asyncio.sleep(0.01)
        assert all(b"101" in line for line in running.lines)


WAITS = """
import asyncio
from gateway.plugin import NoSettings, Plugin


class Waits(Plugin[NoSettings]):
    async def on_response(self, ex, reply):
        await asyncio.sleep(0.1)
"""


@pytest.mark.parametrize("when", ["at-once", "later"])
async def test_what_the_service_says_while_a_plugin_still_looks_at_the_switch_is_not_lost(when: str, tmp_path: Path) -> None:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "waits.py").write_text(WAITS)
    async with (
        service() as port,
        gateway(policy(port, plugins="[waits]"), path=tmp_path / "gateway.yaml") as running,
        connect(f"ws://127.0.0.1:{running.port}/{when}") as client,
    ):
        assert await asyncio.wait_for(client.recv(), 30) == "welcome"
        await client.send("x")
        assert await asyncio.wait_for(client.recv(), 30) == "x"
