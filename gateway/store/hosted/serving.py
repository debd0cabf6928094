"""The connections of the hosted store: commands that came together are answered together."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, cast

import hiredis

from gateway.store.hosted.commands import Commands, Refused

log = logging.getLogger("gateway.store")


class Client(asyncio.Protocol):
    """One gateway's connection."""

    def __init__(self, commands: Commands, clients: set[Client]) -> None:
        self._commands = commands
        self._clients = clients
        self._requests = hiredis.Reader()
        self._channel = b""  # what it hears of; one, for a gateway needs no more
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are none by their class
        self._clients.add(self)

    def data_received(self, data: bytes) -> None:
        answers = []
        try:
            self._requests.feed(data)
            while (command := self._requests.gets()) is not False:
                answers.append(self._answer(command))
        except hiredis.ProtocolError:  # who asks is no gateway
            self._transport.abort()
            return
        self._transport.write(b"".join(answers))

    def connection_lost(self, error: Exception | None) -> None:
        self._clients.discard(self)
        self._commands.channels.leave(self._tell)
        del self._transport  # which refers to us

    def _answer(self, command: Any) -> bytes:
        if command[:1] == [b"SUBSCRIBE"]:
            self._channel = command[1]
            self._commands.channels.join(self._channel, self._tell)
            return packed([b"subscribe", self._channel, 1])
        try:
            return packed(self._commands.answer(command))
        except Refused as refused:
            log.warning("the store was asked what it does not know: %s", refused)
            return b"-%s\r\n" % str(refused).replace("\r", " ").replace("\n", " ").encode()

    def _tell(self, word: bytes) -> None:
        self._transport.write(packed([b"message", self._channel, word]))


def packed(answer: Any) -> bytes:
    """As Redis's protocol has it (RESP 2)."""
    if answer is True:
        return b"+OK\r\n"
    if isinstance(answer, int):
        return b":%d\r\n" % answer
    if isinstance(answer, bytes):
        return b"$%d\r\n%b\r\n" % (len(answer), answer)
    if answer is None:
        return b"$-1\r\n"
    return b"*%d\r\n%b" % (len(answer), b"".join([packed(part) if part.__class__ is not int else b":%d\r\n" % part for part in answer]))
