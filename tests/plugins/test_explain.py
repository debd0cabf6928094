"""What built-in plugins say of a request they would see, and that saying it moves nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import GatewayError
from gateway.exchange import Exchange
from gateway.plugin import Answers, Host, Plugin
from gateway.testing import Clock, exchange, host, load

ROOT = Path(__file__).parents[2]
ALL = sorted(file.stem for file in (ROOT / "plugins").glob("[a-z]*.py"))

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"


def known(consumer: str, *groups: str) -> Exchange:
    ex = exchange()
    ex.consumer, ex.groups = consumer, groups
    return ex


def told(plugin: Plugin[Any], ex: Exchange) -> str | None:
    async def waited() -> str | None:
        said = plugin.explain(ex)
        return said if isinstance(said, str) or said is None else await said

    return asyncio.run(waited())


SAYS: list[tuple[str, object, Callable[[], Exchange], str, bool]] = [
    # plugin, settings, request, what it says, whether it answers
    ("access_log", None, exchange, "writes a line of 18 fields when it has ended", False),
    ("authenticate", {"jwt": {"secret": "", "algorithms": "HS256"}, "optional": True}, exchange, "no credentials: passes as nobody", False),
    ("authorize", "admin", lambda: known("ada", "admin"), "ada may pass", False),
    ("body_limit", "1KiB", lambda: exchange("POST", body=b"x"), "takes a body of at most 1024 bytes", False),
    ("cache", None, lambda: exchange("POST"), "POST is not cached; makes the stored answers of its URL void", False),
    (
        "cache", {"ttl": "1m", "skip": {"header": "X-A"}},
        lambda: exchange(headers={"X-A": "b"}), "passes the cache by: it has what skip names", False,
    ),
    ("compress", None, lambda: exchange(headers={"Accept-Encoding": "br, gzip"}), "encodes a reply that is worth it with br", False),
    ("compress", None, exchange, "sends replies as they are", False),
    ("concurrency", 2, exchange, "0 of 2 under way here for test, 0 waiting", False),
    ("cors", "*", lambda: exchange(headers={"Origin": "https://a.test"}), "scripts of https://a.test may read the reply", False),
    ("cors", [], lambda: exchange(headers={"Origin": "https://a.test"}), "scripts of https://a.test may not read the reply", False),
    ("cors", "*", exchange, "no Origin: not a browser's request across origins", False),
    (
        "cors", [],
        lambda: exchange("OPTIONS", headers={"Origin": "https://a.test", "Access-Control-Request-Method": "PUT"}),
        "answers the preflight of https://a.test with 204, granting nothing", True,
    ),
    ("csrf", None, lambda: exchange("POST"), "passes", False),
    ("forward_auth", {"url": "http://auth.test/"}, exchange, "would ask http://auth.test/", False),
    ("headers", {"response": {"remove": ["Server"]}}, exchange, "on the reply: removes Server", False),
    ("headers", {}, exchange, "changes nothing", False),
    ("health", None, lambda: exchange("GET", "/health"), "answers 200", True),
    ("https_only", None, lambda: exchange(scheme="https"), "came by https: passes", False),
    ("https_only", None, exchange, "answers 308, to https://gateway.test/", True),
    ("idempotency", None, exchange, "GET needs no key", False),
    (
        "idempotency", {"by": "consumer"}, lambda: exchange("POST", headers={"Idempotency-Key": "a"}, body=b""),
        "the first with its key: its answer would be kept for 86400 s", False,
    ),
    ("load_shedding", None, exchange, "priority normal", False),
    ("load_shedding", {"priority": {"low": "test"}}, exchange, "priority low", False),
    ("enqueue", {"job": "email", "to": "a@example.com"}, exchange, "stores a job for email when the answer is 2xx", False),
    ("jobs_api", {"anonymous": True}, lambda: exchange("POST"), "would store a job of one of email", True),
    ("jobs_api", {"anonymous": True}, exchange, "would tell of a job", True),
    ("whatsapp_status", {"app_secret": "a", "verify_token": "b"}, exchange, "would answer Meta's challenge", True),
    ("ip_filter", {"deny": "198.51.100.0/24"}, exchange, "192.0.2.1 is let through", False),
    ("metrics", None, lambda: exchange("BREW"), "counts as _OTHER /**", False),
    ("metrics", None, lambda: exchange(route=""), "counts as GET of no route", False),
    ("problem_details", None, exchange, "an upstream's 5xx passes when it is JSON, else it is replaced", False),
    ("problem_details", "replace", exchange, "an upstream's 5xx is replaced", False),
    ("purge", {"tags": "leads"}, lambda: exchange("POST"), "purges tag:leads when the answer is 2xx", False),
    ("rate_limit", {"limit": 2, "window": "1m"}, exchange, '"default";q=2;w=60 for 192.0.2.1: 2 left', False),
    ("request_id", None, exchange, "makes a new id", False),
    ("request_id", None, lambda: exchange(headers={"X-Request-Id": "a b"}), "makes a new id, for the client's is not taken", False),
    ("request_id", None, lambda: exchange(headers={"X-Request-Id": "mine"}), "keeps the client's id, mine", False),
    ("respond", {"redirect": "/new{path}"}, lambda: exchange("GET", "/a"), "answers 308, to /new/a", True),
    ("respond", 204, exchange, "answers 204", True),
    ("rewrite", {"add_prefix": "/v2"}, lambda: exchange("GET", "/a"), "asks the upstream for /v2/a", False),
    ("rewrite", {"host": "b.test"}, exchange, "leaves the target as it is, with the Host b.test", False),
    ("sanitize", None, exchange, "finds nothing to refuse or change", False),
    ("sanitize", "strip", lambda: exchange("GET", "/?a=%3Cb%3E"), "changes /a holds HTML", False),
    (
        "security_headers", "api", exchange,
        "sets 9 headers on the reply, takes 87 names off it, sets Cache-Control where there is none", False,
    ),
    ("signature", {"sign": {"key": {"id": "gw", "secret": "x" * 16}}}, exchange, "signs what goes upstream as gw", False),
    ("tracing", None, exchange, "begins a trace; 1 of them are sampled", False),
    (
        "tracing", None, lambda: exchange(headers={"traceparent": TRACEPARENT}),
        "continues the trace 0af7651916cd43dd8448eb211c80319c; 1 of them are sampled, whatever their callers say", False,
    ),
    ("validate", {"query": {"required": ["a"]}}, lambda: exchange("GET", "/?a=1"), "finds nothing wrong", False),
    (
        "tracing", "everyone", lambda: exchange(headers={"traceparent": TRACEPARENT}),
        "continues the trace 0af7651916cd43dd8448eb211c80319c, which its caller has not sampled", False,
    ),
]  # fmt: skip


def host_of(name: str, lines: list[bytes] | None = None) -> Host:
    """That of the plugin `name`, in a policy in which it works."""
    if name == "jobs_api":
        return host(lines=lines, senders=["email"], route="jobs", paths={"jobs": "/jobs/{job}"})
    return host(lines=lines, senders=["email"])


@pytest.mark.parametrize(("name", "settings", "request_", "says", "answers"), SAYS)
def test_what_is_said(name: str, settings: object, request_: Callable[[], Exchange], says: str, answers: bool) -> None:
    lines: list[bytes] = []
    plugin = load(name, settings, host=host_of(name, lines))
    first, again = told(plugin, request_()), told(plugin, request_())
    assert first == again == says
    assert isinstance(first, Answers) == answers
    assert lines == []


def test_all_of_them_say_something() -> None:
    assert {name for name, *_ in SAYS} == set(ALL)


def test_a_limit_that_is_used_up_ends_it() -> None:
    plugin = load("rate_limit", {"limit": 1, "window": "1m"}, host=host(clock=Clock()))
    plugin.on_request(exchange())
    said = plugin.explain(exchange())
    assert isinstance(said, Answers) and said.startswith('"default";q=1;w=60 for 192.0.2.1: refuses')


REFUSES: list[tuple[str, object, Exchange, int]] = [
    ("authenticate", {"jwt": {"secret": "", "algorithms": "HS256"}}, exchange(), 401),
    ("ip_filter", {"deny": "192.0.2.0/24"}, exchange(), 403),
    ("authorize", "admin", exchange(), 401),
    ("authorize", "admin", known("bob"), 403),
    ("csrf", None, exchange("POST", headers={"Sec-Fetch-Site": "cross-site"}), 403),
    ("https_only", "refuse", exchange(), 403),
    ("idempotency", {"required": True}, exchange("POST"), 400),
    ("signature", {"verify": {"keys": {"id": "a", "secret": "x" * 16}}}, exchange(), 401),
    ("body_limit", "1B", exchange("POST", body=b"xx"), 413),
    ("cors", "*", exchange(headers=[("Origin", "https://a.test"), ("Origin", "https://b.test")]), 400),
    ("health", None, exchange("GET", "/health/x"), 404),
    ("sanitize", None, exchange("GET", "/?a=%3Cscript%3E"), 422),
    ("validate", {"query": {"required": ["a"]}}, exchange(), 422),
    ("health", None, exchange("POST", "/health"), 405),
    ("jobs_api", None, exchange("POST"), 401),
]


@pytest.mark.parametrize(("name", "settings", "ex", "status"), REFUSES)
def test_a_refusal_is_raised_as_on_the_way(name: str, settings: object, ex: Exchange, status: int) -> None:
    plugin: Plugin[Any] = load(name, settings, host=host_of(name))
    with pytest.raises(GatewayError) as caught:
        told(plugin, ex)
    assert caught.value.status == status


def test_what_a_body_limit_would_do() -> None:
    plugin = load("body_limit", "1B", host=host(mode="observe"))
    assert plugin.explain(exchange("POST", body=b"xx")) == "would refuse this body, at most 1 bytes"
    assert plugin.explain(exchange("POST", body=b"x")) == "would take this body, at most 1 bytes"
