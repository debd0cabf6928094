"""What a policy's `checks` look at: databases and other services, asked in the background and never in a request."""

from __future__ import annotations

import asyncio
import logging

from gateway.config.address import address
from gateway.config.readiness import CheckSettings
from gateway.errors import CallFailed
from gateway.plugin import Http

log = logging.getLogger("gateway.checks")

FAILS = 2
"""Looks in a row that must fail, when one has passed before: one lost packet takes no gateway out of service."""
BODY = 64 << 10
"""Bytes of an answer that are read; one that is longer is no health check's."""

RELY = 3.0
"""Seconds for which one that was told an outcome does not look by itself: it is told again each second, by one that looks."""
LATER = 1.0
"""Seconds by which a call's own deadline comes after the check's, which tells of it."""


class Check:
    """`look` looks once, `start` goes on looking until `stop`. `failure` is why it fails; empty while it passes."""

    def __init__(self, name: str, settings: CheckSettings, http: Http) -> None:
        self.name = name
        self.is_required = settings.required
        self.failure = "not looked at yet"
        self._settings = settings
        self._http = http
        self._failed = FAILS  # in a row
        self._relies_until = 0.0  # of the loop's clock
        self._looking: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._looking = asyncio.get_running_loop().create_task(self._look_again(), name=f"check {self.name}")

    def stop(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None  # it holds this: a circle that would stay for good, for what is loaded is no matter for the collector

    def take(self, failure: str) -> None:
        """Another worker has looked, and what it found holds here too: one gateway need not ask with as many voices as it has workers."""
        self._failed, self.failure = FAILS if failure else 0, failure
        self._relies_until = asyncio.get_running_loop().time() + RELY

    async def look(self) -> None:
        """One look; never raises, and takes no longer than its timeout."""
        try:
            async with asyncio.timeout(self._settings.timeout):
                why = await self._ask()
        except TimeoutError:
            why = f"no answer within {self._settings.timeout:g} s"
        except Exception as error:  # whatever keeps it from passing: a look that ended its task would leave the last outcome standing
            why = str(error) or type(error).__name__
        if why:
            self._fail(why)
            return
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
        pause = self._settings.interval
        while True:
            await asyncio.sleep(pause)
            pause = self._relies_until - asyncio.get_running_loop().time()
            if pause <= 0:
                await self.look()
                pause = self._settings.interval

    async def _ask(self) -> str:
        """Why it fails; nothing when it passes."""
        if self._settings.tcp is not None:
            _, writer = await asyncio.open_connection(*address(self._settings.tcp))
            writer.close()
            return ""
        assert self._settings.http is not None
        try:
            reply = await self._http("GET", self._settings.http, {}, b"", LATER + self._settings.timeout, BODY)
        except CallFailed as error:
            return _told(error.__cause__)
        return "" if reply.status < 400 else f"it answers {reply.status}"


def _told(cause: BaseException | None) -> str:
    """Without the URL, whose query may hold a secret, and without what was answered."""
    if cause is None:
        return f"its answer is longer than {BODY >> 10} KiB"
    return (cause.strerror if isinstance(cause, OSError) else None) or f"it does not answer in HTTP ({type(cause).__name__})"
