"""What browsers are told, on which replies, and that it is told once."""

from __future__ import annotations

import re
from typing import Any

import pytest
from pydantic import ValidationError

from gateway.app import App
from gateway.config.policy import loads
from gateway.errors import BadRequest, QuotaExceeded, UpstreamTimeout
from gateway.exchange import Headers, Reply
from gateway.testing import FakeUpstream, exchange, load, pipeline, run

# https://github.com/helmetjs/helmet/blob/v8.3.0/README.md, "Reference"
HELMET = {
    "Content-Security-Policy": "default-src 'self';base-uri 'self';font-src 'self' https: data:;form-action 'self';frame-ancestors 'self';"
    "img-src 'self' data:;object-src 'none';script-src 'self';script-src-attr 'none';style-src 'self' https: 'unsafe-inline';"
    "upgrade-insecure-requests",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Origin-Agent-Cluster": "?1",
    "Referrer-Policy": "no-referrer",
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
    "X-Content-Type-Options": "nosniff",
    "X-DNS-Prefetch-Control": "off",
    "X-Download-Options": "noopen",
    "X-Frame-Options": "SAMEORIGIN",
    "X-Permitted-Cross-Domain-Policies": "none",
    "X-XSS-Protection": "0",
}
HSTS, CSP, REPORT_ONLY = "Strict-Transport-Security", "Content-Security-Policy", "Content-Security-Policy-Report-Only"


def headers(settings: object = None, sent: list[tuple[str, str]] | None = None, *, status: int = 200, scheme: str = "http") -> Headers:
    upstream = FakeUpstream(Reply(status, Headers(sent or [])))
    return run(pipeline(load("security_headers", settings), upstream=upstream), exchange(scheme=scheme)).headers


def test_the_default_is_helmets_value_for_value() -> None:
    assert list(headers().items()) == list(HELMET.items())


@pytest.mark.parametrize(
    ("preset", "expected", "absent"),
    [
        (
            "api",
            {
                CSP: "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
                HSTS: "max-age=63072000; includeSubDomains",
                "X-Frame-Options": "DENY",
                "Cross-Origin-Embedder-Policy": "require-corp",
                "Cache-Control": "no-store",
            },
            ["X-XSS-Protection", "Origin-Agent-Cluster", "Permissions-Policy"],
        ),
        (  # OWASP Secure Headers Project; Clear-Site-Data on every reply would end every session
            "owasp",
            {HSTS: "max-age=63072000; includeSubDomains", "X-Frame-Options": "deny", "Cache-Control": "no-store, max-age=0"},
            ["X-XSS-Protection", "X-Download-Options", "Clear-Site-Data"],
        ),
    ],
)
def test_presets(preset: str, expected: dict[str, str], absent: list[str]) -> None:
    found = headers(preset)
    assert headers({"preset": preset}) == found
    assert {name: found.getall(name) for name in expected} == {name: [value] for name, value in expected.items()}
    assert not [name for name in absent if name in found]


def setting(name: str) -> str:
    return name.lower().replace("-", "_")


@pytest.mark.parametrize("name", HELMET)
def test_each_can_be_left_out_and_replaced(name: str) -> None:
    assert {name.lower() for name in headers({setting(name): False})} == {other.lower() for other in HELMET} - {name.lower()}
    mine = {HSTS: "max-age=1", CSP: "default-src 'none'"}.get(name, "mine")
    assert headers({setting(name): mine}).getall(name) == [mine]


@pytest.mark.parametrize("name", ["Permissions-Policy", "Cross-Origin-Embedder-Policy", "Cache-Control"])
def test_one_that_the_preset_lacks_can_be_set(name: str) -> None:
    assert headers({setting(name): "mine"}).getall(name) == ["mine"]


@pytest.mark.parametrize("name", HELMET)
@pytest.mark.parametrize("copies", [1, 2])
def test_one_copy_and_it_is_ours(name: str, copies: int) -> None:
    """Two CSPs are both enforced, two HSTS are one too many (RFC 6797, section 6.1): whoever sends two means neither."""
    assert headers(sent=[(name.lower(), "theirs")] * copies).getall(name) == [HELMET[name]]


@pytest.mark.parametrize(
    ("sent", "expected"),
    [([], HELMET[CSP]), ([(CSP, "theirs")], "theirs"), ([("content-security-policy", "theirs"), (CSP, "also theirs")], HELMET[CSP])],
)
def test_the_upstreams_copy_can_be_kept(sent: list[tuple[str, str]], expected: str) -> None:
    assert headers({"keep": [CSP]}, sent).getall(CSP) == [expected]


@pytest.mark.parametrize("name", [HSTS, "Referrer-Policy"])
def test_one_left_out_leaves_the_upstreams_alone(name: str) -> None:
    assert headers({setting(name): False}, [(name, "theirs")]).getall(name) == ["theirs"]


PAGES = {
    "default-src": "self",
    "img-src": ["self", "data:", "https://cdn.example.com"],
    "object-src": "none",
    "upgrade-insecure-requests": True,
}
WRITTEN = "default-src 'self'; img-src 'self' data: https://cdn.example.com; object-src 'none'; upgrade-insecure-requests"


def test_a_policy_for_content_by_its_directives() -> None:
    assert headers({"content_security_policy": PAGES}).getall(CSP) == [WRITTEN]
    assert headers({"content_security_policy": WRITTEN}).getall(CSP) == [WRITTEN]


def test_a_policy_for_content_that_is_tried_out() -> None:
    found = headers({"content_security_policy_report_only": PAGES}, [(REPORT_ONLY, "theirs"), (CSP, "theirs")])
    assert (found.getall(CSP), found.getall(REPORT_ONLY)) == ([HELMET[CSP]], [WRITTEN])
    alone = headers({"content_security_policy": False, "content_security_policy_report_only": WRITTEN}, [(CSP, "theirs")])
    assert (alone.getall(CSP), alone.getall(REPORT_ONLY)) == (["theirs"], [WRITTEN])
    assert REPORT_ONLY not in headers()
    assert headers({"content_security_policy_report_only": False}, [(REPORT_ONLY, "theirs")])[REPORT_ONLY] == "theirs"


def test_a_route_has_a_policy_of_its_own() -> None:
    app = App(loads(ROUTES, env={}), lambda line: None)
    for path, expected in (("/docs", WRITTEN), ("/api", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")):
        ex = exchange("GET", path)
        assert run(app.find(ex), ex).headers.getall(CSP) == [expected]


ROUTES = f"""
version: 1
plugins: [security_headers: api]
routes:
  - {{match: /api, plugins: [respond: 204]}}
  - match: /docs
    plugins:
      - security_headers: {{preset: api, content_security_policy: "{WRITTEN}"}}
      - respond: 204
"""

OWASP_REMOVE = 87  # names of https://owasp.org/www-project-secure-headers/ci/headers_remove.json of 2026-07-19


@pytest.mark.parametrize("settings", ["api", "owasp", {"remove": "disclosing"}])
def test_all_that_discloses(settings: object) -> None:
    plugin = load("security_headers", settings)
    names = vars(plugin)["_https"][0]
    assert len(names) == len({name.lower() for name in names}) == OWASP_REMOVE
    assert list(headers(settings, [(name, "x") for name in names] + [("X-Mine", "x")])) == [*headers(settings, [("X-Mine", "x")])]


def observatory(found: Headers) -> int:
    """The score of Mozilla's Observatory for these headers, of a site that is served by https alone, has no cookies and no scripts.

    By its table of tests and modifiers (https://developer.mozilla.org/en-US/observatory/docs/tests_and_scoring): bonuses count from 90 on.
    """
    policy = {name: words for name, *words in (part.split() for part in found.get(CSP, "").split(";") if part.strip())}
    scripts, objects = (policy.get(name, policy.get("default-src", ["*"])) for name in ("script-src", "object-src"))
    broad = {"'unsafe-inline'", "data:", "https:", "http:", "*"}
    max_age = re.match(r"max-age=(\d+)", found.get(HSTS, "max-age=0"))
    is_framed = found.get("X-Frame-Options", "").upper() not in ("DENY", "SAMEORIGIN") and "frame-ancestors" not in policy
    penalties = (
        -25 if not policy else -20 if broad & {*scripts, *objects} else -10 if "'unsafe-eval'" in scripts else 0,
        -20 if HSTS not in found else -10 if max_age is None or int(max_age[1]) < 15768000 else 0,
        -5 if found.get("X-Content-Type-Options") != "nosniff" else 0,
        -20 if is_framed else 0,
        -5 if found.get("Referrer-Policy") in ("origin", "origin-when-cross-origin", "unsafe-url") else 0,
    )
    is_unsafe_style = bool(broad & {*policy.get("style-src", policy.get("default-src", []))})
    bonuses = (
        0 if not policy or is_unsafe_style else 10 if policy.get("default-src") == ["'none'"] else 5,
        5 if found.get("Referrer-Policy") in ("no-referrer", "same-origin", "strict-origin", "strict-origin-when-cross-origin") else 0,
        5 if "frame-ancestors" in policy else 0,
        10 if found.get("Cross-Origin-Resource-Policy") in ("same-origin", "same-site") else 0,
    )
    score = 100 + sum(penalties)
    return score + sum(bonuses) if score >= 90 else score


@pytest.mark.parametrize(
    ("settings", "score"),
    [("helmet", 120), ("owasp", 125), ("api", 130), ({"content_security_policy": False}, 75), ({"strict_transport_security": False}, 80)],
)
def test_what_mozillas_observatory_says(settings: object, score: int) -> None:
    """From 100 on it is an A+, which is what each preset is to get; without a policy for content a B."""
    assert observatory(headers(settings, scheme="https")) == score
    assert observatory(Headers()) == 30


def test_extra_headers() -> None:
    found = headers({"extra": {"Clear-Site-Data": '"cookies"'}}, [("clear-site-data", "theirs")])
    assert found.getall("Clear-Site-Data") == ['"cookies"']


@pytest.mark.parametrize(
    ("settings", "scheme", "sent", "expected"),
    [
        (None, "http", [], [HELMET[HSTS]]),  # as helmet does
        (None, "https", [], [HELMET[HSTS]]),
        ({"hsts": "https"}, "https", [], [HELMET[HSTS]]),
        ({"hsts": "https"}, "http", [], []),  # RFC 6797, section 7.2
        ({"hsts": "https"}, "http", [(HSTS, "theirs")], []),
        ({"hsts": "https", "keep": [HSTS]}, "http", [(HSTS, "theirs")], []),
        ({"hsts": "https", "keep": [HSTS]}, "https", [(HSTS, "theirs")], ["theirs"]),
        ({"hsts": "https", "keep": [HSTS]}, "https", [], [HELMET[HSTS]]),
        ({"hsts": "https", "strict_transport_security": False}, "http", [(HSTS, "theirs")], ["theirs"]),
    ],
)
def test_strict_transport_security(settings: object, scheme: str, sent: list[tuple[str, str]], expected: list[str]) -> None:
    assert headers(settings, sent, scheme=scheme).getall(HSTS, []) == expected


@pytest.mark.parametrize(("sent", "expected"), [([], "no-store"), ([("Cache-Control", "max-age=60")], "max-age=60")])
def test_cache_control_is_for_those_who_said_nothing(sent: list[tuple[str, str]], expected: str) -> None:
    assert headers("api", sent).getall("Cache-Control") == [expected]


@pytest.mark.parametrize(
    ("settings", "name", "is_removed"),
    [
        (None, "Server", True),
        (None, "x-powered-by", True),
        (None, "X-AspNet-Version", False),
        ("api", "Server", True),
        ("api", "X-AspNet-Version", True),
        ("owasp", "x-kong-upstream-latency", True),
        ("owasp", "X-Request-Id", False),
        ({"remove": []}, "Server", False),
        ({"remove": "disclosing"}, "Server", True),
        ({"remove": "disclosing"}, "x-varnish-backend", True),
        ({"remove": ["disclosing", "X-Backend"]}, "X-Backend", True),
        ({"remove": ["disclosing", "X-Backend"]}, "$wsep", True),
        ({"remove": "X-Backend"}, "X-Backend", True),
        ({"remove": "X-Backend"}, "Server", False),
        ({"remove": ["X-Backend"]}, "X-Backend", True),
    ],
)
def test_what_discloses_is_removed(settings: object, name: str, is_removed: bool) -> None:
    assert (name not in headers(settings, [(name, "one"), (name, "two")])) is is_removed


@pytest.mark.parametrize("status", [200, 204, 206, 301, 304, 308, 404, 429, 500, 503])
def test_on_whatever_the_upstream_answers(status: int) -> None:
    assert HELMET.items() <= dict(headers(status=status)).items()


@pytest.mark.parametrize("error", [UpstreamTimeout(), QuotaExceeded(), BadRequest()])
def test_on_the_gateways_own_errors(error: Exception) -> None:
    reply = run(pipeline(load("security_headers"), upstream=FakeUpstream(error)), exchange())
    assert HELMET.items() <= dict(reply.headers).items()


def test_on_what_a_plugin_below_answers() -> None:
    reply = run(pipeline(load("security_headers"), load("respond", {"redirect": "/elsewhere"})), exchange())
    assert reply.status == 308
    assert HELMET.items() <= dict(reply.headers).items()


def test_a_route_replaces_the_common_entry() -> None:
    assert type(load("security_headers")).once


@pytest.mark.parametrize(
    "settings",
    [
        "hemlet",
        {"x_frame_option": "DENY"},
        {"x_frame_options": True},
        {"x_frame_options": "DENY\r\nX: y"},
        {"hsts": "never"},
        {"keep": ["Permissions-Policy"]},  # not set by the preset: there is nothing to keep it from
        {"keep": [CSP], "content_security_policy": False},
        {"remove": [CSP]},
        {"remove": ["X-Mine"], "extra": {"x-mine": "1"}},
        {"remove": "disclosing", "extra": {"X-Generator": "1"}},
        {"extra": {"Content-Security-Policy-Report-Only": "default-src 'self'"}},
        {"content_security_policy": "default-src self"},
        {"content_security_policy": {"default-source": "self"}},
        {"content_security_policy": True},
        {"content_security_policy_report_only": {"script-src": "'nonce-abc'"}},
        {"extra": {"x-frame-options": "DENY"}},
        {"extra": {"Content-Length": "1"}},
        {"extra": {"X Y": "1"}},
    ],
)
def test_refused_at_load(settings: Any) -> None:
    with pytest.raises(ValidationError):
        load("security_headers", settings)


@pytest.mark.parametrize("value", ["365d", "31536000", "includeSubDomains", "max-age=", "maxage=1"])
def test_a_transport_policy_without_a_time_is_none(value: str) -> None:
    """RFC 6797, section 6.1.1: max-age is required, and a browser ignores the header without it."""
    with pytest.raises(ValidationError, match="write max-age=31536000, in seconds"):
        load("security_headers", {"strict_transport_security": value})


@pytest.mark.parametrize("value", ["max-age=0", 'includeSubDomains; Max-Age = "31536000"', "max-age=1; preload"])
def test_a_transport_policy_of_one_s_own(value: str) -> None:
    load("security_headers", {"strict_transport_security": value})
