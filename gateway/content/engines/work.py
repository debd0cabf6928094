"""What checking one document may take: there are documents and schemas of which nobody would live to see the end."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from time import perf_counter

from gateway.content.engines.preparing import Made

STEPS = 250_000
"""Schemas held against values, and patterns against texts: some seconds. A document within the usual limits takes some ten thousand."""
EACH = 0.03
"""Seconds for one pattern and one text,"""
ALL = 0.1
"""and for all of a document, beyond the first"""
FREE = 20e-6
"""seconds of each, which most patterns do with."""


class TooMuch(Exception):
    """It would take too long. Nothing is known of the value then, and it is refused, also where a schema asks that a part be not valid."""


class Work:
    """On one document."""

    __slots__ = ("known", "made", "seconds", "steps")

    def __init__(self, made: Made, steps: float, seconds: float) -> None:
        self.made = made
        self.steps = steps
        self.seconds = seconds
        self.known: dict[tuple[int, int], bool] = {}  # whether a value is valid, by its schema's id and its own: often asked for again

    def spend(self, steps: float = 1) -> None:
        """Raises TooMuch."""
        self.steps -= steps
        if self.steps < 0:
            raise TooMuch

    def matches(self, pattern: str, text: str) -> bool:
        """Raises TooMuch."""
        search = self.made.pattern(pattern).search
        return self.timed(lambda: search(text, timeout=min(EACH, self.seconds)) is not None)

    def timed(self, ask: Callable[[], bool]) -> bool:
        """What is asked, which may take long. Raises TooMuch."""
        self.spend()
        began = perf_counter()
        try:
            said = ask()
        except TimeoutError:
            raise TooMuch from None
        self.seconds -= max(perf_counter() - began - FREE, 0)
        if self.seconds <= 0:
            raise TooMuch
        return said


current: ContextVar[Work] = ContextVar("work")
"""That on the document at hand: the library has no place for it."""
