"""Who may read replies: the algorithm of Fetch, section 3.3 (https://fetch.spec.whatwg.org/#http-cors-protocol), and its known mistakes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.errors import QuotaExceeded, UpstreamTimeout
from gateway.exchange import Headers, Reply
from gateway.testing import FakeUpstream, exchange, load, pipeline, run

APP = "https://app.example.com"
LOOK_ALIKES = {
    "null": "null",
    "another scheme": "http://app.example.com",
    "a port": "https://app.example.com:8443",
    "a suffix": "https://app.example.com.evil.test",
    "a prefix": "https://evilapp.example.com",
    "a sub-domain": "https://a.app.example.com",
    "the parent": "https://example.com",
    "a dot that a regular expression took for any": "https://appxexample.com",
    "a trailing slash": "https://app.example.com/",
    "a path": "https://app.example.com/a",
    "user information": "https://app.example.com@evil.test",
    "a list": "https://app.example.com, https://evil.test",
    "a list with spaces": "https://app.example.com https://evil.test",
    "a backtick, which Safari lets into hosts": "https://app.example.com`.evil.test",
    "an underscore": "https://app.example.com_.evil.test",
    "the wildcard": "*",
    "nothing": "",
    "a file": "file://",
    "no ASCII": "https://app.ex\u0430mple.com",
    "upper case": "https://APP.example.com",
    "the scheme's port": "https://app.example.com:443",
}
UPSTREAMS_OWN = [
    ("Access-Control-Allow-Origin", "*"),
    ("access-control-allow-origin", "https://evil.test"),
    ("Access-Control-Allow-Credentials", "true"),
    ("Access-Control-Allow-Methods", "*"),
    ("Access-Control-Allow-Headers", "*"),
    ("Access-Control-Expose-Headers", "X-Secret"),
    ("Access-Control-Max-Age", "999999"),
    ("Access-Control-Allow-Private-Network", "true"),
]


def asked(settings: object, headers: Any = (), *, method: str = "GET", sent: Any = (), below: tuple[Any, ...] = ()) -> tuple[Reply, bool]:
    """The reply, and whether the upstream was asked."""
    upstream = FakeUpstream(Reply(200, Headers(sent)))
    reply = run(pipeline(load("cors", settings), *below, upstream=upstream), exchange(method, headers=headers))
    return reply, bool(upstream.requests)


def grants(reply: Reply) -> dict[str, list[str]]:
    names = {name.lower() for name in reply.headers if name.lower().startswith("access-control-")}
    return {name.removeprefix("access-control-"): reply.headers.getall(name) for name in sorted(names)}


def preflight(settings: object, origin: str, method: str = "PUT", **more: str) -> tuple[Reply, bool]:
    fields = {"Origin": origin, "Access-Control-Request-Method": method}
    return asked(settings, fields | {name.replace("_", "-"): value for name, value in more.items()}, method="OPTIONS")


@pytest.mark.parametrize("sent", [[], UPSTREAMS_OWN])
@pytest.mark.parametrize("credentials", [False, True])
def test_an_allowed_origin_is_reflected_once(sent: list[tuple[str, str]], credentials: bool) -> None:
    reply, forwarded = asked({"origins": [APP, "https://b.example.com"], "credentials": credentials}, {"Origin": APP}, sent=sent)
    expected = {"allow-origin": [APP], "expose-headers": ["X-Request-Id, Retry-After, RateLimit, RateLimit-Policy"]}
    assert grants(reply) == expected | ({"allow-credentials": ["true"]} if credentials else {})
    assert reply.headers.getall("Vary") == ["Origin"]
    assert forwarded


@pytest.mark.parametrize("origin", LOOK_ALIKES.values(), ids=LOOK_ALIKES.keys())
def test_look_alikes_are_granted_nothing(origin: str) -> None:
    settings = {"origins": [APP], "credentials": True}
    reply, forwarded = asked(settings, {"Origin": origin}, sent=UPSTREAMS_OWN)
    assert (grants(reply), reply.headers["Vary"], forwarded) == ({}, "Origin", True)
    reply, forwarded = preflight(settings, origin)
    assert (reply.status, grants(reply), reply.headers["Vary"], forwarded) == (204, {}, "Origin", False)


@given(st.text(st.characters(codec="ascii", exclude_characters="\r\n\0"), max_size=40))
def test_nothing_but_the_very_origin_is_granted(text: str) -> None:
    for origin in (text, APP + text, text + APP):
        reply, _ = asked({"origins": APP}, {"Origin": origin})
        assert grants(reply) == {} or origin == APP
        reply, _ = asked({"origins": "https://*.app.example.com"}, {"Origin": origin})
        assert grants(reply) == {}


SUB = "https://*.example.com"
BELOW = ["https://app.example.com", "https://a.b.c.example.com", "https://x-y_z.example.com", "https://0.example.com"]
NOT_BELOW = [
    "https://example.com",
    "https://.example.com",
    "https://..example.com",
    "https://a..example.com",
    "https://appexample.com",
    "https://app.example.com.evil.test",
    "https://app.exampleXcom",
    "https://evil.test/.example.com",
    "https://evil.test?.example.com",
    "https://evil.test#.example.com",
    "https://evil.test\\.example.com",
    "https://a@b.example.com",
    "https://a:1.example.com",
    "https://evil.test`.example.com",
    "https://app.example.com:8443",
    "https://app.example.com\n",
    "http://app.example.com",
    "HTTPS://app.example.com",
    "https://APP.example.com",
    "https://*.example.com",
    "null",
    "",
]


@pytest.mark.parametrize("origin", BELOW)
def test_all_subdomains_of_a_domain(origin: str) -> None:
    settings = {"origins": [SUB, "https://other.test"], "credentials": True}
    reply, forwarded = asked(settings, {"Origin": origin}, sent=UPSTREAMS_OWN)
    assert (grants(reply)["allow-origin"], reply.headers["Vary"], forwarded) == ([origin], "Origin", True)
    reply, forwarded = preflight(settings, origin)
    assert (reply.status, grants(reply)["allow-origin"], forwarded) == (204, [origin], False)


@pytest.mark.parametrize("origin", NOT_BELOW)
def test_what_only_looks_like_a_subdomain(origin: str) -> None:
    reply, _ = asked({"origins": SUB, "credentials": True}, {"Origin": origin}, sent=UPSTREAMS_OWN)
    assert (grants(reply), reply.headers["Vary"]) == ({}, "Origin")
    reply, forwarded = preflight(SUB, origin)
    assert (reply.status, grants(reply), forwarded) == (204, {}, False)


def test_no_origin_no_grant_but_vary() -> None:
    """A cache may give this reply to a request with an Origin: it must know that there are others."""
    reply, forwarded = asked({"origins": [APP]}, sent=UPSTREAMS_OWN)
    assert (grants(reply), reply.headers["Vary"], forwarded) == ({}, "Origin", True)


@pytest.mark.parametrize("headers", [(), {"Origin": APP}, {"Origin": "https://evil.test"}])
@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ([], "Origin"),
        (["Accept-Encoding"], "Accept-Encoding, Origin"),
        (["Accept-Encoding, Accept"], "Accept-Encoding, Accept, Origin"),
        (["Accept-Encoding", "Accept"], "Accept-Encoding, Accept, Origin"),
        (["origin"], "origin"),
        (["Accept,ORIGIN"], "Accept,ORIGIN"),
        (["X-Origin"], "X-Origin, Origin"),
        (["*"], "*"),  # RFC 9110, section 12.5.5: varies by anything
    ],
)
def test_vary_is_merged(headers: Any, sent: list[str], expected: str) -> None:
    reply, _ = asked(APP, headers, sent=[("Vary", value) for value in sent])
    assert reply.headers.getall("Vary") == [expected]


def test_any_origin() -> None:
    for headers in ((), {"Origin": APP}, {"Origin": "null"}):
        reply, _ = asked("*", headers, sent=[*UPSTREAMS_OWN, ("Vary", "Accept")])
        assert grants(reply)["allow-origin"] == ["*"]
        assert "allow-credentials" not in grants(reply)
        assert reply.headers.getall("Vary") == ["Accept"]  # the same for all
    reply, forwarded = preflight("*", APP)
    assert (grants(reply)["allow-origin"], "Vary" in reply.headers, forwarded) == (["*"], False, False)


def test_a_preflight_is_answered_here() -> None:
    settings = {"origins": [APP], "credentials": True, "methods": ["GET", "PUT"], "allowed_headers": ["X-A", "X-B"], "max_age": "1h"}
    reply, forwarded = preflight(settings, APP, "PUT", Access_Control_Request_Headers="x-a")
    assert not forwarded
    assert (reply.status, reply.entity and reply.entity.data) == (204, b"")
    assert grants(reply) == {
        "allow-origin": [APP],
        "allow-credentials": ["true"],
        "allow-methods": ["GET, PUT"],
        "allow-headers": ["X-A, X-B"],
        "max-age": ["3600"],
    }
    assert reply.headers.getall("Vary") == ["Origin"]


@pytest.mark.parametrize("method", ["PUT", "DELETE", "TRACE", "BREW", "put", "<script>", ""])
@pytest.mark.parametrize("requested", ["x-unlisted", "x-a, x-unlisted", "<script>", "a" * 4000, "\u00e4", "", "x-a,,", "cookie"])
def test_a_preflight_echoes_nothing(method: str, requested: str) -> None:
    settings = {"origins": [APP], "methods": ["GET"], "allowed_headers": ["X-A"]}
    reply, _ = preflight(settings, APP, method, Access_Control_Request_Headers=requested)
    assert (grants(reply)["allow-methods"], grants(reply)["allow-headers"]) == (["GET"], ["X-A"])


def test_a_private_network_is_not_granted() -> None:
    """Private Network Access, draft: a page on the internet that asks for a server behind the user's router."""
    reply, _ = preflight(APP, APP, Access_Control_Request_Private_Network="true")
    assert "allow-private-network" not in grants(reply)


@pytest.mark.parametrize(
    "headers", [{}, {"Origin": APP}, {"Access-Control-Request-Method": "PUT"}, {"Origin": APP, "Access-Control-Request-Headers": "x"}]
)
def test_a_plain_options_passes_on(headers: dict[str, str]) -> None:
    assert asked(APP, headers, method="OPTIONS")[1]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_only_options_is_a_preflight(method: str) -> None:
    assert asked(APP, {"Origin": APP, "Access-Control-Request-Method": "PUT"}, method=method)[1]


@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
def test_two_origins_are_refused(method: str) -> None:
    fields = [("Origin", APP), ("origin", "https://evil.test"), ("Access-Control-Request-Method", "PUT")]
    reply, forwarded = asked(APP, fields, method=method)
    assert (reply.status, grants(reply), forwarded) == (400, {}, False)


@pytest.mark.parametrize("error", [UpstreamTimeout(), QuotaExceeded(headers=[("Retry-After", "3")])])
def test_errors_can_be_read_across_origins(error: Exception) -> None:
    reply = run(pipeline(load("cors", APP), upstream=FakeUpstream(error)), exchange(headers={"Origin": APP}))
    assert reply.status >= 400
    assert reply.headers.getall("Access-Control-Allow-Origin") == [APP]


def test_an_origin_taken_off_below_still_counts() -> None:
    below = load("headers", {"request": {"remove": ["Origin"]}})
    reply, _ = asked(APP, {"Origin": APP}, below=(below,))
    assert grants(reply)["allow-origin"] == [APP]


def test_exchanges_do_not_mix_and_are_forgotten() -> None:
    plugin = load("cors", [APP, "https://b.example.com"])
    first, second, third = exchange(headers={"Origin": APP}), exchange(headers={"Origin": "https://b.example.com"}), exchange()
    chain = pipeline(plugin, upstream=FakeUpstream(lambda ex: Reply(200)))
    for ex in (first, second, third):
        plugin.on_request(ex)
    for ex, expected in ((second, "https://b.example.com"), (third, None), (first, APP)):
        reply = Reply(200)
        plugin.on_response(ex, reply)
        assert reply.headers.get("Access-Control-Allow-Origin") == expected
    for ex in (first, second, third):
        run(chain, ex)
    assert vars(plugin)["_granted"] == {}


def test_a_route_replaces_the_common_entry() -> None:
    assert type(load("cors", APP)).once


@pytest.mark.parametrize(
    "origin",
    [
        APP,
        "http://localhost:3000",
        "https://[2001:db8::1]:8443",
        "capacitor://localhost",
        "chrome-extension://abcdef",
        "https://xn--e1afmkfd.test",
    ],
)
def test_origins_that_can_be_allowed(origin: str) -> None:
    assert grants(asked(origin, {"Origin": origin})[0])["allow-origin"] == [origin]


def test_an_empty_list_allows_none_and_takes_off_what_the_upstream_grants() -> None:
    assert grants(asked([], {"Origin": APP}, sent=UPSTREAMS_OWN)[0]) == {}


@pytest.mark.parametrize(
    "settings",
    [
        {},
        *(LOOK_ALIKES[kind] for kind in ("null", "nothing", "a file", "a path", "user information", "a list", "no ASCII")),
        "https://app.example.com:443",
        "http://app.example.com:80",
        "https://APP.example.com",
        "https://*.com",
        "https://*.com.",
        "https://*",
        "https://*.",
        "https://a*.example.com",
        "https://*.*.example.com",
        "https://app.*.example.com",
        "https://*.example.com/",
        "https://*.example.com:443",
        "*.example.com",
        "https://\u043f\u0440\u0438\u043c\u0435\u0440.test",
        "app.example.com",
        "https://",
        [APP, "*"],
        {"origins": "*", "credentials": True},
        {"origins": APP, "credentials": True, "allowed_headers": ["*"]},
        {"origins": APP, "credentials": True, "exposed_headers": ["*"]},
        {"origins": APP, "credentials": True, "methods": ["*"]},
        {"origins": APP, "methods": ["get"]},
        {"origins": APP, "methods": ["GET", "*"]},
        {"origins": APP, "allowed_headers": ["X A"]},
        {"origins": APP, "max_age": "25h"},
        {"origins": APP, "max_age": 600},
        {"origins": APP, "credentials": "yes"},
        {"origin": APP},
    ],
)
def test_refused_at_load(settings: object) -> None:
    with pytest.raises(ValidationError):
        load("cors", settings)


@pytest.mark.parametrize(("max_age", "seconds"), [("24h", "86400"), ("0s", "0"), ("1500ms", "1")])
def test_max_age(max_age: str, seconds: str) -> None:
    assert grants(preflight({"origins": APP, "max_age": max_age}, APP)[0])["max-age"] == [seconds]
