"""What a policy's `checks` look at: databases and other services, asked in the background and never in a request."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import ssl
from urllib.parse import urlsplit

from gateway.config.address import address
from gateway.config.readiness import CheckSettings

log = logging.getLogger("gateway.checks")

FAILS = 2
"""Looks in a row that must fail, when one has passed before: one lost packet takes no gateway out of service."""
LINE = 1024
"""Bytes of a status line."""

_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})[ \r\n]")


class Failed(Exception):
    """Why a look failed, for the operator."""


class Check:
    """`first` looks once, `start` goes on looking until `stop`. `failure` is why it fails; empty while it passes."""

    def __init__(self, name: str, settings: CheckSettings) -> None:
        self.name = name
        self.is_required = settings.required
        self.failure = "not looked at yet"
        self._settings = settings
        self._failed = FAILS  # in a row
        self._looking: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._looking = asyncio.get_running_loop().create_task(self._look_again(), name=f"check {self.name}")

    def stop(self) -> None:
        if self._looking is not None:
            self._looking.cancel()

    async def look(self) -> None:
        """One look; never raises, and takes no longer than its timeout."""
        try:
            async with asyncio.timeout(self._settings.timeout):
                await self._ask()
        except TimeoutError:
            self._fail(f"no answer within {self._settings.timeout:g} s")
        except (Failed, OSError, ValueError) as error:  # ssl.SSLError is an OSError; ValueError: a name that IDNA refuses
            self._fail(str(error))
        else:
            if self.failure and self._looking is not None:
                log.info("check %s passes", self.name)
            self._failed, self.failure = 0, ""

    def _fail(self, why: str) -> None:
        self._failed += 1
        if self._failed < FAILS:
            return
        if not self.failure or self._looking is None:
            log.warning("check %s fails: %s", self.name, why)
        self.failure = why

    async def _look_again(self) -> None:
        while True:
            await asyncio.sleep(self._settings.interval)
            await self.look()

    async def _ask(self) -> None:
        if self._settings.tcp is not None:
            _, writer = await asyncio.open_connection(*address(self._settings.tcp))
            writer.close()
        elif self._settings.http is not None:
            await _get(self._settings.http)


async def _get(url: str) -> None:
    """A GET of which only the status is read. Raises Failed, OSError and ValueError."""
    parts = urlsplit(url)
    tls = ssl.create_default_context() if parts.scheme == "https" else None
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port or (443 if tls else 80), ssl=tls, limit=LINE)
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        writer.write(f"GET {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nUser-Agent: gateway-check\r\nConnection: close\r\n\r\n".encode())
        status = _STATUS.match(await reader.readline())
        if status is None:
            raise Failed("it does not answer in HTTP")
        if status[1] >= b"400":
            raise Failed(f"it answers {status[1].decode()}")
    finally:
        with contextlib.suppress(RuntimeError):  # the loop has gone
            writer.transport.abort()
