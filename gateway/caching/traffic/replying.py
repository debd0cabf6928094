"""What clients are answered from what is stored, with what Cache-Status tells them (RFC 9211), and the counts of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from gateway.caching.answering import answer, whole
from gateway.caching.record import Record
from gateway.caching.status import CACHE, append
from gateway.exchange import Exchange, Reply

HIT = f"{CACHE}; hit; ttl="
Tells = Literal["none", "short", "full"]
Add = Callable[[float], None]
OUTCOMES = ("hit", "stale", "bridged", "validated", "miss", "pass", "waited", "refreshed", "invalidated")


@dataclass(frozen=True, slots=True)
class Counts:
    outcomes: Mapping[str, Callable[[], None]]  # requests, by each of OUTCOMES
    saved: Callable[[], None]  # requests that the upstream was spared
    served: Add  # bytes of bodies
    stored: Add


class Replying:
    def __init__(self, tells: Tells, counts: Counts) -> None:
        self.counts = counts
        self.count = counts.outcomes
        self._count_hit = counts.outcomes["hit"]
        self._count_saved = counts.saved
        self._count_served = counts.served
        self._tells = tells != "none"
        self._tells_all = tells == "full"

    def hit(self, record: Record, key: str, now: float) -> Reply:
        """The record whole, and fresh: what costs least, for it is what comes most."""
        record.hits += 1
        reply = whole(record, now)
        self._count_hit()
        self._count_saved()
        self._count_served(len(record.entity.data))
        if self._tells_all:
            self.tell(reply, f"hit; ttl={int(record.fresh_until - now)}", key)
        elif self._tells:
            append(reply.headers, f"{HIT}{int(record.fresh_until - now)}")
        return reply

    def answer(self, ex: Exchange, key: str, record: Record, now: float, told: str = "") -> Reply:
        """What this request is answered with the record, fresh or not. `told`: how it came to that, if it was no hit."""
        record.hits += 1
        reply = answer(record, ex.headers, now)
        assert reply.entity is not None
        self._count_saved()
        self._count_served(len(reply.entity.data))
        self.tell(reply, told or f"hit; ttl={int(record.fresh_until - now)}", key)
        return reply

    def tell(self, reply: Reply, told: str, key: str) -> None:
        if self._tells:
            more = f"; key={_string(key)}" if self._tells_all and key else ""
            append(reply.headers, f"{CACHE}; {told}{more}")


def _string(text: str) -> str:
    """A String of structured fields (RFC 9651, section 4.1.6); what it cannot hold becomes `_`."""
    return '"' + re.sub(r'(["\\])', r"\\\1", re.sub(r"[^ -~]", "_", text)) + '"'
