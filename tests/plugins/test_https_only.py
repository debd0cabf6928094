"""Nothing is served in clear, and nobody is sent elsewhere but to the same address."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from gateway.exchange import Exchange, Reply
from gateway.testing import FakeUpstream, exchange, load, pipeline, run
from tests.support import RawClient, RawUpstream
from tests.support import gateway as serving


def asked(settings: object, ex: Exchange) -> tuple[Reply, bool]:
    """The reply, and whether the upstream was asked."""
    upstream = FakeUpstream()
    return run(pipeline(load("https_only", settings), upstream=upstream), ex), bool(upstream.requests)


@pytest.mark.parametrize("settings", [None, "refuse", {"port": 8443}])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_https_passes(settings: object, method: str) -> None:
    reply, forwarded = asked(settings, exchange(method, scheme="https"))
    assert (reply.status, forwarded) == (200, True)


@pytest.mark.parametrize(
    ("settings", "host", "target", "status", "location"),
    [
        (None, "a.test", "/", 308, "https://a.test/"),
        (None, "a.test", "/leads/7?q=%20a&b", 308, "https://a.test/leads/7?q=%20a&b"),
        (None, "a.test:80", "/", 308, "https://a.test/"),
        (None, "a.test:8080", "/", 308, "https://a.test/"),
        (None, "192.0.2.1:8080", "/", 308, "https://192.0.2.1/"),
        (None, "[2001:db8::1]", "/", 308, "https://[2001:db8::1]/"),
        (None, "[2001:db8::1]:80", "/", 308, "https://[2001:db8::1]/"),
        ({"status": 301}, "a.test", "/", 301, "https://a.test/"),
        ({"port": 8443}, "a.test:8080", "/a", 308, "https://a.test:8443/a"),
        ({"port": 8443}, "[::1]", "/a", 308, "https://[::1]:8443/a"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE"])
def test_redirected(settings: object, host: str, target: str, status: int, location: str, method: str) -> None:
    reply, forwarded = asked(settings, exchange(method, target, host=host))
    assert (reply.status, reply.headers["Location"], forwarded) == (status, location, False)


def test_refused() -> None:
    reply, forwarded = asked("refuse", exchange("POST"))
    assert (reply.status, forwarded) == (403, False)
    assert reply.entity is not None and b"https-required" in reply.entity.data and "Location" not in reply.headers


def test_a_websocket_cannot_be_redirected() -> None:
    ex = exchange()
    ex.upgrade = "websocket"
    assert asked(None, ex)[0].status == 403


def test_without_a_host_there_is_nowhere_to_go() -> None:
    assert asked(None, exchange(host=""))[0].status == 400


def test_observed() -> None:
    upstream, ex = FakeUpstream(), exchange()
    assert run(pipeline(load("https_only"), upstream=upstream, mode="observe"), ex).status == 200
    assert ex.notes == [("observe", {"plugin": "https_only", "status": 308})]


@pytest.mark.parametrize("settings", [{"status": 302}, {"action": "hope"}, {"port": 0}, {"port": "443"}, True, {"redirect": True}])
def test_refused_at_load(settings: Any) -> None:
    with pytest.raises(ValidationError):
        load("https_only", settings)


POLICY = """
version: 1
server: {{trusted_proxies: [{trusted}]}}
upstreams: {{service: {{targets: ["{url}"]}}}}
plugins: [security_headers: {{hsts: https}}, https_only]
routes: [{{name: all, match: "/**", upstream: service}}]
"""
SAYS = {
    "nothing": (b"", False),
    "https": (b"X-Forwarded-Proto: https\r\n", True),
    "in capitals": (b"X-Forwarded-Proto: HTTPS\r\n", True),
    "http": (b"X-Forwarded-Proto: http\r\n", False),
    "the nearest counts": (b"X-Forwarded-Proto: https, http\r\n", False),
    "nonsense": (b"X-Forwarded-Proto: gopher\r\n", False),
    "by another name": (b"Forwarded: proto=https\r\nX-Forwarded-Ssl: on\r\nFront-End-Https: on\r\n", False),
}


@pytest.mark.parametrize("trusted", ["127.0.0.0/8", "192.0.2.0/24"])
@pytest.mark.parametrize(("says", "is_https"), SAYS.values(), ids=SAYS.keys())
async def test_who_is_believed(trusted: str, says: bytes, is_https: bool) -> None:
    """X-Forwarded-Proto counts when a trusted proxy sends it, and never else."""
    passes = is_https and trusted.startswith("127")
    async with (
        RawUpstream() as upstream,
        serving(POLICY.format(url=upstream.url, trusted=trusted)) as running,
        RawClient(running.port) as client,
    ):
        client.send(b"GET /t HTTP/1.1\r\nHost: a.test\r\n" + says + b"\r\n")
        (reply,) = await client.read(1)
    assert (reply.status, len(upstream.received)) == ((200, 1) if passes else (308, 0))
    assert bool(reply.all(b"strict-transport-security")) is passes
