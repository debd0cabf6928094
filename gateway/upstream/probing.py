"""Targets asked for their health in the background: nothing of it is on the way of a request."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gateway.config.recovery import HealthSettings
from gateway.errors import GatewayError
from gateway.upstream.target import Target

SPREAD = 0.1
"""A look comes up to such a share of the interval sooner or later, so that those of many gateways do not come together."""


class Prober:
    """Of one target: `start`, then `stop`. `changed` is told when it goes out, with why, and when it is back, with ""."""

    def __init__(
        self, target: Target, settings: HealthSettings, changed: Callable[[Target, str], None], random: Callable[[], float]
    ) -> None:
        self._target = target
        self._settings = settings
        self._changed = changed
        self._random = random
        self._looking: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._looking = asyncio.get_running_loop().create_task(self._look_again(), name=f"health of {self._target.url}")

    def stop(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None  # it holds this

    async def look(self) -> None:
        """One look; never raises, and takes no longer than its timeout."""
        settings, standing = self._settings, self._target.standing
        why = await self._ask()
        if standing.probed(why, settings.passes, settings.fails):
            self._changed(self._target, why)

    async def _look_again(self) -> None:
        interval = self._settings.interval
        await asyncio.sleep(interval * self._random())
        while True:
            await self.look()
            await asyncio.sleep(interval * (1.0 + SPREAD * (2.0 * self._random() - 1.0)))

    async def _ask(self) -> str:
        """Why it is not well; "" when it is."""
        try:
            async with asyncio.timeout(self._settings.timeout):
                status = await self._target.probe(self._settings.path)
        except TimeoutError:
            return f"no answer within {self._settings.timeout:g} s"
        except GatewayError as error:
            return error.reason or error.title
        except Exception as error:  # a look that ended its task would leave the last outcome standing
            return str(error) or type(error).__name__
        return "" if status < 400 else f"it answers {status}"
