"""A signed token taken apart (RFC 7515, section 7.1): strictly, so that no two readers find different things in it."""

from __future__ import annotations

import json
import re
from base64 import b64decode, urlsafe_b64encode
from typing import Any, Literal, NamedTuple

Algorithm = Literal[
    "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"
]  # fmt: skip
"""How tokens may be signed (RFC 7518, section 3.1; RFC 8037 and 9864). `none` is no way."""

_FORM = re.compile(rb"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")


class Token(NamedTuple):
    """Nothing in it is verified."""

    algorithm: str
    kid: str | None
    signed: bytes
    payload: bytes
    signature: bytes


def parse(text: bytes) -> Token:
    """Raises ValueError, which says why, when it is no token that could be verified here."""
    form = _FORM.fullmatch(text)
    if form is None:
        raise ValueError("it is not three parts in base64url")  # a JWE has five, an unsigned token an empty third
    header = json_object(_decoded(form[1]), "its header")
    if "crit" in header:
        raise ValueError("its header has crit: no extension is understood here")  # RFC 7515, section 4.1.11
    algorithm, kid = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str):
        raise ValueError("its header names no alg")
    if kid is not None and not isinstance(kid, str):
        raise ValueError("its kid is no text")
    # What else a header can have, jku, jwk, x5u and x5c among it, is not looked at: a token does not say by which key it is verified.
    return Token(algorithm, kid, text[: form.end(2)], _decoded(form[2]), _decoded(form[3]))


def json_object(data: bytes, what: str) -> dict[str, Any]:
    """Raises ValueError for all but one JSON object in UTF-8 in which no name is said twice (RFC 8725, sections 2.4 and 3.7)."""
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{what} is no JSON: {'too deep' if isinstance(error, RecursionError) else error}") from None
    if not isinstance(value, dict):
        raise ValueError(f"{what} is no JSON object")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands in it twice")
    return found


def _refuse(word: str) -> None:
    raise ValueError(f"{word} is no number of JSON")


def _decoded(part: bytes) -> bytes:
    """Base64url without padding, in its one canonical form: else one token could be written in many ways."""
    data = b64decode(part + b"=" * (-len(part) % 4), altchars=b"-_", validate=True)
    if urlsafe_b64encode(data).rstrip(b"=") != part:
        raise ValueError("it is not canonical base64url")
    return data
