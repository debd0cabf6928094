"""Requests that another site has a browser make: Fetch Metadata, Origin, and the signed double submit.

The decisions are those of Go's http.CrossOriginProtection (https://pkg.go.dev/net/http#CrossOriginProtection) and of OWASP's cheat sheet
(https://cheatsheetseries.owasp.org/cheatsheets/Cross-Site_Request_Forgery_Prevention_Cheat_Sheet.html).
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from gateway.errors import GatewayError
from gateway.exchange import Exchange, Headers, Reply
from gateway.testing import FakeUpstream, Measured, exchange, host, load, pipeline, run

APP, OTHER = "https://app.example.com", "https://evil.test"
Fields = dict[str, str]


def asked(
    settings: object,
    fields: Any = (),
    *,
    method: str = "POST",
    **more: Any,
) -> tuple[Reply, bool]:
    """The reply, and whether the upstream was asked."""
    upstream = FakeUpstream()
    more = {"scheme": "https", "host": "api.example.com"} | more
    reply = run(pipeline(load("csrf", settings), upstream=upstream), exchange(method, "/", fields, **more))
    return reply, bool(upstream.requests)


COMES: list[tuple[object, Fields, bool]] = [
    # settings, what the browser says, whether it passes
    (None, {"Sec-Fetch-Site": "same-origin"}, True),
    (None, {"Sec-Fetch-Site": "none"}, True),
    (None, {"Sec-Fetch-Site": "same-site"}, False),
    (None, {"Sec-Fetch-Site": "cross-site"}, False),
    (None, {"Sec-Fetch-Site": ""}, False),
    (None, {"Sec-Fetch-Site": "Same-Origin"}, False),
    (None, {"Sec-Fetch-Site": "cross-site", "Origin": "https://api.example.com"}, False),  # both cannot be: whoever lies is not believed
    (None, {"Sec-Fetch-Site": "same-origin", "Origin": "https://api.example.com"}, True),
    (APP, {"Sec-Fetch-Site": "same-site", "Origin": APP}, True),
    (APP, {"Sec-Fetch-Site": "cross-site", "Origin": APP}, True),
    (APP, {"Sec-Fetch-Site": "cross-site", "Origin": OTHER}, False),
    (APP, {"Sec-Fetch-Site": "cross-site", "Origin": "null"}, False),
    (APP, {"Sec-Fetch-Site": "cross-site"}, False),
    (None, {"Origin": "https://api.example.com"}, True),  # a browser from before 2020
    (None, {"Origin": "http://api.example.com"}, False),  # a page that came in clear can be anybody's
    (None, {"Origin": "https://api.example.com:8443"}, False),
    (None, {"Origin": "https://api.example.com.evil.test"}, False),
    (None, {"Origin": "https://evil-api.example.com"}, False),
    (None, {"Origin": OTHER}, False),
    (None, {"Origin": "null"}, False),
    (None, {"Origin": ""}, False),
    (None, {"Origin": "api.example.com"}, False),
    (APP, {"Origin": APP}, True),
    (APP, {"Origin": APP + "/"}, False),
    (APP, {"Origin": APP.upper()}, False),
    (None, {}, True),  # no browser
    ({"unknown": "refuse"}, {}, False),
    ({"unknown": "refuse"}, {"Sec-Fetch-Site": "same-origin"}, True),
    ({"unknown": "refuse"}, {"Referer": "https://api.example.com/"}, False),
]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "PURGE"])
@pytest.mark.parametrize(("settings", "fields", "passes"), COMES)
def test_where_a_request_comes_from(settings: object, fields: Fields, passes: bool, method: str) -> None:
    settings = {"origins": settings} if isinstance(settings, str) else settings
    reply, forwarded = asked(settings, fields, method=method)
    assert (reply.status, forwarded) == ((200, True) if passes else (403, False))
    assert passes or (reply.entity is not None and b"cross-site-request" in reply.entity.data and b"evil" not in reply.entity.data)


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_what_changes_nothing_passes(method: str) -> None:
    assert asked(None, {"Sec-Fetch-Site": "cross-site", "Origin": OTHER}, method=method)[1]


@pytest.mark.parametrize(("origin", "status"), [(OTHER, 403), ("https://api.example.com", 200)])
def test_a_websocket_is_no_harmless_get(origin: str, status: int) -> None:
    """Cross-site WebSocket hijacking: the handshake bears cookies, and CORS does not hold it."""
    ex = exchange("GET", headers={"Origin": origin}, scheme="https", host="api.example.com")
    ex.upgrade = "websocket"
    assert run(pipeline(load("csrf"), upstream=FakeUpstream()), ex).status == status


@pytest.mark.parametrize(
    ("scheme", "host_", "origin", "passes"),
    [
        ("http", "localhost:3000", "http://localhost:3000", True),
        ("http", "localhost:3000", "http://localhost:3001", False),
        ("http", "a.test", "https://a.test", True),  # TLS ends in front, at a proxy that nobody trusts by name
        ("https", "a.test:443", "https://a.test", True),
        ("http", "a.test:80", "http://a.test", True),
        ("https", "a.test:80", "https://a.test", False),
        ("https", "[2001:db8::1]", "https://[2001:db8::1]", True),
        ("https", "", "https://", False),
    ],
)
def test_what_is_our_own_origin(scheme: str, host_: str, origin: str, passes: bool) -> None:
    assert asked(None, {"Origin": origin}, scheme=scheme, host=host_)[1] is passes


@pytest.mark.parametrize("name", ["Origin", "Sec-Fetch-Site"])
def test_two_of_one_are_refused(name: str) -> None:
    value = {"Origin": APP, "Sec-Fetch-Site": "same-origin"}[name]
    assert asked({"origins": APP}, [(name, value), (name.lower(), value)])[0].status == 403


@pytest.mark.parametrize(
    ("cookie", "passes"), [("", True), ("theme=dark", True), ("session=a", False), ("a=b; session=", False), ("sessions=a", True)]
)
def test_only_requests_with_a_session(cookie: str, passes: bool) -> None:
    fields = {"Sec-Fetch-Site": "cross-site"} | ({"Cookie": cookie} if cookie else {})
    assert asked({"sessions": ["session"]}, fields)[1] is passes


# the token

SECRET, OLD = "kPq8wN3vXzkPq8wN3vXz", "an-older-secret-of-20"
TOKEN: dict[str, Any] = {"token": {"secret": SECRET, "session": "session"}}
HERE = {"Sec-Fetch-Site": "same-origin"}


def given(settings: object = TOKEN, session: str = "s1", **more: Any) -> str:
    """The cookie that a page is given, as name=value."""
    reply, _ = asked(settings, {"Cookie": f"session={session}"}, method="GET", **more)
    cookie, *attributes = reply.headers["Set-Cookie"].split("; ")
    assert attributes == ["Path=/", "SameSite=Lax", "Secure"] and reply.headers["Cache-Control"] == "no-store"
    return cookie


def submitted(cookie: str, sent: str | None = None, *, session: str = "s1", settings: object = TOKEN) -> int:
    """The status of a request that bears this cookie, and sends this token or the cookie's."""
    fields = HERE | {"Cookie": f"session={session}; {cookie}", "X-CSRF-Token": cookie.partition("=")[2] if sent is None else sent}
    return asked(settings, fields)[0].status


def test_a_token_is_given_and_counts() -> None:
    cookie = given()
    assert cookie.startswith("__Host-csrf=") and len(cookie) > 60
    assert submitted(cookie) == 200
    assert given() != cookie  # each is a new one


def test_one_that_is_good_is_kept() -> None:
    reply, _ = asked(TOKEN, {"Cookie": f"session=s1; {given()}"}, method="GET")
    assert "Set-Cookie" not in reply.headers and "Cache-Control" not in reply.headers
    reply, _ = asked(TOKEN, {"Cookie": f"session=s2; {given()}"}, method="GET")  # after a login the session is another
    assert "Set-Cookie" in reply.headers
    assert "Set-Cookie" not in asked(TOKEN, {}, method="GET")[0].headers


def test_tokens_that_do_not_count() -> None:
    cookie = given()
    name, _, token = cookie.partition("=")
    random, _, signature = token.partition(".")
    assert submitted(cookie, "") == 403
    assert submitted(cookie, token[:-1]) == 403
    assert submitted(f"{name}={token[:-1]}") == 403
    assert submitted(f"{name}={random}.") == 403
    assert submitted(f"{name}=.{signature}") == 403
    assert submitted(f"{name}=") == 403
    assert submitted(f"{name}={'A' * 22}.{signature}") == 403  # another's random value
    assert submitted(cookie, session="s2") == 403  # a token of the attacker's own session, put into the victim's browser
    assert submitted(given(session="s2")) == 403
    assert submitted(f"{cookie}; {name}=other") == 403  # two of one name: which one counts?
    assert submitted(f"{cookie}; session=s2") == 403
    assert submitted("a=b", token) == 403
    other = {"token": {"secret": "0123456789abcdef0123", "session": "session"}}
    assert submitted(given(other)) == 403


def test_the_boundary_between_session_and_random_value_is_part_of_the_token() -> None:
    """`s1` and `2...` must not be signed like `s12` and `...`."""
    name, _, token = given(session="s12").partition("=")
    assert submitted(f"{name}=2!{token}", session="s1") == 403


def test_where_it_comes_from_is_looked_at_first() -> None:
    cookie = given()
    fields = {"Sec-Fetch-Site": "cross-site", "Cookie": f"session=s1; {cookie}", "X-CSRF-Token": cookie.partition("=")[2]}
    reply, _ = asked(TOKEN, fields)
    assert reply.status == 403 and reply.entity is not None and b"cross-site-request" in reply.entity.data


def test_a_secret_can_be_replaced() -> None:
    before, both = {"token": {"secret": OLD, "session": "session"}}, {"token": {"secret": [SECRET, OLD], "session": "session"}}
    assert submitted(given(before), settings=both) == 200
    assert submitted(given(both), settings=TOKEN) == 200


def test_names_of_ones_own() -> None:
    token = {"secret": SECRET, "session": "sid", "name": "csrf", "header": "X-XSRF"}
    reply, _ = asked({"token": token}, {"Cookie": "sid=1"}, method="GET", scheme="http")
    cookie = reply.headers["Set-Cookie"].partition(";")[0]
    assert cookie.startswith("csrf=") and "Secure" not in reply.headers["Set-Cookie"]
    fields = HERE | {"Cookie": f"sid=1; {cookie}", "X-XSRF": cookie.partition("=")[2]}
    assert asked({"token": token}, fields)[1]


def test_who_bears_no_session_needs_no_token_when_sessions_say_so() -> None:
    settings = {"sessions": "session", **TOKEN}
    assert asked(settings, HERE)[1]
    assert asked(settings, HERE | {"Cookie": "session=s1"})[0].status == 403
    assert asked(TOKEN, HERE)[0].status == 403


def test_a_plugin_below_may_take_the_cookie_off() -> None:
    below = load("headers", {"request": {"remove": ["Cookie"]}})
    ex = exchange("GET", headers={"Cookie": "session=s1"})
    reply = run(pipeline(load("csrf", TOKEN), below, upstream=FakeUpstream()), ex)
    assert "Set-Cookie" in reply.headers


def test_the_upstreams_own_cookies_stay() -> None:
    upstream = FakeUpstream(Reply(200, Headers([("Set-Cookie", "session=s1")])))
    reply = run(pipeline(load("csrf", TOKEN), upstream=upstream), exchange("GET", headers={"Cookie": "session=s1"}))
    assert len(reply.headers.getall("Set-Cookie")) == 2


def test_observed_and_counted() -> None:
    measured, upstream = Measured(), FakeUpstream()
    plugin = load("csrf", TOKEN, host=host(mode="observe", metrics=measured))
    notes = []
    for fields in ({"Origin": OTHER}, HERE, HERE | {"Cookie": "session=s1"}):
        ex = exchange("POST", headers=fields)
        reply = run(pipeline(plugin, upstream=upstream, mode="observe"), ex)
        notes.append(ex.notes)
        assert "Set-Cookie" not in reply.headers
    assert notes == [[("observe", {"plugin": "csrf", "status": 403})]] * 3 and len(upstream.requests) == 3
    assert (measured.value("csrf.refused", by="origin"), measured.value("csrf.refused", by="token")) == (1, 2)
    assert vars(plugin)["_due"] == {}


def test_explained() -> None:
    plugin = load("csrf", TOKEN)
    assert plugin.explain(exchange("GET")) == "passes"
    assert plugin.explain(exchange("GET", headers={"Cookie": "session=s1"})) == "passes, and is given a token"

    def refused(ex: Exchange) -> str:
        with pytest.raises(GatewayError) as caught:
            plugin.explain(ex)
        return caught.value.slug

    assert refused(exchange("POST", headers={"Origin": OTHER})) == "cross-site-request"
    assert refused(exchange("POST", headers=HERE)) == "csrf-token-invalid"


def test_nothing_of_a_token_is_told() -> None:
    reply, _ = asked(TOKEN, HERE | {"Cookie": "session=geheim", "X-CSRF-Token": "geheim"})
    assert reply.entity is not None and "geheim" not in json.dumps(json.loads(reply.entity.data))


@pytest.mark.parametrize(
    "settings",
    [
        {"origins": "*"},
        {"origins": "https://app.example.com/"},
        {"origins": "null"},
        {"sessions": "a b"},
        {"unknown": "hope"},
        {"token": {}},
        {"token": {"secret": SECRET}},
        {"token": {"secret": "short", "session": "s"}},
        {"token": {"secret": [], "session": "s"}},
        {"token": {"secret": SECRET, "session": "s", "name": "a;b"}},
        {"sessions": ["other"], **TOKEN},
    ],
)
def test_refused_at_load(settings: Any) -> None:
    with pytest.raises(ValidationError):
        load("csrf", settings)
