"""How many gateways share one Redis, and for how long that may be believed: so that what they may be ahead never adds up to too much."""

from __future__ import annotations

SURE = 1_000_000
"""Microseconds that a beat's answer is believed, counted from when it was asked."""
BELIEVED = 3 * SURE
"""Microseconds after its last beat that a gateway counts as one. Longer than SURE: who is forgotten has stopped believing before that."""


class Sharing:
    """What the beats of one gateway said. Times are microseconds of its own clock, which need not be right but must not be fast or slow.

    Who does not know of a gateway that has come must have heard its last answer before that came, and believes it no longer than SURE. So
    a newcomer that waits for SURE after its own first answer finds that all others count it, or believe nothing. Therefore the sum of
    1 / `gateways` over all those whose `until` is not over is never more than 1, however late beats and their answers are.
    """

    def __init__(self) -> None:
        self.gateways = 1
        """How many there are, this one among them, as far as is known."""
        self.until = 0
        """Until then that may be relied upon, and each may be its share ahead. 0: not at all."""
        self._joined = 0
        self._forgotten = 0  # from then on the others need not count us any more

    def left(self) -> None:
        """The connection is gone, and perhaps the server's memory."""
        self.until = self._forgotten = 0

    def heard(self, asked: int, answered: int, gateways: int) -> None:
        """A beat's answer came."""
        self.gateways = max(1, gateways)
        if answered >= self._forgotten or answered < self._joined:
            self._joined = answered
        self._forgotten = asked + BELIEVED
        self.until = asked + SURE if answered >= self._joined + SURE else 0
