"""What is known of a target, and whether it is asked. No I/O: the time, in seconds, is passed in.

A target that fails again and again is left out for a while (ejected). When its time is over one request at a time finds out how it is,
once a second: the first that succeeds brings it back, one that fails sends it out again, for longer. Apart from that, one whose probes
fail is out until they pass.
"""

from __future__ import annotations

from collections.abc import Iterable

from gateway.config.recovery import OutlierSettings

TRIAL = 1.0  # seconds between two requests that find out
LONGEST = 10  # times `eject`, however often in a row


class Standing:
    """Of one target; it outlives a reload in which the target stays."""

    __slots__ = ("ejected_until", "ejections", "errors", "failing", "next_trial", "streak", "tried")

    def __init__(self) -> None:
        self.errors = 0  # in a row
        self.ejections = 0  # in a row: no request has succeeded between them
        self.ejected_until = 0.0  # 0.0: it is not ejected
        self.next_trial = 0.0  # when a request may be sent to it again
        self.tried = False  # it is ejected, and a request was let through: the next outcome counts
        self.failing = ""  # why its probes fail
        self.streak = 0  # probes in a row that say something else than `failing` does

    def is_in(self, now: float) -> bool:
        return self.next_trial <= now and not self.failing

    def probed(self, why: str, passes: int, fails: int) -> bool:
        """A probe failed, and why, or passed (""); True: so it is out, or back. One that is new is well until it has failed."""
        if bool(why) == bool(self.failing):
            self.streak = 0
            return False
        self.streak += 1
        if self.streak < (fails if why else passes):
            return False
        self.failing, self.streak = why, 0
        return True

    def let_through(self, now: float) -> None:
        """It is ejected and asked all the same: because its time is over, or because no other is left."""
        self.tried = True
        if now >= self.ejected_until:
            self.next_trial = now + TRIAL

    def readmit(self) -> None:
        """Its ejections are forgotten."""
        self.errors = self.ejections = 0
        self.ejected_until = self.next_trial = 0.0
        self.tried = False

    def without_ejections(self) -> Standing:
        """What its probes say, alone: requests that go on by the rule that ejects speak to another."""
        found = Standing()
        found.failing, found.streak = self.failing, self.streak
        return found

    def why(self, now: float) -> str:
        """Why it is left out, for whoever looks after it; "" when it is not."""
        if self.failing or not self.ejected_until:
            return self.failing
        left = self.ejected_until - now
        return f"ejected for {left:.0f} s" if left > 0 else "ejected; one request at a time finds out how it is"


class Outlier:
    """The rule by which targets are ejected. Of `number` targets a share may be, one at least; but never the only one."""

    def __init__(self, settings: OutlierSettings, number: int) -> None:
        self._errors = settings.consecutive_errors
        self._eject = settings.eject
        self._most = max(1, int(number * settings.max_ejected)) if number > 1 else 0

    def failed(self, standing: Standing, among: Iterable[Standing], now: float) -> bool:
        """A request to the target failed; True: so it is ejected. `among` are the standings of all."""
        if standing.ejected_until:
            if not standing.tried or now < standing.ejected_until:
                return False  # it was sent before, or because no other is left
        else:
            standing.errors += 1
            if standing.errors < self._errors or sum(1 for one in among if one.ejected_until) >= self._most:
                return False
        standing.ejections += 1
        standing.ejected_until = standing.next_trial = now + self._eject * min(standing.ejections, LONGEST)
        standing.tried = False
        return True

    def succeeded(self, standing: Standing) -> bool:
        """A request to the target was answered; True: so it is back."""
        if not standing.ejected_until:
            standing.errors = 0
            return False
        if not standing.tried:
            return False  # it was sent before
        standing.readmit()
        return True
