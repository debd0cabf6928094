"""By which fields of a request its answer was chosen, and whether it would have been for another one (RFC 9111, section 4.1)."""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import TypeAlias

from multidict import istr

from gateway.caching.record import Record, Records
from gateway.exchange import Headers

Chosen: TypeAlias = tuple[tuple[str, str | None], ...]
ALLOW_ORIGIN = istr("Access-Control-Allow-Origin")
SECRET = frozenset({"authorization", "cookie", "proxy-authorization"})
"""Fields whose values are kept as digests only."""
UNORDERED = frozenset({"accept", "accept-charset", "accept-encoding", "accept-language"})
"""Lists whose members say themselves how much they are liked: their order means nothing (RFC 9110, section 12.4.2)."""
_LISTED = re.compile(r"\s*,\s*")
_WEIGHT = re.compile(r";q=([01])(?:\.([0-9]*?)0*)?(?=;|$)")


def varies_by(headers: Headers) -> frozenset[str] | None:
    """The fields that an answer's Vary names, in lower case; None for `*`, wherever in it that stands.

    One that grants an origin was chosen by the Origin, whether it says so or not (Fetch, "CORS protocol and HTTP caches"): else whoever
    asks first would decide who may read it.
    """
    names: frozenset[str] = frozenset()
    if "Vary" in headers:
        names = frozenset(name.strip().lower() for value in headers.getall("Vary") for name in value.split(",") if name.strip())
        if "*" in names:
            return None
    if headers.get(ALLOW_ORIGIN, "*") != "*":
        names |= {"origin"}
    return names


def chosen_by(names: frozenset[str], headers: Headers) -> Chosen:
    """What a request says by these fields."""
    return tuple([(name, normalised(name, headers)) for name in sorted(names)])


def normalised(name: str, headers: Headers) -> str | None:
    """A field's value as it is compared: lines joined, space around commas gone; lists of preferences in order, in lower case, and each
    weight written in one way (RFC 9111, section 4.1)."""
    values = headers.getall(name, None)
    if values is None:
        return None
    text = _LISTED.sub(",", ",".join(values)).strip().strip(",")
    if name in UNORDERED:
        text = ",".join(sorted({_weighed(member) if ";" in member else member for member in text.lower().split(",")}))
    if name in SECRET:
        return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    return text


def _weighed(member: str) -> str:
    """Without the weight of 1 that it has anyway, and without zeros at the end of another (RFC 9110, section 12.4.2)."""
    return _WEIGHT.sub(lambda weight: _digits(*weight.groups("")), re.sub(r"\s*;\s*", ";", member))


def _digits(whole: str, decimals: str) -> str:
    if whole == "1" and not decimals:
        return ""
    return f";q={whole}.{decimals}" if decimals else ";q=0"


def select(records: Records, headers: Headers) -> Record | None:
    """The newest that was chosen by what this request says."""
    for record in records:
        if not record.vary or all(normalised(name, headers) == value for name, value in record.vary):
            return record
    return None
