"""What services answer over HTTP, as far as senders are told alike by all: how long to wait, and what went wrong."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from gateway.exchange import Reply
from gateway.pii import MASKED

LONGEST = 86_400.0
"""Seconds: who says a week is wrong, or wants never."""
_SOMEBODY = re.compile(r"[^\s<>@:;,\"']+@[^\s<>@:;,\"']+|\+?\d{8,}")
SHOWN = 200
"""Characters of an answer that are kept as a reason."""


def retry_after(reply: Reply, now: float) -> float | None:
    """Seconds from Retry-After, which says them, or a date (RFC 9110, section 10.2.3); None when it says neither."""
    text = reply.headers.get("Retry-After", "").strip()
    if text.isdecimal() and text.isascii():
        return min(float(text), LONGEST)
    try:
        when = parsedate_to_datetime(text)
    except ValueError:
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return min(max((when - datetime.fromtimestamp(now, UTC)).total_seconds(), 0.0), LONGEST)


def hidden(text: str) -> str:
    """The text without what may be an address of mail, or a telephone number."""
    return _SOMEBODY.sub(MASKED, text)


def shown(text: str) -> str:
    """Of what somebody else wrote, as much as a reason needs, in one line; addresses and numbers that may be somebody's are hidden."""
    line = hidden(" ".join("".join(c if c.isprintable() else " " for c in text[: SHOWN * 4]).split()))
    return line if len(line) <= SHOWN else f"{line[:SHOWN]}..."
