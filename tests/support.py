"""For tests over real sockets: a gateway on a free port, an upstream that records and misbehaves, a client that sends raw bytes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trustme

from gateway.app import App
from gateway.config.policy import loads
from gateway.exchange import Exchange
from gateway.pipeline import Pipeline
from gateway.server.front import Front
from gateway.server.listener import Address, Certificate, Listener
from tests.http.client import Answer, RawClient, answers, raw
from tests.http.recording import CLOSE, ECHO, RESET, RawUpstream, Received, ok

__all__ = [
    "CLOSE",
    "ECHO",
    "RESET",
    "Answer",
    "RawClient",
    "RawUpstream",
    "Received",
    "Running",
    "answers",
    "gateway",
    "ok",
    "raw",
    "write_certificate",
]


def write_certificate(folder: Path) -> None:
    """cert.pem and key.pem, for localhost."""
    issued = trustme.CA().issue_cert("localhost")
    issued.private_key_pem.write_to_path(str(folder / "key.pem"))
    issued.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))


@dataclass(slots=True)
class Running:
    """A gateway that serves: where it listens, what it is made of, what it wrote."""

    port: int
    app: App
    front: Front
    lines: list[bytes]  # of the access log
    exchanges: list[Exchange] = field(default_factory=list)  # in the order in which they began
    broken: list[str] = field(default_factory=list)  # exceptions that reached the event loop: there must be none

    @property
    def connections(self) -> int:
        """Of clients, that are open."""
        return len(self.front._connections)


@asynccontextmanager
async def gateway(
    policy: str, *, certificate: Certificate | None = None, env: Mapping[str, str] | None = None, path: Path | str = "gateway.yaml"
) -> AsyncIterator[Running]:
    """Serve the policy on a free port of 127.0.0.1, whatever its `server.listen` says.

    At the end everything is cut; an exception that nobody caught fails the test then. Raises ConfigError.
    """
    lines: list[bytes] = []
    app = App(loads(policy, env=env, path=path), lines.append)
    listener = Listener(Address("127.0.0.1", 0), certificate)
    await app.start()
    front = Front(app, [listener])
    running = Running(listener.address.port, app, front, lines)
    _record(app, running.exchanges)
    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler()
    loop.set_exception_handler(lambda _, context: running.broken.append(f"{context['message']}: {context.get('exception')!r}"))
    front.start()
    try:
        yield running
    finally:
        listener.leave()  # nobody is on the way any more whom its end would have to wait for
        front.timeouts = front.timeouts.model_copy(update={"lame_duck": 0.0, "drain": 0.0})
        await front.drain()
        await front.app.stop()  # a test may have put another in the place of the first
        loop.set_exception_handler(before)
    assert not running.broken, running.broken


def _record(app: App, exchanges: list[Exchange]) -> None:
    find = app.find

    def recorded(ex: Exchange) -> Pipeline:
        exchanges.append(ex)
        return find(ex)

    seam: Any = app
    seam.find = recorded
