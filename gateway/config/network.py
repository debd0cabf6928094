"""A network of addresses as an operator writes it: 10.0.0.0/8, 2001:db8::/32, or one address."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Any

from pydantic import BeforeValidator
from pydantic.json_schema import WithJsonSchema

from gateway.config.settings import kind


def network(value: Any) -> IPv4Network | IPv6Network:
    """Raises ValueError with what to write instead."""
    if not isinstance(value, str):
        raise ValueError(f"{kind(value)} is no network; write an address or a CIDR, as in 10.0.0.0/8")
    try:
        return ip_network(value)
    except ValueError as error:
        if "host bits" in str(error):
            raise ValueError(f"{kind(value)} is an address inside a network; write {ip_network(value, strict=False)}") from None
        raise ValueError(f"{kind(value)} is no network; write an address or a CIDR, as in 10.0.0.0/8") from None


Network = Annotated[IPv4Network | IPv6Network, BeforeValidator(network), WithJsonSchema({"type": "string"})]
