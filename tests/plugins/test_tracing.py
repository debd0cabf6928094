"""Which requests are sampled, and what their spans say."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from gateway.errors import ClientGone, QuotaExceeded, UpstreamTimeout
from gateway.exchange import Attempt, End, Exchange, Headers, Reply
from gateway.plugin import Plugin
from gateway.span import Span
from gateway.testing import Clock, FakeUpstream, exchange, host, load, pipeline, run

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{CALLER}-0"
NOW = 1_700_000_000_000_000_000  # nanoseconds since 1970


def tracing(spans: list[Span] | None = None, settings: object = None, **given: Any) -> Plugin[Any]:
    plugin = load("tracing", settings, host=host(spans=spans, **given))
    plugin.now = lambda: NOW  # type: ignore[attr-defined]
    return plugin


def sampled(ex: Exchange) -> bool:
    return bool(int(ex.trace_flags) & 1)


def begun(sample: float, ex: Exchange | None = None, settings: object = None) -> Exchange:
    ex = ex or exchange()
    tracing(settings=settings, sample=sample).on_request(ex)
    return ex


# Sampling


@pytest.mark.parametrize(("sample", "share"), [(0.0, 0.0), (1.0, 1.0), (0.1, 0.1), (0.5, 0.5)])
@pytest.mark.parametrize("strangers", [False, True])
def test_the_share_of_traces(sample: float, share: float, strangers: bool) -> None:
    plugin = tracing(sample=sample)
    count = 4000
    found = 0
    for n in range(count):
        ex = exchange(headers={"traceparent": f"00-{n + 1:032x}-{CALLER}-00"} if strangers else {})
        plugin.on_request(ex)
        found += sampled(ex)
    assert found / count == pytest.approx(share, abs=0.05 if 0 < share < 1 else 0)


def test_the_same_trace_is_decided_alike() -> None:
    plugin, other = tracing(sample=0.5), tracing(sample=0.5)
    for n in range(200):
        decisions = set()
        for tracer in (plugin, other, plugin):
            ex = exchange(headers={"traceparent": f"00-{n + 1:032x}-{CALLER}-00"})
            tracer.on_request(ex)
            decisions.add(sampled(ex))
        assert len(decisions) == 1


def test_no_choice_of_trace_id_forces_sampling() -> None:
    """The ids that a ratio on their bits would always take, and the flag."""
    plugin = tracing(sample=0.1)
    found = 0
    for n in range(1000):
        ex = exchange(headers={"traceparent": f"00-{n + 1:018x}{'f' * 14}-{CALLER}-01"})
        plugin.on_request(ex)
        found += sampled(ex)
    assert found < 200


@pytest.mark.parametrize(
    ("trust", "is_proxied", "flag", "is_sampled"),
    [("proxies", True, "1", True), ("proxies", False, "1", False), ("everyone", False, "1", True), ("nobody", True, "1", False)],
)
def test_whose_flag_counts(trust: str, is_proxied: bool, flag: str, is_sampled: bool) -> None:
    ex = exchange(headers={"traceparent": TRACEPARENT + flag})
    ex.is_proxied = is_proxied
    assert sampled(begun(0.0, ex, trust)) == is_sampled
    assert ex.trace_id == TRACE


def test_what_begins_here_is_random_and_says_so() -> None:
    ids = {begun(0.0).trace_id for _ in range(100)}
    assert len(ids) == 100
    assert begun(0.0).trace_flags == "02" and begun(1.0).trace_flags == "03"


def test_nothing_is_kept_of_what_is_not_sampled_or_nobody_wants() -> None:
    spans: list[Span] = []
    for plugin in (tracing(spans, sample=0.0), tracing(None, sample=1.0)):
        assert run(pipeline(plugin, upstream=FakeUpstream()), exchange()).status == 200
    assert spans == []


@pytest.mark.parametrize("settings", [{"trust": "all"}, {"sample": 1}, "yes"])
def test_mistakes_are_refused(settings: object) -> None:
    with pytest.raises(ValidationError):
        load("tracing", settings)


# Spans


def traced(ex: Exchange, upstream: FakeUpstream | None = None, *others: Plugin[Any], **given: Any) -> list[Span]:
    spans: list[Span] = []
    run(pipeline(tracing(spans, **given), *others, upstream=upstream or FakeUpstream()), ex)
    return spans


def test_a_request_and_its_try() -> None:
    upstream = FakeUpstream()
    ex = exchange(
        "GET",
        "/api/v1/leads/7?page=2",
        {"User-Agent": "curl/8", "traceparent": f"{TRACEPARENT}1", "tracestate": "a=1"},
        host="api.test:8443",
        scheme="https",
        params={"id": "7"},
        route="read-lead",
    )
    ex.template, ex.is_proxied = "/api/v1/leads/{id}", True
    server, client = traced(ex, upstream)
    assert (server.name, server.kind, server.trace_id, server.parent_id) == ("GET /api/v1/leads/{id}", "server", TRACE, CALLER)
    assert server.is_remote and not server.failed and server.state == client.state == "a=1" and server.flags == client.flags == 1
    assert server.attributes == {
        "http.request.method": "GET",
        "http.route": "/api/v1/leads/{id}",
        "http.response.status_code": 200,
        "http.response.body.size": 11,
        "url.scheme": "https",
        "url.path": "/api/v1/leads/7",
        "url.query": "page=2",
        "server.address": "api.test",
        "server.port": 8443,
        "client.address": "192.0.2.1",
        "user_agent.original": "curl/8",
        "network.protocol.name": "http",
        "network.protocol.version": "1.1",
        "gateway.route": "read-lead",
        "gateway.request_id": ex.request_id,
    }
    assert (client.name, client.kind, client.trace_id, client.parent_id) == ("GET", "client", TRACE, server.span_id)
    assert client.attributes == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "url.full": "http://upstream.test/api/v1/leads/7?page=2",
        "server.address": "upstream.test",
        "server.port": 80,
        "network.protocol.name": "http",
        "network.protocol.version": "1.1",
    }
    assert upstream.attempts[0].headers.getall("traceparent") == [f"00-{TRACE}-{client.span_id}-01"]


def ended(ex: Exchange, end: End, tries: list[tuple[float, Attempt]], clock: Clock, **given: Any) -> list[Span]:
    """The spans of an exchange whose tries began at those times; the clock stands at its end."""
    spans: list[Span] = []
    plugin = tracing(spans, clock=clock, **given)
    plugin.on_request(ex)
    over = clock.now
    for begun_at, attempt in tries:
        clock.now = begun_at
        plugin.on_attempt(ex, attempt)
    clock.now = over
    end.attempts = tuple(attempt for _, attempt in tries)
    plugin.on_end(ex, end)
    return spans


def attempt(number: int, status: int | None = 200, duration: float = 0.0, error: Any = None) -> Attempt:
    made = Attempt(number, f"https://10.0.0.{number}", Headers())
    made.status, made.duration, made.error = status, duration, error
    return made


def test_times_are_those_that_were() -> None:
    tries = [(10.5, attempt(1, None, 0.25, UpstreamTimeout(reason="no answer"))), (11.0, attempt(2, 200, 0.5))]
    server, first, second = ended(exchange(started=10.0), End(200), tries, Clock(12.0))
    begin = NOW - 2_000_000_000
    assert (server.start, server.end) == (begin, NOW)
    assert (first.start, first.end) == (begin + 500_000_000, begin + 750_000_000)
    assert (second.start, second.end) == (begin + 1_000_000_000, begin + 1_500_000_000)
    assert first.span_id != second.span_id and first.parent_id == second.parent_id == server.span_id
    assert first.failed and first.attributes["error.type"] == UpstreamTimeout.slug and "http.request.resend_count" not in first.attributes
    assert not second.failed and second.attributes["http.request.resend_count"] == 1
    assert (second.attributes["server.address"], second.attributes["server.port"]) == ("10.0.0.2", 443)
    assert not server.failed


@pytest.mark.parametrize(
    ("end", "failed", "error", "exception"),
    [
        (End(200), False, None, None),
        (End(404), False, None, None),
        (End(429, error=QuotaExceeded(reason="spent")), False, None, None),
        (End(500), True, "500", None),
        (End(504, error=UpstreamTimeout(reason="no answer")), True, UpstreamTimeout.slug, "no answer"),
        (End(500, error=KeyError("bug")), True, "KeyError", "'bug'"),
        (End(200, error=UpstreamTimeout(reason="cut"), truncated=True), True, UpstreamTimeout.slug, "cut"),
        (End(None), False, "client-gone", None),
        (End(200, truncated=True), False, "client-gone", None),
        (End(None, error=ClientGone()), False, "client-gone", None),
    ],
)
def test_what_counts_as_failed(end: End, failed: bool, error: str | None, exception: str | None) -> None:
    (server,) = ended(exchange(), end, [], Clock())
    assert (server.failed, server.attributes.get("error.type")) == (failed, error)
    told = [event.attributes["exception.message"] for event in server.events if event.name == "exception"]
    assert told == ([] if exception is None else [exception])


@pytest.mark.parametrize(("status", "failed"), [(200, False), (304, False), (404, True), (503, True)])
def test_for_a_client_4xx_is_a_failure_too(status: int, failed: bool) -> None:
    _, client = ended(exchange(), End(status), [(0.0, attempt(1, status, 0.1))], Clock(1.0))
    assert client.failed == failed and client.attributes.get("error.type") == (str(status) if failed else None)


def test_a_try_given_up_ends_with_the_request() -> None:
    server, client = ended(exchange(), End(None, error=ClientGone()), [(0.5, attempt(1, None))], Clock(1.0))
    assert client.end == server.end == NOW
    assert client.attributes["error.type"] == "client-gone"


def test_notes_are_events_at_their_place() -> None:
    ex = exchange()
    spans: list[Span] = []
    clock = Clock(0.0)
    plugin = tracing(spans, clock=clock, pii=["email"])
    plugin.on_request(ex)
    ex.note("rate_limit", policies=["login"], left=3, email="a@b.test")
    clock.now, tried = 1.0, attempt(1, 200, 0.5)
    plugin.on_attempt(ex, tried)
    ex.note("cache", outcome="miss")
    clock.now = 3.0
    plugin.on_end(ex, End(200, attempts=(tried,)))
    assert [(event.name, (event.time - NOW) / 1e9, event.attributes) for event in spans[0].events] == [
        ("rate_limit", -2.0, {"policies": "['login']", "left": 3, "email": "[redacted]"}),
        ("cache", -1.5, {"outcome": "miss"}),
    ]


def test_notes_without_end_are_not_all_kept() -> None:
    ex = exchange()
    for n in range(1000):
        ex.note("n", n="x" * 5000)
    (server,) = ended(ex, End(200), [], Clock())
    assert len(server.events) == 32 and all(len(str(event.attributes["n"])) < 1100 for event in server.events)


def test_nobody_reads_what_is_masked() -> None:
    ex = exchange("GET", "/users/a%40b.test?phone=12345&q=1&access_token=s3cret", params={"email": "a@b.test"})
    ex.template = "/users/{email}"
    spans = traced(ex, pii=["Email", "phone"])
    text = repr(spans)
    assert "12345" not in text and "a@b" not in text and "a%40b" not in text and "s3cret" not in text
    assert spans[0].attributes["url.path"] == "/users/REDACTED"
    assert spans[0].attributes["url.query"] == "phone=REDACTED&q=1&access_token=REDACTED"
    assert spans[1].attributes["url.full"] == "http://upstream.test/users/REDACTED?phone=REDACTED&q=1&access_token=REDACTED"


def test_a_reply_of_the_gateways_own_has_no_client_span() -> None:
    (server,) = traced(exchange(), None, load("respond", 204))
    assert server.attributes["http.response.status_code"] == 204


def test_a_method_nobody_knows() -> None:
    server, client = traced(exchange("PURGE"))
    assert server.name == client.name == "_OTHER" and server.attributes["http.request.method_original"] == "PURGE"


def test_an_upstream_that_fails() -> None:
    server, client = traced(exchange(), FakeUpstream(Reply(503)))
    assert server.failed and server.attributes["error.type"] == "503"
    assert client.parent_id == server.span_id


@pytest.mark.parametrize(
    ("authority", "address", "port"),
    [("a.test", "a.test", None), ("a.test:80", "a.test", 80), ("[::1]:8080", "::1", 8080), ("[::1]", "::1", None), ("", None, None)],
)
def test_whom_the_client_asked(authority: str, address: str | None, port: int | None) -> None:
    (server,) = ended(exchange(host=authority), End(200), [], Clock())
    assert (server.attributes.get("server.address"), server.attributes.get("server.port")) == (address, port)


def test_nothing_is_left_behind() -> None:
    plugin = tracing([], sample=1.0)
    for reply in (Reply(200), UpstreamTimeout(), RuntimeError("bug")):
        run(pipeline(plugin, upstream=FakeUpstream(reply)), exchange())
    assert plugin._recordings == {}  # type: ignore[attr-defined]


def test_what_is_asked_once_more_is_of_the_same_trace() -> None:
    """`host.fetch` asks what lies below a plugin, and the one that traces lies above."""
    ex = begun(0.5)
    twin = ex.detached({}, 0.0)
    sent = twin.headers["traceparent"]
    assert (twin.trace_id, sent[:36], sent[52:]) == (ex.trace_id, f"00-{ex.trace_id}-", f"-{ex.trace_flags}")
