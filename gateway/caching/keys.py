"""Under which key an answer is stored: the URL, and what a rule says that answers depend on besides."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import TypeAlias
from urllib.parse import unquote_plus

from gateway.caching.vary import normalised
from gateway.exchange import Exchange

Key: TypeAlias = Callable[[Exchange], str]
_COOKIE = re.compile(r"(?:^|;)\s*([^=;\s]+)\s*=\s*([^;]*)")


@dataclass(frozen=True, slots=True)
class Parts:
    """What tells requests apart. Header names in lower case."""

    allow: frozenset[str] | None = None  # parameters of the query that count; None: all but those of
    ignore: frozenset[str] | None = None  # ; None: the query as it was sent
    headers: tuple[str, ...] = ()
    cookies: tuple[str, ...] = ()
    claims: tuple[str, ...] = ()
    by_consumer: bool = False


def origin(ex: Exchange) -> str:
    return f"{ex.scheme}://{ex.host}"


def target_of(parts: Parts) -> Key:
    """From a request to its target, with the parameters of the query that count, sorted by name; those of one name stay in order."""
    if parts.allow is None and parts.ignore is None:
        return lambda ex: ex.target
    allow, ignore = parts.allow, parts.ignore or frozenset()

    def target(ex: Exchange) -> str:
        if not ex.query:
            return ex.target
        named = [(unquote_plus(pair.partition("=")[0]), pair) for pair in ex.query.split("&") if pair]
        kept = sorted([one for one in named if (one[0] in allow if allow is not None else one[0] not in ignore)], key=lambda one: one[0])
        path = ex.target.partition("?")[0]
        return f"{path}?{'&'.join([pair for _, pair in kept])}" if kept else path

    return target


def key_of(rule: str, parts: Parts) -> Key:
    """`rule` tells rules apart, so that an answer stored by one is no other's."""
    if parts == Parts():
        return lambda ex: f"{rule} {ex.route} {ex.scheme}://{ex.host}{ex.target}"
    target = target_of(parts)
    more = _more(parts)

    def key(ex: Exchange) -> str:
        return "\n".join([f"{rule} {ex.route} {ex.scheme}://{ex.host}{target(ex)}", *[part(ex) for part in more]])

    return key


def _more(parts: Parts) -> list[Key]:
    more: list[Key] = [lambda ex, name=name: f"{name}:{normalised(name, ex.headers) or ''}" for name in parts.headers]  # type: ignore[misc]
    if parts.cookies:
        names = parts.cookies
        more.append(lambda ex: f"cookie:{digest(repr([cookies(ex).get(name) for name in names]))}")
    if parts.claims:
        claims = parts.claims
        more.append(lambda ex: f"claims:{digest(repr([ex.claims.get(claim) for claim in claims]))}")
    if parts.by_consumer:
        more.append(lambda ex: "" if ex.consumer is None else f"consumer:{digest(repr((ex.consumer, sorted(ex.groups))))}")
    return more


def cookies(ex: Exchange) -> dict[str, str]:
    return dict(reversed(_COOKIE.findall("; ".join(ex.headers.getall("Cookie", ())))))  # of one name the first counts


def has_query(ex: Exchange, names: frozenset[str]) -> bool:
    return any(unquote_plus(pair.partition("=")[0]) in names for pair in ex.query.split("&"))


def digest(text: str) -> str:
    """No credential is kept in a key."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
