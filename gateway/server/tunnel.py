"""Two connections that have become one: bytes pass between client and upstream as they come, and no faster than either reads."""

from __future__ import annotations

import asyncio
from typing import Any

PATIENCE = 30.0  # seconds that a side has when the other has ended: to end as well, and to read what was written to it


class Tunnel:
    """Takes both transports over. `closed` is done when either side has ended and the other was told."""

    def __init__(self, loop: asyncio.AbstractEventLoop, client: Any, upstream: Any, first: bytes) -> None:
        """`first`: what the client sent before the switch was through."""
        self.closed: asyncio.Future[None] = loop.create_future()
        self._loop = loop
        self._client = _Side(self, client, upstream)
        self._upstream = _Side(self, upstream, client)
        client.set_protocol(self._client)
        upstream.set_protocol(self._upstream)
        client.resume_reading()
        upstream.resume_reading()
        if first:
            self._client.data_received(first)

    @property
    def to_client(self) -> int:
        """Bytes that came from the upstream."""
        return self._upstream.received

    def ended(self, *, half: bool = False) -> None:
        """A side has closed, or will send nothing more: then the other has some time left to end, too."""
        if half and not (self._client.has_ended and self._upstream.has_ended):
            self._loop.call_later(PATIENCE, self.ended)
            return
        if not self.closed.done():
            self.closed.set_result(None)

    def close(self) -> None:
        """What is written already is still delivered, but not waited for without end: a side that does not read would never be gone."""
        for transport in (self._client.transport, self._upstream.transport):
            if transport.get_write_buffer_size():
                self._loop.call_later(PATIENCE, transport.abort)
            transport.close()


class _Side(asyncio.Protocol):
    """One end: what it receives goes to the other."""

    def __init__(self, tunnel: Tunnel, transport: Any, other: Any) -> None:
        self.transport = transport
        self._other = other
        self._tunnel = tunnel
        self.received = 0
        self.has_ended = False

    def data_received(self, data: bytes) -> None:
        self.received += len(data)
        if not self._other.is_closing():
            self._other.write(data)

    def eof_received(self) -> bool:
        self.has_ended = True
        self._tunnel.ended(half=True)
        if not self._other.is_closing() and self._other.can_write_eof():
            self._other.write_eof()
            return True  # the other side may still have something to say
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self._tunnel.ended()

    def pause_writing(self) -> None:
        if not self._other.is_closing():
            self._other.pause_reading()

    def resume_writing(self) -> None:
        if not self._other.is_closing():
            self._other.resume_reading()
