"""W3C Trace Context, level 2: traceparent and tracestate by the letter, as functions of strings.

https://www.w3.org/TR/trace-context-2/ is what the sections are of. OpenTelemetry's propagator takes the first of two traceparents, drops
a tracestate with the same key twice, and knows no keys of level 2.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

SAMPLED, RANDOM = 1, 2
"""Bits of the flags (section 3.2.2.5); all others go on as zero."""
MOST_MEMBERS = 32
"""Of a tracestate (section 3.3.1.1)."""
NO_TRACE, NO_SPAN = "0" * 32, "0" * 16
"""Ids that are none."""
LENGTH = 55
"""Characters of a traceparent of version 00, which has nothing behind its flags."""

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?", re.DOTALL).fullmatch
_MEMBER = re.compile(r"[a-z0-9][a-z0-9_\-*/@]{0,255}=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]")


class Parent(NamedTuple):
    """Who called, in which trace."""

    trace_id: str  # 32 hex digits in lower case, not all 0
    span_id: str  # 16 of them
    flags: int  # SAMPLED and RANDOM

    @property
    def is_sampled(self) -> bool:
        return bool(self.flags & SAMPLED)


def parent(fields: Sequence[str]) -> Parent | None:
    """What the values of all traceparent fields of a request say; None: nothing, and then its tracestate counts for nothing, too.

    There must be exactly one, and ff is no version. One of a higher version than 00 may go on behind its flags, after a dash
    (section 4.3).
    """
    if len(fields) != 1:
        return None
    text = fields[0].strip(" \t")
    if _TRACEPARENT(text) is None or (len(text) != LENGTH and text.startswith("00")) or text.startswith("ff"):
        return None
    trace_id, span_id = text[3:35], text[36:52]
    if trace_id == NO_TRACE or span_id == NO_SPAN:
        return None
    return Parent(trace_id, span_id, int(text[54], 16) & (SAMPLED | RANDOM))


def tracestate(fields: Sequence[str]) -> str:
    """The values of all tracestate fields of a request as one; "" when there is nothing to pass on.

    Empty members are left out. One that is malformed, or more than 32, and the whole list is discarded; a key that stands there twice
    is for those to judge who use it (section 3.3.1).
    """
    members = [member for text in fields for part in text.split(",") if (member := part.strip(" \t"))]
    if len(members) > MOST_MEMBERS or not all(map(_MEMBER.fullmatch, members)):
        return ""
    return ",".join(members)
