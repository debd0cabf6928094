"""Whether an answer may be kept, and as what: all that an origin says is read here, once (RFC 9111, section 3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from gateway.caching import dates
from gateway.caching.directives import Directives, in_force, named, seconds
from gateway.caching.freshness import UNDERSTOOD, explicit, heuristic, made
from gateway.caching.record import Fields, Record
from gateway.caching.tags import GROUP_INVALIDATION, GROUPS, SOURCES
from gateway.caching.vary import chosen_by, varies_by
from gateway.caching.wishes import wishes
from gateway.exchange import Entity, Headers, Reply

TARGETS = ("Gateway-Cache-Control", "CDN-Cache-Control")
"""Targeted fields that are read, the first one first (RFC 9213, section 2.1)."""
OVERRIDDEN = frozenset({200, 203, 204, 300, 301, 308})
"""Statuses that a rule's `ttl` is meant for; others have theirs in `negative`, or as the origin says."""
PROXYS = frozenset({"proxy-authenticate", "proxy-authentication-info", "proxy-authorization"})
"""Fields of the proxy that an answer came through, and of nobody else's (RFC 9111, section 3.1)."""
DROPPED = PROXYS | {"age", "connection", *(name.lower() for name in (*SOURCES, GROUPS, GROUP_INVALIDATION))}
"""Fields that are not sent with a stored answer: Age is written anew, tags are for caches."""
NOT_WHOLE = frozenset({206, 304, 416})
"""Statuses of answers to a range or a condition."""
COOKIES = frozenset({"set-cookie", "set-cookie2"})

Guard = Literal["private", "no-store"]
Cookies = Literal["refuse", "strip", "store"]


@dataclass(frozen=True, slots=True)
class Rule:
    """What the policy has to say where the origin has."""

    ttl: float | None = None  # seconds; None: as the origin says
    negative: Mapping[int, float] = field(default_factory=dict)  # seconds, by status
    swr: float | None = None  # seconds; None: as the origin says
    sie: float | None = None
    overrides: frozenset[Guard] = frozenset()  # what the origin forbids and this rule allows
    cookies: Cookies = "refuse"
    jitter: float = 0.0  # the share by which a lifetime may be shorter

    def lifetime(self, status: int) -> float | None:
        """Seconds that it gives answers of this status."""
        found = self.negative.get(status)
        return self.ttl if found is None and status in OVERRIDDEN else found


@dataclass(frozen=True, slots=True)
class Request:
    """What of a request its answer's fate depends on."""

    headers: Headers
    requested: float  # Unix time when it left for the origin
    stamp: int  # of the purges, then
    is_personal: bool = False  # it came with credentials, and its answer would be given to others


@dataclass(frozen=True, slots=True)
class Draft:
    """An answer that may be kept, once its body is whole."""

    status: int
    reason: str
    fields: Fields
    made: float
    stored: float
    fresh_until: float
    swr: float
    sie: float
    is_strict: bool
    vary: tuple[tuple[str, str | None], ...]
    etag: str
    last_modified: float | None
    stamp: int

    def record(self, entity: Entity, marks: tuple[str, ...], route: str) -> Record:
        return Record(
            self.status, self.fields, entity, reason=self.reason, made=self.made, stored=self.stored, fresh_until=self.fresh_until,
            swr=self.swr, sie=self.sie, is_strict=self.is_strict, vary=self.vary, etag=self.etag, last_modified=self.last_modified,
            marks=marks, stamp=self.stamp, route=route,
        )  # fmt: skip


def draft(request: Request, reply: Reply, received: float, rule: Rule, chance: float = 0.0) -> Draft | str:
    """What may be kept of the answer to a GET, or why nothing may. `chance` from 0.0 to 1.0 is how much of the rule's jitter it gets."""
    headers = reply.headers
    said, is_targeted = in_force(headers, TARGETS)
    chosen = varies_by(headers)
    refused = _refusal(request, reply, said, rule)
    if refused or chosen is None:
        return refused or "Vary: *"
    lifetime, is_ours = rule.lifetime(reply.status), True
    if lifetime is None:
        is_ours = False
        lifetime = explicit(said, headers, received, is_targeted=is_targeted)
        if lifetime is None:
            lifetime = heuristic(said, headers, reply.status, received)
        if "no-cache" in said and not named(said["no-cache"]):
            lifetime = 0.0
    is_strict = any(name in said for name in ("must-revalidate", "proxy-revalidate")) or (
        not is_ours and ("s-maxage" in said or ("no-cache" in said and not named(said["no-cache"])))
    )
    born = made(headers, request.requested, received)
    lifetime *= 1.0 - rule.jitter * chance
    swr, sie = (0.0, 0.0) if is_strict else (_window(rule.swr, said, "stale-while-revalidate"), _window(rule.sie, said, "stale-if-error"))
    etag = headers.get("ETag", "")
    last_modified = dates.parsed(headers.get("Last-Modified", ""), received)
    fresh_until = (received if is_ours else born) + lifetime
    if fresh_until + max(swr, sie) <= received and not etag and last_modified is None:
        return "not fresh, and nothing to validate it by"
    fields = _kept(headers, said, rule, received)
    vary = chosen_by(chosen, request.headers)
    return Draft(
        reply.status, reply.reason, fields, born, received, fresh_until, swr, sie, is_strict, vary, etag, last_modified, request.stamp
    )


def _refusal(request: Request, reply: Reply, said: Directives, rule: Rule) -> str:
    """Which of the things that stand in the way does; "" when none (RFC 9111, section 3)."""
    headers, status = reply.headers, reply.status
    wished = wishes(request.headers)
    if wished is not None and wished.no_store:
        return "the request says no-store"
    # Beside 206 and 416 Content-Range means nothing (RFC 9110, section 14.4), but an origin that counts its bytes is taken at its word.
    if status < 200 or status in NOT_WHOLE or headers.get("Content-Range", "").lower().startswith("bytes"):
        return "it is not the whole answer"
    if reply.has_raw_bytes:
        return "a field is not UTF-8"
    is_understood = "must-understand" in said and status in UNDERSTOOD
    if "must-understand" in said and not is_understood:
        return "must-understand"
    if "no-store" in said and not is_understood and "no-store" not in rule.overrides:
        return "no-store"
    if "private" in said and not named(said["private"]) and "private" not in rule.overrides:
        return "private"
    if request.is_personal and not any(name in said for name in ("public", "s-maxage", "must-revalidate")):
        return "the request has credentials"  # section 3.5
    if rule.cookies == "refuse" and "Set-Cookie" in headers:
        return "Set-Cookie"
    return ""


def _window(ours: float | None, said: Directives, name: str) -> float:
    return float(seconds(said.get(name)) or 0) if ours is None else ours


def _kept(headers: Headers, said: Directives, rule: Rule, received: float) -> Fields:
    """The fields that are stored. What `no-cache="..."` and `private="..."` name is not (sections 5.2.2.4 and 5.2.2.7)."""
    dropped = DROPPED | named(said.get("no-cache")) | named(said.get("private"))
    if rule.cookies == "strip":
        dropped |= COOKIES
    fields = tuple([(name, value) for name, value in headers.items() if name.lower() not in dropped])
    if "Date" not in headers:
        fields = (*fields, ("Date", dates.written(received)))  # RFC 9110, section 6.6.1
    return fields


_UNCHANGED = frozenset({"content-length", "transfer-encoding"})
"""What a 304 cannot say of a body that it does not bring (RFC 9111, section 3.2)."""
_OF_BODY = frozenset({"content-encoding", "content-range"})
"""What it cannot say either where that means something: ours would be read as what it is not."""
_CODINGS = frozenset({"br", "compress", "deflate", "gzip", "identity", "x-compress", "x-gzip", "zstd"})
"""Content codings that mean something. Any other is a text to be updated like all."""


def refreshed(record: Record, request: Request, reply: Reply, received: float, rule: Rule, chance: float = 0.0) -> Draft | str:
    """The record with what a 304, or an answer to HEAD, says anew; or why it may not be kept any longer (section 4.3.4)."""
    kept = _UNCHANGED if rule.cookies == "store" else _UNCHANGED | {"set-cookie"}  # a cookie with a 304 is this client's alone
    if _tells_of_body(reply.headers.items()) or _tells_of_body(record.fields):
        kept |= _OF_BODY
    new = [(name, value) for name, value in reply.headers.items() if name.lower() not in kept]
    names = {name.lower() for name, _ in new}
    headers = Headers([*[field for field in record.fields if field[0].lower() not in names], *new])
    whole = Reply(record.status, headers, None, reason=record.reason)
    whole.has_raw_bytes = reply.has_raw_bytes
    return draft(request, whole, received, rule, chance)


def _tells_of_body(fields: Iterable[tuple[str, str]]) -> bool:
    for name, value in fields:
        field = name.lower()
        if field == "content-range" and value.lower().startswith("bytes"):
            return True
        if field == "content-encoding" and not _CODINGS.isdisjoint([coding.strip() for coding in value.lower().split(",")]):
            return True
    return False


def is_like(record: Record, reply: Reply) -> bool:
    """Whether an answer to HEAD describes this record (section 4.3.5)."""
    etag, modified = reply.headers.get("ETag", record.etag), reply.headers.get("Last-Modified")
    is_modified = modified is not None and modified not in record.headers.getall("Last-Modified", ())
    return etag == record.etag and not is_modified and reply.length in (None, len(record.entity.data))


def is_same(record: Record, reply: Reply) -> bool:
    """Whether a 304 is about this record: it may not name another validator (section 4.3.4)."""
    etag = reply.headers.get("ETag", "")
    return not etag or not record.etag or etag.removeprefix("W/") == record.etag.removeprefix("W/")
