"""A connection that breaks while its answer waits unread in the socket."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from gateway.errors import GatewayError
from gateway.testing import exchange
from gateway.upstream.connection import Connection


class Broken:
    """The transport of a connection under which a write has just failed."""

    def __init__(self, left: bytes) -> None:
        self._ours, theirs = socket.socketpair()
        self._ours.setblocking(False)
        theirs.sendall(left)
        theirs.close()

    def get_extra_info(self, name: str) -> Any:
        return self._ours if name == "socket" else None

    def set_write_buffer_limits(self, high: int) -> None:
        pass

    def write(self, data: bytes) -> None:
        pass

    def is_closing(self) -> bool:
        return True

    def close(self) -> None:
        self._ours.close()


async def answer_of(left: bytes) -> Any:
    connection = Connection(asyncio.get_running_loop(), lambda _: None, lambda _: None)
    transport: Any = Broken(left)
    connection.connection_made(transport)
    answer = connection.ask(b"", exchange("POST", "/"), None, False)
    connection.connection_lost(BrokenPipeError())
    transport.close()
    return await answer


HEAD = b"HTTP/1.1 413 Content Too Large\r\n"


@pytest.mark.parametrize(
    "left",
    [HEAD + b"Content-Length: 3\r\n\r\nbig", HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nbig\r\n0\r\n\r\n"],
    ids=["length", "chunks"],
)
async def test_an_answer_that_is_whole_is_had(left: bytes) -> None:
    reply = await answer_of(left)
    assert reply.status == 413
    assert reply.entity.data == b"big"


@pytest.mark.parametrize(
    "left",
    [
        b"",
        HEAD,
        HEAD + b"Content-Length: 4\r\n\r\nbig",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nbig\r\n",
        HEAD + b"\r\nbig",  # it would end with the connection: nobody can tell whether it has
        b"HTTP/1.1 413\0\r\n\r\n",
        b"garbage",
    ],
)
async def test_any_other_is_not(left: bytes) -> None:
    with pytest.raises(GatewayError):
        await answer_of(left)
