"""Who is answered at a port: by its token, and never a page in somebody's browser."""

from __future__ import annotations

import hmac

import pytest

from gateway.errors import GatewayError
from gateway.exchange import Headers
from gateway.ports.guard import Guard

TOKEN = "kPq8wN3vXzkPq8wN3vXz"


def status(guard: Guard, *fields: tuple[str, str]) -> int:
    try:
        guard.check(Headers(fields))
    except GatewayError as error:
        return error.status
    return 200


@pytest.mark.parametrize(
    ("listens", "host", "expected"),
    [
        ("127.0.0.1", "127.0.0.1:9192", 200),
        ("127.0.0.1", "localhost:9192", 200),
        ("127.0.0.1", "LOCALHOST", 200),
        ("127.0.0.1", "localhost.", 200),
        ("127.0.0.1", "[::1]:9192", 200),
        ("127.0.0.1", "127.9.9.9:1", 200),  # a tunnel may have another port at its other end
        ("::1", "[::1]:9192", 200),
        ("localhost", "localhost:9192", 200),
        ("127.0.0.1", "evil.test:9192", 403),  # DNS rebinding
        ("127.0.0.1", "localhost.evil.test", 403),
        ("127.0.0.1", "127.0.0.1.nip.io", 403),
        ("127.0.0.1", "10.0.0.7:9192", 403),
        ("127.0.0.1", "0.0.0.0:9192", 403),  # browsers on Linux reach 127.0.0.1 by it
        ("127.0.0.1", "[::ffff:127.0.0.1]", 200),
        ("127.0.0.1", "[::ffff:10.0.0.7]", 403),
        ("127.0.0.1", "localhost@evil.test", 400),
        ("127.0.0.1", "", 400),
        ("0.0.0.0", "gateway.internal:9191", 200),  # by whatever name Prometheus has for it
    ],
)
def test_hosts(listens: str, host: str, expected: int) -> None:
    assert status(Guard(listens), ("Host", host)) == expected


@pytest.mark.parametrize("hosts", [(), ("localhost", "localhost"), ("localhost", "evil.test")])
def test_a_request_has_one_host(hosts: tuple[str, ...]) -> None:
    assert status(Guard("127.0.0.1"), *(("Host", host) for host in hosts)) == 400


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("Sec-Fetch-Site", "none", 200),  # typed into the address bar
        ("Sec-Fetch-Site", "same-origin", 200),
        ("Sec-Fetch-Site", "same-site", 403),  # another port of localhost
        ("Sec-Fetch-Site", "cross-site", 403),
        ("Origin", "http://localhost:9192", 200),
        ("Origin", "http://localhost:3000", 403),
        ("Origin", "https://localhost:9192", 403),
        ("Origin", "https://evil.test", 403),
        ("Origin", "null", 403),
        ("Origin", "", 403),
    ],
)
@pytest.mark.parametrize("listens", ["127.0.0.1", "0.0.0.0"])
def test_pages_of_other_origins(listens: str, name: str, value: str, expected: int) -> None:
    assert status(Guard(listens), ("Host", "localhost:9192"), (name, value)) == expected


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ([f"Bearer {TOKEN}"], 200),
        ([f"bearer {TOKEN}"], 200),
        ([f"Bearer   {TOKEN}"], 200),
        ([], 401),
        ([""], 401),
        (["Bearer"], 401),
        (["Bearer "], 401),
        ([f"Bearer {TOKEN}x"], 401),
        ([f"Bearer {TOKEN[:-1]}"], 401),
        ([f"Bearer {TOKEN.lower()}"], 401),
        ([f"Basic {TOKEN}"], 401),
        ([TOKEN], 401),
        (["Bearer \udcff\u00e9"], 401),
        ([f"Bearer {TOKEN}", f"Bearer {TOKEN}"], 401),
    ],
)
@pytest.mark.parametrize("listens", ["127.0.0.1", "0.0.0.0"])
def test_tokens(listens: str, sent: list[str], expected: int) -> None:
    guard = Guard(listens, lambda: TOKEN)
    assert status(guard, ("Host", "localhost"), *(("Authorization", value) for value in sent)) == expected


def test_a_token_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever was sent: nothing is compared in another way first."""
    compared: list[bytes] = []

    def digest(sent: bytes, right: bytes) -> bool:
        compared.append(sent)
        return sent == right

    monkeypatch.setattr(hmac, "compare_digest", digest)
    guard = Guard("127.0.0.1", lambda: TOKEN)
    for sent in (f"Bearer {TOKEN}", "Bearer x", "Basic x"):
        status(guard, ("Host", "localhost"), ("Authorization", sent))
    assert compared == [TOKEN.encode(), b"x", b"x"]


def test_without_a_token_only_a_loopback_port_is_open() -> None:
    assert status(Guard("127.0.0.1", lambda: None), ("Host", "localhost")) == 200
    assert status(Guard("0.0.0.0", lambda: None), ("Host", "localhost")) == 401


def test_a_page_is_told_nothing_of_the_token() -> None:
    assert status(Guard("127.0.0.1", lambda: TOKEN), ("Host", "evil.test")) == 403
