"""One target of an upstream: the connections to it, kept alive, made anew, given up."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
import ssl
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from gateway.errors import GatewayError
from gateway.exchange import NO_HEADERS, Exchange
from gateway.upstream.connection import Connection
from gateway.upstream.failures import ConnectTimeout, NoConnection
from gateway.upstream.standing import Standing

log = logging.getLogger("gateway.upstream")

SWEEP = 0.1  # seconds between two looks at the connections: how coarse every time limit is
LOOKUP = 10.0  # seconds after which a name in use is looked up again


class Target:
    """`url` is http(s)://host:port. Times in seconds; `kept` is how many idle connections outlive a sweep."""

    def __init__(
        self,
        url: str,
        *,
        connect: float,
        head: float,
        idle: float,
        keepalive: float,
        kept: int,
        tls: ssl.SSLContext | None,
        server_name: str = "",
    ) -> None:
        parts = urlsplit(url)
        self.url = url
        self.standing = Standing()
        self.host = parts.hostname or ""
        self.port = parts.port or (443 if parts.scheme == "https" else 80)
        self.authority = parts.netloc
        self._tls = tls if parts.scheme == "https" else None
        self._server_name = server_name or self.host
        self._connect, self._head, self._idle = connect, head, idle
        self._keepalive, self._kept = keepalive, kept
        self._is_name = not _is_address(self.host)
        self._addresses: list[str] = [] if self._is_name else [self.host]
        self._looked_up = float("-inf")
        self._turn = 0
        self._free: deque[Connection] = deque()  # the last used at the right: it is the one least likely to have gone stale
        self._used: set[Connection] = set()
        self.waiting = 0  # requests that it has failed, until they are sent again: they keep their place
        self._before: Target | None = None  # of the policy before, while requests that it took are under way
        self._opening: dict[asyncio.Task[Connection], float] = {}  # since when; the sweep gives up those that take too long
        self._looking_up: asyncio.Task[None] | None = None
        self._sweep: asyncio.TimerHandle | None = None
        self._loop: Any = None

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._sweep = self._loop.call_later(SWEEP, self._look)

    def stop(self) -> None:
        """Idle connections go, those in use end with their exchange."""
        if self._sweep is not None:
            self._sweep.cancel()
        for task in list(self._opening):
            task.cancel()
        if self._looking_up is not None:
            self._looking_up.cancel()
        for connection in list(self._free):
            connection.close()

    def succeed(self, before: Target) -> None:
        """Take the place of the same target in the policy before: its requests under way are this one's, too."""
        self._before = before

    @property
    def idle(self) -> int:
        """Connections that nobody uses."""
        return len(self._free)

    @property
    def active(self) -> int:
        """Requests under way: connections in use, or being made, and who waits to be sent again."""
        active = len(self._used) + len(self._opening) + self.waiting
        return active if self._before is None else active + self._before.active

    def free(self) -> Connection | None:
        """An idle connection that nothing speaks against, to be used at once."""
        free = self._free
        while free:
            connection = free.pop()
            if not connection.is_closing:
                self._used.add(connection)
                return connection
        return None

    async def connect(self) -> Connection:
        """A new connection. Raises NoConnection or ConnectTimeout; a caller that is cancelled leaves it to others."""
        task = self._loop.create_task(self._open())
        self._opening[task] = self._loop.time()
        task.add_done_callback(self._opened)
        try:
            connection: Connection = await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():  # by the sweep, or because the gateway ends
                raise ConnectTimeout(reason=f"{self.url}: no connection within {self._connect:g} s") from None
            task.add_done_callback(self._keep)
            raise
        if connection.is_closing:
            raise NoConnection(reason=f"{self.url}: the connection was closed at once")
        return connection

    async def probe(self, path: str) -> int:
        """The status of the answer to a GET, on a connection of its own that counts nowhere. Raises GatewayError; has no deadline."""
        if self._addresses:
            self._stay_current()  # nobody else does while no request is sent to it
        connection = await self._dial(lambda: Connection(self._loop, Connection.close, _nothing))
        try:
            head = f"GET {path} HTTP/1.1\r\nHost: {self.authority}\r\nUser-Agent: gateway\r\nConnection: close\r\n\r\n"
            reply = await connection.ask(head.encode(), Exchange("GET", path, path, "", NO_HEADERS), None, False)
            return reply.status
        finally:
            connection.close()

    def _opened(self, task: asyncio.Task[Connection]) -> None:
        del self._opening[task]
        if not task.cancelled() and task.exception() is None and not task.result().is_closing:
            self._used.add(task.result())

    async def _open(self) -> Connection:
        return await self._dial(lambda: Connection(self._loop, self._release, self._lose))

    async def _dial(self, make: Callable[[], Connection]) -> Connection:
        """Its addresses in turn, until one accepts. Raises NoConnection."""
        addresses = await self._lookup() if self._is_name and not self._addresses else self._addresses
        self._turn += 1
        failure: Exception | None = None
        for n in range(len(addresses)):
            address = addresses[(self._turn + n) % len(addresses)]
            made = make()
            try:
                await self._loop.create_connection(
                    partial(_given, made),
                    address,
                    self.port,
                    ssl=self._tls,
                    server_hostname=self._server_name if self._tls is not None else None,
                )
            except (OSError, ssl.SSLError) as error:
                made.discard()
                failure = error
                continue
            except BaseException:
                made.discard()
                raise
            made.address = address
            made.since = self._loop.time()
            return made
        try:
            raise NoConnection(reason=f"{self.url}: {failure or 'its name has no address'}") from failure
        finally:
            failure = None  # its traceback holds this frame

    async def _lookup(self) -> list[str]:
        try:
            found = await self._loop.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise NoConnection(reason=f"{self.url}: {error}") from error
        self._addresses = list(dict.fromkeys(entry[4][0] for entry in found))
        self._looked_up = self._loop.time()
        return self._addresses

    def _stay_current(self) -> None:
        """Have the name looked up again when that is due. Nobody waits for it: the resolver may hang, and the target be well."""
        now = self._loop.time()
        if self._is_name and now - self._looked_up > LOOKUP:
            self._looked_up = now
            self._looking_up = self._loop.create_task(self._look_up_again())

    async def _look_up_again(self) -> None:
        """A name may come to mean other machines: connections to those it no longer means are not used again."""
        try:
            async with asyncio.timeout(self._connect):
                await self._lookup()
        except (GatewayError, TimeoutError) as error:
            log.warning("%s: could not be looked up again, the old addresses are kept: %s", self.url, error)
            return
        for connection in [one for one in self._free if one.address not in self._addresses]:
            connection.close()

    def _release(self, connection: Connection) -> None:
        self._used.discard(connection)
        if connection.address in self._addresses:
            self._free.append(connection)
        else:
            connection.close()

    def _keep(self, task: asyncio.Task[Connection]) -> None:
        if not task.cancelled() and task.exception() is None and not task.result().is_closing:
            self._release(task.result())

    def _lose(self, connection: Connection) -> None:
        self._used.discard(connection)
        if connection in self._free:
            self._free.remove(connection)

    def _look(self) -> None:
        """The one coarse sweep: every time limit of every connection to this target."""
        now = self._loop.time()
        self._sweep = self._loop.call_later(SWEEP, self._look)
        for task, begun in list(self._opening.items()):
            if now - begun > self._connect:
                task.cancel()
        for connection in list(self._used):
            connection.check(now, self._head, self._idle)
        if self._before is not None and not self._before.active:
            self._before = None
        free = self._free
        while free and (now - free[0].since > self._keepalive or (len(free) > self._kept and now - free[0].since > SWEEP)):
            free[0].close()
        if self._used:
            self._stay_current()


def _given(connection: Connection) -> Connection:
    return connection


def _nothing(connection: Connection) -> None:
    return None


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
