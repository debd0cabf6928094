"""Who the client is: the address that no untrusted peer can choose, and the fields that tell the upstream."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
from collections.abc import Sequence
from typing import NamedTuple

from multidict import istr

from gateway.authority import valid_host
from gateway.errors import BadRequest

log = logging.getLogger("gateway.server")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Pairs = tuple[tuple[istr, str], ...]

FOR, PROTO, HOST, REAL_IP, FORWARDED, VIA = map(
    istr, ("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Real-IP", "Forwarded", "Via")
)


class Claims(NamedTuple):
    """What a peer says of the client it speaks for: the values of its X-Forwarded-* fields, in order."""

    chain: Sequence[str] = ()
    proto: str = ""
    host: str = ""


class Client(NamedTuple):
    """The client as the policy sees it, and the fields that say so upstream."""

    address: str
    scheme: str
    fields: Pairs
    is_proxied: bool = False  # a peer that is believed speaks for it


class Forwarding:
    """`trusted`: networks whose peers are believed (`server.trusted_proxies`)."""

    def __init__(self, trusted: Sequence[str]) -> None:
        self._trusted = tuple(ipaddress.ip_network(network) for network in trusted)
        self.has_warned = False

    def trusts(self, peer: str) -> bool:
        address = _parse(peer)
        return address is not None and self._is_trusted(address)

    def warn(self, peer: str) -> None:
        """Once: an untrusted peer sends X-Forwarded-For, which is an attack or a forgotten setting."""
        if not self.has_warned:
            self.has_warned = True
            log.warning("%s sent X-Forwarded-* and is not among server.trusted_proxies: they are ignored (said once)", peer)

    def client(self, peer: str, scheme: str, host: str, claims: Claims | None) -> Client:
        """`claims` is None unless the peer is trusted. The client is the rightmost address of the chain that is not trusted."""
        address, chain = peer, [peer]
        if claims is not None:
            address, chain = self._rightmost_untrusted(peer, claims.chain)
            proto = claims.proto.rpartition(",")[2].strip().lower()
            if proto in ("http", "https"):
                scheme = proto
            with contextlib.suppress(BadRequest):
                host = valid_host(claims.host.rpartition(",")[2].strip())
        node = f'"[{address}]"' if ":" in address else address
        forwarded = f"for={node};proto={scheme}" + (f';host="{host}"' if host else "")
        fields = [(FOR, ", ".join(chain)), (PROTO, scheme), (REAL_IP, address), (FORWARDED, forwarded), (VIA, "1.1 gateway")]
        if host:
            fields.insert(2, (HOST, host))
        return Client(address, scheme, tuple(fields), claims is not None)

    def _rightmost_untrusted(self, peer: str, lines: Sequence[str]) -> tuple[str, list[str]]:
        """Walk from the right over trusted proxies; what cannot be parsed ends the walk at the last good address."""
        chain = [peer]
        for entry in reversed(",".join(lines).split(",")):
            address = _parse(_without_port(entry.strip()))
            if address is None:
                break
            chain.insert(0, str(address))
            if not self._is_trusted(address):
                break
        return chain[0], chain

    def _is_trusted(self, address: Address) -> bool:
        return any(address in network for network in self._trusted)


def _without_port(entry: str) -> str:
    """`[2001:db8::1]:443`, `192.0.2.1:443` -> the address."""
    if entry.startswith("["):
        return entry[1:].partition("]")[0]
    return entry.partition(":")[0] if entry.count(":") == 1 else entry


def _parse(text: str) -> Address | None:
    """The address, an IPv4-mapped one as IPv4, without a zone; None when it is none."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def plain_address(peer: str) -> str:
    """A peer's address as logs and limits should name it: IPv4-mapped as IPv4, without a zone."""
    address = _parse(peer)
    return peer if address is None else str(address)
