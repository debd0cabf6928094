"""The channel between supervisor and worker: JSON, an object a line, over a pair of sockets. Either side calls the other."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
from collections.abc import Awaitable, Callable, Mapping
from itertools import count
from typing import Any

from gateway.control import NONE, Arguments, ControlError

log = logging.getLogger("gateway.supervisor")

LINE = 256 << 20
"""Bytes of one message; a policy with all its files is one."""
UNREAD = 1 << 20
"""Bytes that the other side may leave unread before what is merely told is dropped."""

Answer = Callable[[str, Arguments], Awaitable[Any]]
"""Answers a call of the other side's. Refuses with a ControlError."""


class Gone(Exception):
    """The other side is no more."""


class Channel:
    """`run` until the other side has gone; meanwhile `call` and `tell`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: Answer) -> None:
        self._reader = reader
        self._writer = writer
        self._answer = answer
        self._numbers = count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._answering: set[asyncio.Task[None]] = set()
        self._is_gone = False

    async def call(self, name: str, arguments: Arguments = NONE, *, deadline: float) -> Any:
        """The other side's answer. Raises its ControlError, Gone, and TimeoutError after `deadline` seconds."""
        if self._is_gone:
            raise Gone
        number = next(self._numbers)
        waiting = self._waiting[number] = asyncio.get_running_loop().create_future()
        self._send({"call": number, "name": name, "arguments": dict(arguments)})
        try:
            async with asyncio.timeout(deadline):
                return await waiting
        finally:
            del self._waiting[number]

    def tell(self, name: str, arguments: Mapping[str, Any]) -> None:
        """A call without an answer; dropped when the other side does not read."""
        if not self._is_gone and self._writer.transport.get_write_buffer_size() < UNREAD:
            self._send({"name": name, "arguments": arguments})

    async def run(self) -> None:
        """Answer and take answers until the other side has gone. Never raises, but when it is cancelled."""
        try:
            with contextlib.suppress(OSError, ValueError):  # what is no JSON comes of a side that is dying
                while line := await self._reader.readline():
                    self._take(json.loads(line))
        finally:
            self._is_gone = True
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(Gone())
            for task in self._answering:
                task.cancel()
            self._writer.close()

    def _take(self, message: Mapping[str, Any]) -> None:
        if "name" in message:
            task = asyncio.get_running_loop().create_task(self._respond(message))
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)
            return
        waiting = self._waiting.get(message["answer"])
        if waiting is None or waiting.done():
            return  # nobody waits any more
        if "refused" in message:
            waiting.set_exception(ControlError(*message["refused"]))
        else:
            waiting.set_result(message["value"])

    async def _respond(self, message: Mapping[str, Any]) -> None:
        name = message["name"]
        try:
            outcome = {"value": await self._answer(name, message["arguments"])}
        except ControlError as error:
            outcome = {"refused": [error.status, error.why]}
        except Exception as error:
            log.exception("%s failed", name)
            outcome = {"refused": [500, f"{name} failed: {type(error).__name__}: {error}"]}
        if "call" in message:
            self._send({"answer": message["call"], **outcome})

    def _send(self, message: Mapping[str, Any]) -> None:
        if not self._is_gone:
            self._writer.write(json.dumps(message).encode() + b"\n")


async def opened(end: socket.socket, answer: Answer) -> Channel:
    """The channel whose end this is."""
    reader, writer = await asyncio.open_connection(sock=end, limit=LINE)
    return Channel(reader, writer, answer)
