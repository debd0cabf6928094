"""What the supervisor thinks of its workers: functions of values and times, for every moment to be tested."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from gateway.server.reading import Terms

BEAT = 1.0
"""Seconds between two signs of life of a worker."""
SILENCE = 10.0
"""Seconds without one: the worker hangs."""
STARTING = 90.0
"""Seconds until a new worker must serve: plugins and a large policy have their time."""
STABLE = 60.0
"""Seconds that a worker must have lived for its death to count as the first one again."""
SETTLED = 60.0
"""Seconds before a worker can be too large: one that is so from its beginning shall not be replaced again and again."""
FIRST, MOST = 0.1, 30.0
"""Seconds before a worker that died is started again: after its second death in a row, and at most."""


def pause(deaths: int) -> float:
    """Seconds before the worker is started again, after so many deaths in a row: at once, 0.1, 0.2, 0.4, ... 30."""
    return 0.0 if deaths <= 1 else min(MOST, FIRST * 2 ** min(deaths - 2, 30))


@dataclass(slots=True)
class Deaths:
    """In a row, of the workers in one place."""

    number: int = 0

    def after(self, lived: float) -> float:
        """One that lived for so long has died: seconds to wait before the next."""
        self.number = 1 if lived >= STABLE else self.number + 1
        return pause(self.number)


@dataclass(frozen=True, slots=True)
class Beat:
    """What a worker tells of itself each second."""

    ready: bool = False
    in_flight: int = 0
    connections: int = 0
    lag: float = 0.0  # seconds by which its loop was late
    memory: int | None = None  # bytes; None where the system does not say
    jobs: int = 0  # that it runs now


Verdict = Literal["well", "hangs", "old", "large"]


def verdict(beat: Beat, silent: float, age: float, terms: Terms) -> Verdict:
    """Of a worker that serves, heard of `silent` seconds ago."""
    if silent >= SILENCE:
        return "hangs"
    if terms.memory is not None and beat.memory is not None and beat.memory >= terms.memory and age >= SETTLED:
        return "large"
    if terms.age is not None and age >= terms.age:
        return "old"
    return "well"


def slept(since: float) -> bool:
    """Whether it was the supervisor itself that did not look for so long: then the silence of others means nothing."""
    return since > 3 * BEAT


def together(answers: Sequence[Any]) -> Any:
    """What the workers' answers to one question about health come to: ready when one is, and with the worst of what each says."""
    worst = max(answers, key=lambda answer: ("ok", "degraded", "unready", "draining").index(answer["status"]))
    return {**worst, "ready": any(answer["ready"] for answer in answers)}


def ended(code: int) -> str:
    """How a process ended, in words."""
    if code >= 0:
        return f"with exit code {code}"
    try:
        return f"by {signal.Signals(-code).name}"
    except ValueError:
        return f"by signal {-code}"
