"""Which of many networks an address is in, compared with asking each of them."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.networks import Networks, listed

Net = IPv4Network | IPv6Network


def v4(bits: int, prefix: int) -> Net:
    return ip_network((bits << 24, prefix), strict=False)


def v6(bits: int, prefix: int) -> Net:
    return ip_network(((bits << 96).to_bytes(16), prefix), strict=False)


# Few bits, so that networks nest, touch and are the same.
NETS = st.builds(v4, st.integers(0, 255), st.integers(0, 10)) | st.builds(v6, st.integers(0, 255), st.integers(16, 40))
ADDRESSES = st.integers(0, 2**32 - 1).map(lambda n: str(ip_address(n))) | st.integers(0, 255).map(
    lambda n: str(ip_address((n << 96).to_bytes(16)))
)


def one_by_one(entries: list[tuple[Net, int]], address: str) -> int:
    found, longest = -1, -1
    for net, value in entries:
        if ip_address(address) in net and net.prefixlen >= longest:
            found, longest = value, net.prefixlen
    return found


@given(st.lists(NETS, max_size=30), st.lists(ADDRESSES, max_size=20))
def test_the_smallest_network_decides(nets: list[Net], addresses: list[str]) -> None:
    entries = [(net, n) for n, net in enumerate(nets)]
    table = Networks(entries, -1)
    edges = [str(ip_address(edge)) for net in nets for edge in (net.network_address, net.broadcast_address)]
    for address in (*addresses, *edges):
        assert table.find(address) == one_by_one(entries, address)


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("10.0.0.1", "ten"),
        ("::ffff:10.0.0.1", "ten"),  # as a socket for both says it (RFC 4291, section 2.5.5.2)
        ("::ffff:a00:1", "ten"),
        ("::10.0.0.1", ""),
        ("2001:db8::1", "doc"),
        ("2001:DB8:0::1", "doc"),
        ("fe80::1%eth0", "link"),
        ("198.51.100.7", "mapped"),
        ("11.0.0.1", ""),
        ("", ""),
        ("unix:", ""),
        ("10.0.0", ""),
        ("010.0.0.1", ""),
        ("10.0.0.1:80", ""),
    ],
)
def test_forms_of_addresses(address: str, found: str) -> None:
    nets: dict[str, Any] = {"10.0.0.0/8": "ten", "2001:db8::/32": "doc", "fe80::/10": "link", "::ffff:198.51.100.0/120": "mapped"}
    assert Networks([(ip_network(net), value) for net, value in nets.items()], "").find(address) == found


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", []),
        (b"10.0.0.0/8\n\n  192.0.2.7 # an office\r\n# 8.8.8.8\n2001:db8::/32", ["10.0.0.0/8", "192.0.2.7/32", "2001:db8::/32"]),
        (b"\xef\xbb\xbf10.0.0.0/8\n", ["10.0.0.0/8"]),
    ],
)
def test_a_file(content: bytes, found: list[str]) -> None:
    assert [str(net) for net in listed(content, "list.txt")] == found


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"10.0.0.0/8\n10.0.0.1/8\n", r'list\.txt:2: "10\.0\.0\.1/8" is an address inside a network; write 10\.0\.0\.0/8$'),
        (b"nowhere\n\xff\n", r'list\.txt:1: "nowhere" is no network; .* \(and 1 more\)$'),
    ],
)
def test_a_file_that_is_not_right(content: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        listed(content, "list.txt")
