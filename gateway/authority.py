"""The Host field: one host and perhaps a port, nothing that one reader takes for another host than the next."""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from gateway.errors import BadRequest

# Narrower than reg-name of RFC 3986, section 3.2.2: no escapes and no sub-delims, which no DNS name holds and some readers split at.
_LABEL = r"[a-z0-9_][a-z0-9_-]*+"
_AUTHORITY = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*+\.?|\[([0-9a-f:.]+)\])(?::([0-9]{{1,5}}))?")
_LONGEST = 255 + len(":65535")


@lru_cache(maxsize=1024)
def valid_host(value: str) -> str:
    """`host[:port]` in lower case. Raises BadRequest for anything else (RFC 9110, section 7.2; RFC 9112, section 3.2).

    The same few values come again and again: recent answers are kept.
    """
    host = value.lower() if value.isascii() else ""
    match = _AUTHORITY.fullmatch(host)
    if match is None or len(host) > _LONGEST or int(match[2] or 0) > 65535 or not _is_address(match[1]):
        raise BadRequest("The Host field is not a host and an optional port.")
    return host


def _is_address(literal: str | None) -> bool:
    if literal is None:
        return True
    try:
        IPv6Address(literal)
    except AddressValueError:
        return False
    return True


def is_name_or_ipv4(host: str) -> bool:
    """No name ends in a number (RFC 1123, section 2.1): `80` and `256.0.0.1` would be looked up as addresses that nobody means."""
    if not host.removesuffix(".").rpartition(".")[2].isdigit():
        return True
    try:
        IPv4Address(host)
    except AddressValueError:
        return False
    return True


def hostname(host: str) -> str:
    """A valid Host without its port and without the dot of the DNS root: what routes are compared with."""
    if not host.endswith("]"):
        name, colon, _ = host.rpartition(":")
        host = name if colon else host
    return host.removesuffix(".")
