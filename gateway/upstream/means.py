"""What an upstream goes by besides its settings."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Means:
    """What an upstream goes by: time, in seconds, and chance. A rehearsal has its own."""

    now: Callable[[], float] = time.monotonic
    time: Callable[[], float] = time.time  # since 1970
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    random: Callable[[], float] = random.random  # from 0.0 up to 1.0
