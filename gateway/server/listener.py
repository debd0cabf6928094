"""The sockets a gateway listens on, and the certificates it shows."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

log = logging.getLogger("gateway.server")

BACKLOG = 2048
"""asyncio's default of 100 drops SYNs under a burst; each comes again after a second."""

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
        except (OSError, ssl.SSLError) as error:
            log.error("the new certificate %s cannot be used, the old one is kept: %s", self._cert, error)
        else:
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

    def __init__(self, address: Address, certificate: Certificate | None = None) -> None:
        """Raises OSError when the address cannot be bound."""
        self.certificate = certificate
        self.scheme = "http" if certificate is None else "https"
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.bind((address.host, address.port))
        except OSError:
            self._socket.close()
            raise
        self.address = Address(address.host, self._socket.getsockname()[1])
        self._server: Any = None

    async def start(self, protocol: Callable[[], asyncio.BaseProtocol]) -> None:
        context = None if self.certificate is None else self.certificate.context
        self._socket.setblocking(False)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(protocol, sock=self._socket, backlog=BACKLOG, ssl=context)

    def close(self) -> None:
        """Accept no more. Connections that were accepted live on."""
        if self._server is not None:
            self._server.close()
        with contextlib.suppress(OSError):
            self._socket.close()
