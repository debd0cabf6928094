"""Addresses to listen on, as they are written: host:port."""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv6Address, ip_address
from typing import Annotated, Any

from pydantic import BeforeValidator
from pydantic.json_schema import WithJsonSchema

from gateway.authority import is_name_or_ipv4
from gateway.config.settings import kind

_ADDRESS = re.compile(r"(?:(?P<name>[A-Za-z0-9_.-]+)|\[(?P<six>[0-9A-Fa-f:.]+)\]):(?P<port>[0-9]{1,5})", re.ASCII)
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9.-]*", re.ASCII)

SHAPE = r"^([A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}$"
"""Of an address, for editors."""


def address(value: Any) -> tuple[str, int]:
    """Host and port of `127.0.0.1:8080`, `localhost:8080` or `[::1]:8080`. Raises ValueError."""
    match = _ADDRESS.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{kind(value)} is no address; write host:port, as in {_example(value)}")
    if int(match["port"]) > 65535:
        raise ValueError(f"{kind(value)} is no address; a port is at most 65535")
    if match["name"] is not None and not is_name_or_ipv4(match["name"]):
        raise ValueError(f"{kind(value)} is no address; a host of numbers is an IPv4 address, as in 0.0.0.0:{match['port']}")
    if match["six"] is not None:
        try:
            IPv6Address(match["six"])
        except AddressValueError:
            raise ValueError(f"{kind(value)} is no address; what stands in brackets must be an IPv6 address") from None
    return match["name"] or match["six"], int(match["port"])


def _example(value: Any) -> str:
    """What was most likely meant: the port, or the host and port of a URL, that stand there."""
    text = value if isinstance(value, str) else str(value) if isinstance(value, int) and not isinstance(value, bool) else ""
    if (port := re.fullmatch(r":?([0-9]{1,5})", text, re.ASCII)) is not None:
        return f"127.0.0.1:{port[1]}, or 0.0.0.0:{port[1]} for all who reach this machine"
    if (url := re.fullmatch(r"[a-z]+://([^/@]+)/?", text)) is not None and _ADDRESS.fullmatch(url[1]):
        return url[1]
    if text.startswith("*:") and text[2:].isdecimal():
        return f"0.0.0.0:{text[2:]} for all who reach this machine"
    return f"{text}:8080" if _NAME.fullmatch(text) else "127.0.0.1:8080 or [::1]:8080"


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens there; of names that is known of `localhost` alone."""
    try:
        found = ip_address(host)
    except ValueError:
        return host.lower() == "localhost"
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return (mapped or found).is_loopback  # Python 3.13 looks into a mapped one, those before it do not


def _is_address(value: Any) -> Any:
    address(value)
    return value


Address = Annotated[str, BeforeValidator(_is_address), WithJsonSchema({"type": "string", "pattern": SHAPE})]
