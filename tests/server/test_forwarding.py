"""Who the client is: the rightmost address that no trusted proxy has, and what is said of it upstream."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.server.forwarding import Claims, Client, Forwarding, plain_address


def said(client: Client) -> dict[str, str]:
    """The fields that tell of it, by their names."""
    return {str(name): value for name, value in client.fields}


TRUSTED = ["10.0.0.0/8", "192.0.2.1", "2001:db8:1::/48"]

# peer, the lines of X-Forwarded-For, the client, the chain told upstream
CHAINS = [
    ("10.0.0.1", [], "10.0.0.1", "10.0.0.1"),
    ("10.0.0.1", ["203.0.113.7"], "203.0.113.7", "203.0.113.7, 10.0.0.1"),
    ("10.0.0.1", ["1.1.1.1, 203.0.113.7"], "203.0.113.7", "203.0.113.7, 10.0.0.1"),  # what the client wrote itself is not believed
    ("10.0.0.1", ["203.0.113.7, 10.9.9.9"], "203.0.113.7", "203.0.113.7, 10.9.9.9, 10.0.0.1"),
    ("10.0.0.1", ["203.0.113.7", "192.0.2.1", "10.1.1.1"], "203.0.113.7", "203.0.113.7, 192.0.2.1, 10.1.1.1, 10.0.0.1"),
    ("10.0.0.1", ["10.3.3.3, 10.2.2.2"], "10.3.3.3", "10.3.3.3, 10.2.2.2, 10.0.0.1"),  # all trusted: the first of them
    ("10.0.0.1", ["203.0.113.7, nonsense, 10.2.2.2"], "10.2.2.2", "10.2.2.2, 10.0.0.1"),  # ends the walk at the last good one
    ("10.0.0.1", ["203.0.113.7, unknown"], "10.0.0.1", "10.0.0.1"),
    ("10.0.0.1", ["203.0.113.7,"], "10.0.0.1", "10.0.0.1"),
    ("10.0.0.1", [""], "10.0.0.1", "10.0.0.1"),
    ("10.0.0.1", ["203.0.113.7:51234"], "203.0.113.7", "203.0.113.7, 10.0.0.1"),  # with a port, as Azure writes it
    ("10.0.0.1", ["[2001:db8:2::1]:443"], "2001:db8:2::1", "2001:db8:2::1, 10.0.0.1"),
    ("10.0.0.1", ["[2001:db8:2::1]"], "2001:db8:2::1", "2001:db8:2::1, 10.0.0.1"),
    ("10.0.0.1", ["2001:db8:2::1"], "2001:db8:2::1", "2001:db8:2::1, 10.0.0.1"),
    ("10.0.0.1", ["2001:DB8:2:0:0:0:0:1, 2001:db8:1::9"], "2001:db8:2::1", "2001:db8:2::1, 2001:db8:1::9, 10.0.0.1"),
    ("10.0.0.1", ["::ffff:203.0.113.7"], "203.0.113.7", "203.0.113.7, 10.0.0.1"),
    ("10.0.0.1", ["203.0.113.7, ::ffff:10.2.2.2"], "203.0.113.7", "203.0.113.7, 10.2.2.2, 10.0.0.1"),
    ("10.0.0.1", ["fe80::1%eth0"], "fe80::1", "fe80::1, 10.0.0.1"),
    ("10.0.0.1", ["203.0.113.7\t"], "203.0.113.7", "203.0.113.7, 10.0.0.1"),
    ("10.0.0.1", ["0x7f.1"], "10.0.0.1", "10.0.0.1"),
    ("10.0.0.1", ["127.1"], "10.0.0.1", "10.0.0.1"),
    ("10.0.0.1", ["203.0.113.07"], "10.0.0.1", "10.0.0.1"),  # octal to some, decimal to others
    ("10.0.0.1", ['"203.0.113.7"'], "10.0.0.1", "10.0.0.1"),
    ("2001:db8:1::5", ["203.0.113.7"], "203.0.113.7", "203.0.113.7, 2001:db8:1::5"),
]


@pytest.mark.parametrize(("peer", "lines", "client", "chain"), CHAINS)
def test_the_client_is_the_rightmost_address_that_is_not_trusted(peer: str, lines: list[str], client: str, chain: str) -> None:
    forwarding = Forwarding(TRUSTED)
    assert forwarding.trusts(peer)
    found = forwarding.client(peer, "http", "api.test", Claims(lines))
    fields = said(found)
    assert found.address == client
    assert fields["X-Forwarded-For"] == chain
    assert fields["X-Real-IP"] == client


@pytest.mark.parametrize(
    ("peer", "is_trusted"),
    [
        ("10.255.255.255", True),
        ("11.0.0.0", False),
        ("192.0.2.1", True),
        ("192.0.2.2", False),
        ("::ffff:10.0.0.1", True),
        ("2001:db8:1::", True),
        ("2001:db8:2::", False),
        ("", False),
        ("localhost", False),
    ],
)
def test_who_is_trusted(peer: str, is_trusted: bool) -> None:
    assert Forwarding(TRUSTED).trusts(peer) is is_trusted


@pytest.mark.parametrize(
    ("claims", "scheme", "host"),
    [
        (Claims(), "http", "api.test"),
        (Claims(proto="https"), "https", "api.test"),
        (Claims(proto="HTTPS"), "https", "api.test"),
        (Claims(proto="http, https"), "https", "api.test"),  # the nearest proxy's word
        (Claims(proto="https, http"), "http", "api.test"),
        (Claims(proto="ftp"), "http", "api.test"),
        (Claims(proto=""), "http", "api.test"),
        (Claims(host="www.test"), "http", "www.test"),
        (Claims(host="evil.test, www.test"), "http", "www.test"),
        (Claims(host="WWW.Test:8443"), "http", "www.test:8443"),
        (Claims(host='a"b'), "http", "api.test"),  # no host: it would end the quoted string of Forwarded
        (Claims(host="a b"), "http", "api.test"),
        (None, "http", "api.test"),
    ],
)
def test_scheme_and_host_are_what_the_nearest_trusted_proxy_says(claims: Claims | None, scheme: str, host: str) -> None:
    found = Forwarding(TRUSTED).client("10.0.0.1", "http", "api.test", claims)
    fields = said(found)
    assert found.scheme == fields["X-Forwarded-Proto"] == scheme
    assert fields["X-Forwarded-Host"] == host


@pytest.mark.parametrize(
    ("peer", "host", "forwarded"),
    [  # RFC 7239, sections 4 and 6
        ("203.0.113.7", "api.test", 'for=203.0.113.7;proto=https;host="api.test"'),
        ("2001:db8::1", "api.test:8443", 'for="[2001:db8::1]";proto=https;host="api.test:8443"'),
        ("203.0.113.7", "", "for=203.0.113.7;proto=https"),
    ],
)
def test_the_standard_field(peer: str, host: str, forwarded: str) -> None:
    fields = said(Forwarding([]).client(peer, "https", host, None))
    assert fields["Forwarded"] == forwarded
    assert fields["X-Forwarded-For"] == peer
    assert ("X-Forwarded-Host" in fields) is bool(host)
    assert fields["Via"] == "1.1 gateway"


def test_an_ignored_claim_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    forwarding = Forwarding([])
    with caplog.at_level(logging.WARNING):
        forwarding.warn("203.0.113.7")
        forwarding.warn("203.0.113.8")
    assert [record.getMessage().partition(" ")[0] for record in caplog.records] == ["203.0.113.7"]


@pytest.mark.parametrize(
    ("peer", "plain"),
    [("203.0.113.7", "203.0.113.7"), ("::ffff:203.0.113.7", "203.0.113.7"), ("fe80::1%eth0", "fe80::1"), ("", ""), ("/run/a", "/run/a")],
)
def test_an_address_has_one_spelling(peer: str, plain: str) -> None:
    assert plain_address(peer) == plain


@given(st.lists(st.one_of(st.ip_addresses().map(str), st.text(max_size=8)), max_size=5))
def test_no_chain_makes_a_client_that_a_stranger_chose(chain: list[str]) -> None:
    """Behind one trusted proxy, only what that proxy appended counts: whatever stands left of it changes nothing."""
    forwarding = Forwarding(["10.0.0.1"])
    sent = ", ".join([*chain, "203.0.113.7"])
    assert forwarding.client("10.0.0.1", "http", "", Claims([sent])).address == "203.0.113.7"
