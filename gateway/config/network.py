"""A network of addresses as an operator writes it: 10.0.0.0/8, 2001:db8::/32, or one address."""

from __future__ import annotations

import re
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network, summarize_address_range
from typing import Annotated, Any

from pydantic import BeforeValidator
from pydantic.json_schema import WithJsonSchema

from gateway.config.settings import kind

_EXAMPLE = "write an address or a CIDR, as in 10.0.0.0/8"


def network(value: Any) -> IPv4Network | IPv6Network:
    """Raises ValueError with what to write instead."""
    if not isinstance(value, str):
        raise ValueError(f"{kind(value)} is no network; {_EXAMPLE}")
    try:
        return ip_network(value)
    except ValueError as error:
        if "host bits" in str(error):
            raise ValueError(f"{kind(value)} is an address inside a network; write {ip_network(value, strict=False)}") from None
        raise ValueError(f"{kind(value)} is no network; {_meant(value)}") from None


def _meant(text: str) -> str:
    """What to write for what other programs take for a network."""
    first, dash, last = (part.strip() for part in text.partition("-"))
    try:
        if dash:
            networks = list(summarize_address_range(ip_address(first), ip_address(last)))
            return f"write {', '.join(map(str, networks))}" if len(networks) <= 4 else _EXAMPLE
        if re.fullmatch(r"(\d{1,3}\.){1,3}\*", text):
            octets = text.split(".")[:-1]
            address = ".".join((*octets, *["0"] * (4 - len(octets))))
            return f"write {ip_network(f'{address}/{8 * len(octets)}')}"
        address, slash, prefix = text.partition("/")
        if slash and prefix.isdecimal():
            longest = ip_address(address).max_prefixlen
            return f"its length is at most {longest}, as in {address}/{longest}"
    except (ValueError, TypeError):
        return _EXAMPLE
    words = {"*": "0.0.0.0/0 and ::/0", "all": "0.0.0.0/0 and ::/0", "any": "0.0.0.0/0 and ::/0", "localhost": "127.0.0.1 and ::1"}
    return f"write {words[text.lower()]}" if text.lower() in words else _EXAMPLE


Network = Annotated[IPv4Network | IPv6Network, BeforeValidator(network), WithJsonSchema({"type": "string"})]
