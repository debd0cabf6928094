"""Tokens that let one who has them see what the gateway decides about a request of theirs, for some minutes.

`PAYLOAD.MAC`: both base64url without padding (RFC 4648, section 5); the payload is JSON, `exp` the end in seconds since 1970, `route` and
`path` where it is good for; the MAC is HMAC-SHA256 (RFC 2104) of the payload as it is sent, behind a prefix of its own.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hmac import compare_digest, digest

from gateway.exchange import Exchange
from gateway.template import folded_segments

LONGEST = 2048
"""Characters of a token: more are not looked at."""
_PURPOSE = b"gateway-debug 1\n"
"""No MAC that the secret makes for anything else is one of a token."""


def mint(secret: str, expires: int, *, route: str = "", path: str = "") -> str:
    """A token until `expires`, seconds since 1970; good for one route, or for a path and what is below it, if such are given."""
    scope = {name: value for name, value in (("route", route), ("path", path)) if value}
    payload = _encode(json.dumps({"exp": expires, **scope}, separators=(",", ":")).encode())
    return f"{payload}.{_mac(secret, payload)}"


def admits(secret: str, token: str, ex: Exchange, now: float) -> bool:
    """Whether `token` was minted with `secret`, has not ended at `now`, seconds since 1970, and is good for `ex`, which has its route.

    What a client wrote is compared in constant time, and read only when it is known to be ours.
    """
    payload, _, mac = token.partition(".")
    if len(token) > LONGEST or not token.isascii() or not compare_digest(mac, _mac(secret, payload)):
        return False
    claims = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return now < claims["exp"] and claims.get("route", ex.route) == ex.route and _is_below(ex.path, claims.get("path", ""))


def _is_below(path: str, scope: str) -> bool:
    """By whole segments, whatever the case, as loose routes compare them."""
    wanted = folded_segments(scope)
    return folded_segments(path)[: len(wanted)] == wanted


def _mac(secret: str, payload: str) -> str:
    return _encode(digest(secret.encode(), _PURPOSE + payload.encode(), "sha256"))


def _encode(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
