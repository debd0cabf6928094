"""The sockets a gateway listens on, and the certificates it shows."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gateway.server.deaf import deafen
from gateway.server.eager import Eager

log = logging.getLogger("gateway.server")

BACKLOG = 2048
"""asyncio's default of 100 drops SYNs under a burst; each comes again after a second."""
AT_ONCE = 256
"""Connections accepted in one go, so that those already served are not kept waiting."""
FEW = 4
"""The same for a process that is ahead of the others, when these have had their chance."""
RESPITE = 0.002
"""Seconds for which one that is ahead leaves new connections to the others."""
SETTLE = 0.1
"""Seconds at the end in which handshakes that have begun come through: a round trip to a client far away."""

VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


@dataclass(frozen=True, slots=True)
class Address:
    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Certificate:
    """A certificate and its key, read again when the files change. Every handshake gets the newest context.

    The listener's own context never changes: its sni_callback hands each handshake over to a fresh one, so that a renewed
    certificate is shown without a restart and a broken one never replaces a good one.
    """

    def __init__(self, cert: str, key: str, min_version: str) -> None:
        """Raises OSError or ssl.SSLError when the files cannot be used."""
        self._cert, self._key = cert, key
        self._min_version = VERSIONS[min_version]
        self._seen = self._stamp()
        self._trouble = ""  # what was told of files that cannot be used
        self._current = self._fresh()
        self.context = self._fresh()
        self.context.sni_callback = self._hand_over

    def refresh(self) -> None:
        """Read the files if they have changed. A new pair that cannot be used is told once and the old one kept."""
        try:
            seen = self._stamp()
            if seen == self._seen:
                return
            self._seen = seen
            self._current = self._fresh()
        except OSError as error:  # ssl.SSLError is one
            if str(error) != self._trouble:
                self._trouble = str(error)
                log.error("the new certificate %s cannot be used, the old one is kept: %s", self._cert, error)
        else:
            self._trouble = ""
            log.info("certificate %s reloaded", self._cert)

    def _fresh(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = self._min_version
        context.set_alpn_protocols(["http/1.1"])
        context.load_cert_chain(self._cert, self._key)
        return context

    def _hand_over(self, connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        connection.context = self._current

    def _stamp(self) -> tuple[tuple[int, int, int], ...]:
        return tuple((stat.st_mtime_ns, stat.st_ino, stat.st_size) for stat in (os.stat(self._cert), os.stat(self._key)))


class Listener:
    """One address, bound at once (so that a port in use is found before anything starts), accepting from `start` on."""

    def __init__(self, address: Address, certificate: Certificate | None = None, shared: socket.socket | None = None) -> None:
        """Raises OSError when the address cannot be bound. `shared`: it is bound already, and other processes accept there, too."""
        self.certificate = certificate
        self.scheme = "http" if certificate is None else "https"
        self.address = address
        self._socket = self._bound() if shared is None else shared
        self._loop: Any = None
        self._protocol: Callable[[], asyncio.BaseProtocol]
        self._handshake = 0.0
        self._handshakes = 0  # under way
        self._coming = 0  # accepted, and nobody else knows of them yet
        self._is_ahead: Callable[[int], bool] | None = None
        self._room: Callable[[], int]

    def _bound(self) -> socket.socket:
        address = self.address
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        found = socket.socket(family, socket.SOCK_STREAM)
        try:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            found.bind((address.host, address.port))
        except OSError:
            found.close()
            raise
        self.address = Address(address.host, found.getsockname()[1])
        return found

    def fileno(self) -> int:
        return self._socket.fileno()

    def start(self, protocol: Callable[[], asyncio.BaseProtocol], handshake: float, room: Callable[[], int]) -> None:
        """Accept from now on. `handshake`: seconds for a TLS handshake. `room`: how many more connections there may be.

        Until its handshake is through, nobody but this listener knows of a connection: those that find no room then are closed at
        once, or whoever never shakes hands could take all files. A few may go on, to be told why there is no room.

        Connections are accepted here and then handed to the loop: libuv accepts one for each turn of a busy loop, and a burst of
        a thousand clients would wait for seconds.
        """
        self._loop = asyncio.get_running_loop()
        self._protocol, self._handshake, self._room = protocol, handshake, room
        self._socket.setblocking(False)
        self._socket.listen(BACKLOG)
        self._loop.add_reader(self._socket, self._accept)

    def yield_when(self, is_ahead: Callable[[int], bool]) -> None:
        """Leave new connections to the other processes for a moment when this one, with so many more to come, is ahead of them.

        All are woken by a new connection, and whoever is awake already would take a burst whole while the others idle.
        """
        self._is_ahead = is_ahead

    async def close(self) -> None:
        """Accept what has come so far, and no more. Connections that were accepted live on."""
        if self._loop is not None and self._socket.fileno() >= 0:
            if deafen(self._socket):
                await asyncio.sleep(SETTLE)
            self._take(BACKLOG)
        self.leave()

    def leave(self) -> None:
        """Accept no more; what waits is left to the other processes that share the socket."""
        if self._loop is not None and self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket)
        self._socket.close()

    def _accept(self) -> None:
        if self._is_ahead is None:
            self._take(AT_ONCE)
            return
        for _ in range(AT_ONCE):
            if self._is_ahead(self._coming):
                self._loop.remove_reader(self._socket)
                self._loop.call_later(RESPITE, self._go_on, FEW)
                return
            if not self._take(1):
                return

    def _take(self, most: int) -> bool:
        """Whether there may be more."""
        for _ in range(most):
            try:
                accepted, _ = self._socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return False
            except OSError as error:
                self._pause(error)
                return False
            if self._handshakes > AT_ONCE and self._handshakes > self._room():
                accepted.close()
                continue
            accepted.setblocking(False)
            accepted.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # finds the other end of a silent tunnel gone
            Eager(self._hand_over(accepted), self._loop, self._broke)
        return True

    async def _hand_over(self, accepted: socket.socket) -> None:
        context = None if self.certificate is None else self.certificate.context
        timeout = None if context is None else self._handshake
        self._handshakes += context is not None
        self._coming += 1
        try:
            await self._loop.connect_accepted_socket(self._protocol, accepted, ssl=context, ssl_handshake_timeout=timeout)
        except (OSError, TimeoutError) as error:
            log.debug("a connection to %s failed before its first request: %s", self.address, error)
            accepted.close()
        finally:
            self._handshakes -= context is not None
            self._coming -= 1

    def _broke(self, error: BaseException) -> None:
        log.error("a connection to %s could not be handed over", self.address, exc_info=error)

    def _pause(self, error: OSError) -> None:
        """Out of files or memory: trying again at once would only burn the time that is needed to free some."""
        log.error("cannot accept on %s, trying again in a second: %s", self.address, error)
        self._loop.remove_reader(self._socket)
        self._loop.call_later(1.0, self._go_on, 0)

    def _go_on(self, few: int) -> None:
        """Accept again; so many at once, for nobody else has."""
        if self._socket.fileno() >= 0:
            self._loop.add_reader(self._socket, self._accept)
            self._take(few)
