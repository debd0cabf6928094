"""Cache-Control (RFC 9111, section 5.2), and the targeted fields that take its place (RFC 9213)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import http_sf

from gateway.exchange import Headers

FOREVER = 2**31
"""Seconds that any larger number of them means (RFC 9111, section 1.2.2)."""
_DIRECTIVE = re.compile(
    r"""\s*(?P<name>[!#$%&'*+.^_`|~0-9A-Za-z-]+)(?:=(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<token>[^\s",;]*)))?(?P<junk>[^,"]*)"""
)
_NEXT = re.compile(r"""(?:[^,"]|"(?:[^"\\]|\\.)*"?)*,?""")
_ESCAPED = re.compile(r"\\(.)")
_SECONDS = re.compile(r"\d+", re.ASCII)

Directives = Mapping[str, str | None]
"""Names in lower case. None: without a value."""
NUMBERS = frozenset({"max-age", "s-maxage", "stale-while-revalidate", "stale-if-error", "max-stale", "min-fresh"})


def directives(values: Iterable[str]) -> Directives:
    """What the lines of a Cache-Control field say. Of what is said twice the first counts (RFC 9111, section 4.2.1).

    What a sender got wrong is read so that less is kept: `max-age =60` is a max-age without a value, `no-store;` is no-store.
    """
    found: dict[str, str | None] = {}
    for value in values:
        place = 0
        while place < len(value):
            match = _DIRECTIVE.match(value, place)
            if match is not None:
                said = match["token"] if match["quoted"] is None else _ESCAPED.sub(r"\1", match["quoted"])
                found.setdefault(match["name"].lower(), "" if match["junk"].strip() and match["name"].lower() in NUMBERS else said)
            rest = _NEXT.match(value, place)
            assert rest is not None
            place = max(rest.end(), place + 1)
    return found


def seconds(value: str | None) -> int | None:
    """Delta-seconds (RFC 9111, section 1.2.2); None when they are none."""
    return min(int(value[:20]), FOREVER) if value is not None and _SECONDS.fullmatch(value) else None


def in_force(headers: Headers, targets: Sequence[str]) -> tuple[Directives, bool]:
    """What the origin says to this cache, and whether a targeted field says it: then Expires means nothing, either.

    The first of `targets` that is there, not empty and well-formed (RFC 9213, section 2.2); else Cache-Control.
    """
    for name in targets:
        if name in headers and (found := _targeted(headers.getall(name))):
            return found, True
    return directives(headers.getall("Cache-Control", ())), False


def _targeted(values: Sequence[str]) -> Directives | None:
    """A Dictionary of structured fields (RFC 9651). One wrong type, and it is as if the field were not there."""
    try:
        dictionary: Any = http_sf.parse(", ".join(values).encode("utf-8", "surrogateescape"), tltype="dictionary")
    except ValueError:
        return None
    found: dict[str, str | None] = {}
    for name, (value, _) in dictionary.items():
        if name in NUMBERS:
            if type(value) is not int:
                return None
            found[name] = str(max(value, 0))
        elif value is not False:
            found[name] = value if isinstance(value, str) else None
    return found


def named(value: str | None) -> frozenset[str]:
    """The fields that `private="a, b"` or `no-cache="a"` names, in lower case; none when it is about the whole answer."""
    return frozenset(name.strip().lower() for name in (value or "").split(",") if name.strip())
