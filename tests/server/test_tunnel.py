"""The end of a tunnel: delivered to who reads, and not waited for without end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.server import tunnel
from gateway.server.tunnel import Tunnel


class Transport:
    """A transport with so many bytes to be read still."""

    def __init__(self, pending: int) -> None:
        self.pending = pending
        self.did: list[str] = []

    def get_write_buffer_size(self) -> int:
        return self.pending

    def set_protocol(self, protocol: Any) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def is_closing(self) -> bool:
        return False

    def can_write_eof(self) -> bool:
        return False

    def close(self) -> None:
        self.did.append("close")

    def abort(self) -> None:
        self.did.append("abort")


async def test_a_side_that_does_not_read_is_cut_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tunnel, "PATIENCE", 0.01)
    client, upstream = Transport(pending=10), Transport(pending=0)
    Tunnel(asyncio.get_running_loop(), client, upstream, b"").close()
    assert client.did == ["close"]
    await asyncio.sleep(0.05)
    assert client.did == ["close", "abort"]
    assert upstream.did == ["close"]


async def test_a_side_that_does_not_end_is_not_waited_for_when_the_other_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tunnel, "PATIENCE", 0.01)
    open_ended = Tunnel(asyncio.get_running_loop(), Transport(pending=0), Transport(pending=0), b"")
    open_ended._client.eof_received()
    assert not open_ended.closed.done()
    await asyncio.wait_for(open_ended.closed, 1.0)
