"""Who is refused, when, and what clients are told of it: draft-ietf-httpapi-ratelimit-headers-10, RFC 9110 section 10.2.3, RFC 9457."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from gateway.exchange import Exchange, Headers, Reply
from gateway.plugin import Plugin
from gateway.store.memory import MemoryStore
from gateway.testing import Clock, FakeUpstream, exchange, host, load, pipeline, run

TWO = {"limit": 2, "window": "60s"}


class Bench:
    """A rate_limit before an upstream, on a clock that begins with an aligned window."""

    def __init__(self, settings: object, **about: Any) -> None:
        self.clock = Clock(0.0)
        self.plugin: Plugin[Any] = load("rate_limit", settings, host=host(clock=self.clock, **about))
        self.pipeline = pipeline(self.plugin, upstream=FakeUpstream(lambda ex: Reply(200, Headers(ex.headers))))

    def ask(self, client: str = "192.0.2.1", headers: dict[str, str] | None = None, route: str = "test") -> Reply:
        return run(self.pipeline, exchange("GET", headers=headers or {}, client=client, route=route))

    def statuses(self, *clients: str) -> list[int]:
        return [self.ask(client).status for client in clients]


def content(reply: Reply) -> dict[str, Any]:
    assert reply.entity is not None
    found: dict[str, Any] = orjson.loads(reply.entity.data)
    return found


def test_admitted_then_refused_then_admitted_again() -> None:
    bench = Bench(TWO)
    assert bench.statuses("192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.2") == [200, 200, 429, 200]
    bench.clock.now = 89.999
    assert bench.ask().status == 429
    bench.clock.now = 90.0  # half of the last window has left the view, and one of two requests with it
    assert bench.ask().status == 200


def test_a_refusal_in_full() -> None:
    bench = Bench({**TWO, "name": "leads"})
    bench.ask(), bench.ask()
    bench.clock.now = 0.5
    reply = bench.ask()
    assert reply.status == 429
    assert dict(reply.headers) == {
        "Content-Type": "application/problem+json",
        "Cache-Control": "no-store",
        "Retry-After": "90",
        "RateLimit-Policy": '"leads";q=2;w=60',
        "RateLimit": '"leads";r=0;t=90',
    }
    told = content(reply)
    assert told.pop("request_id")
    assert told == {
        "type": "https://iana.org/assignments/http-problem-types#quota-exceeded",
        "title": "Too many requests",
        "status": 429,
        "detail": "Try again in 90 seconds.",
        "violated-policies": ["leads"],
        "retry_after": 90,
    }


@pytest.mark.parametrize(
    ("settings", "wait", "told"),
    [
        ({"limit": 1, "window": "1s", "algorithm": "log"}, 0.0, "1"),
        ({"limit": 1, "window": "1s", "algorithm": "log"}, 0.999, "1"),  # a millisecond: never 0, which says come at once
        ({"limit": 1, "window": "1500ms", "algorithm": "log"}, 0.0, "2"),  # rounded up: rounded down, the client comes too early
        ({"limit": 1, "window": "1500ms", "algorithm": "log"}, 0.5, "1"),
        ({"limit": 1, "window": "1500ms", "algorithm": "log"}, 0.499, "2"),
        ({"limit": 3, "window": "15m"}, 0.0, "1200"),  # sliding: all fill the next window too, until a third of it has passed
    ],
)
def test_retry_after_is_whole_seconds_and_never_too_early(settings: dict[str, Any], wait: float, told: str) -> None:
    bench = Bench(settings)
    for _ in range(settings["limit"]):
        bench.ask()
    bench.clock.now = wait
    assert bench.ask().headers["Retry-After"] == told
    bench.clock.advance(int(told))
    assert bench.ask().status == 200


def test_headers_of_admitted_requests() -> None:
    bench = Bench({"limit": 3, "window": "15m"})
    seen = []
    for _ in range(3):
        reply = bench.ask()
        seen.append((reply.headers["RateLimit-Policy"], reply.headers["RateLimit"]))
        bench.clock.advance(0.25)
    policy = '"default";q=3;w=900'
    assert seen == [(policy, '"default";r=2;t=1800'), (policy, '"default";r=1;t=1350'), (policy, '"default";r=0;t=1200')]


@pytest.mark.parametrize(
    ("settings", "route", "policy"),
    [
        (TWO, "", '"default";q=2;w=60'),
        (TWO, "login", '"login";q=2;w=60'),
        (TWO, 'a "b" \\ ä', '"a \\"b\\" \\\\ _";q=2;w=60'),  # RFC 9651, section 3.3.3: ASCII, with " and \ escaped
        ({**TWO, "name": "per-minute"}, "login", '"per-minute";q=2;w=60'),
        ({"limit": 2, "window": "1500ms"}, "", '"default";q=2;w=2'),  # w is a whole number: a client that believes it is never refused
        ([TWO, {**TWO, "name": "b"}, TWO], "login", '"login-1";q=2;w=60, "b";q=2;w=60, "login-3";q=2;w=60'),
        ([TWO, {**TWO, "headers": False}], "login", '"login-1";q=2;w=60'),
    ],
)
def test_policies_by_name(settings: object, route: str, policy: str) -> None:
    assert Bench(settings, route=route).ask().headers["RateLimit-Policy"] == policy


def test_what_the_upstream_says_of_its_own_limits_stays() -> None:
    """An intermediary must not hide or loosen it (draft, section 5): lists of several lines are one list."""
    plugin = load("rate_limit", TWO, host=host(clock=Clock(0.0)))
    own = Headers([("RateLimit-Policy", '"own";q=9;w=1'), ("RateLimit", '"own";r=8;t=1')])
    reply = run(pipeline(plugin, upstream=FakeUpstream(Reply(200, own))), exchange())
    assert reply.headers.getall("RateLimit-Policy") == ['"own";q=9;w=1', '"default";q=2;w=60']
    assert reply.headers.getall("RateLimit") == ['"own";r=8;t=1', '"default";r=1;t=120']


def test_a_common_limit_and_one_of_the_route_both_tell() -> None:
    clock = Clock(0.0)
    common = load("rate_limit", {"limit": 9, "window": "60s"}, host=host(clock=clock))
    route = load("rate_limit", {"limit": 1, "window": "60s"}, host=host(clock=clock, route="login"))
    steps = pipeline(common, route, upstream=FakeUpstream())
    replies = [run(steps, exchange()) for _ in range(2)]
    assert [reply.status for reply in replies] == [200, 429]
    assert replies[0].headers.getall("RateLimit") == ['"login";r=0;t=120', '"default";r=8;t=120']
    assert replies[1].headers.getall("RateLimit") == ['"login";r=0;t=120', '"default";r=7;t=90']
    assert content(replies[1])["violated-policies"] == ["login"]


def test_headers_off() -> None:
    bench = Bench({**TWO, "headers": False})
    replies = [bench.ask() for _ in range(3)]
    assert not any(name.startswith("RateLimit") for reply in replies for name in reply.headers)
    assert replies[2].headers["Retry-After"] == "90"


FIVE_OF_ONE = [
    {"limit": 1, "window": "1h", "by": {"header": "X-Account"}, "name": "account"},
    {"limit": 3, "window": "60s", "name": "client"},
]


def test_of_several_limits_all_must_allow() -> None:
    bench = Bench(FIVE_OF_ONE)
    assert bench.ask(headers={"X-Account": "a"}).headers["RateLimit"] == '"account";r=0;t=7200, "client";r=2;t=120'
    refused = bench.ask(headers={"X-Account": "a"})
    assert (refused.status, content(refused)["violated-policies"], refused.headers["Retry-After"]) == (429, ["account"], "7200")
    assert [bench.ask(headers={"X-Account": name}).status for name in "bcd"] == [200, 200, 429]  # the refused one counted in none
    refused = bench.ask(headers={"X-Account": "a"})
    assert content(refused)["violated-policies"] == ["account", "client"]
    assert refused.headers["Retry-After"] == "7200"  # of both, the later


def test_a_request_that_a_later_limit_refuses_counts_in_no_earlier_one() -> None:
    bench = Bench([{"limit": 5, "window": "60s", "name": "wide"}, {"limit": 1, "window": "60s", "name": "narrow"}])
    seen = [bench.ask().headers["RateLimit"].split(",")[0] for _ in range(4)]
    assert [text.partition(";t")[0] for text in seen] == ['"wide";r=4'] * 4


SAME, OTHER = True, False


@pytest.mark.parametrize(
    ("settings", "first", "second", "together"),
    [
        ({}, "192.0.2.1", "192.0.2.1", SAME),
        ({}, "192.0.2.1", "192.0.2.2", OTHER),
        # RFC 6177: a site has a /56, so an address, or a /64, costs it nothing.
        ({}, "2001:db8:0:ff01::1", "2001:db8:0:ff02::2", SAME),
        ({}, "2001:db8:0:ff01::1", "2001:db8:0:fe01::1", OTHER),
        ({}, "2001:DB8:0:FF01::1", "2001:db8:0:ff01:0:0:0:1", SAME),
        ({}, "2001:db8::1%eth0", "2001:db8::1%eth1", SAME),
        ({"ipv6_prefix": 64}, "2001:db8:0:ff01::1", "2001:db8:0:ff02::1", OTHER),
        ({"ipv6_prefix": 64}, "2001:db8:0:ff01::1", "2001:db8:0:ff01:ffff::1", SAME),
        ({"ipv6_prefix": 32}, "2001:db8::1", "2001:db8:ffff::1", SAME),
        ({"ipv6_prefix": 32}, "2001:db8::1", "2001:db9::1", OTHER),
        # RFC 4291, section 2.5.5.2: what an IPv6 socket calls an IPv4 peer. Folded as IPv6, all of IPv4 would be one client.
        ({}, "::ffff:192.0.2.1", "192.0.2.1", SAME),
        ({}, "::ffff:c000:0201", "192.0.2.1", SAME),
        ({}, "::ffff:192.0.2.1", "::ffff:192.0.2.2", OTHER),
        ({}, "", "", SAME),  # a unix socket
        ({}, "no:address", "no:address", SAME),
        ({}, "no:address", "no:other", OTHER),
        ({"by": "route"}, "192.0.2.1", "192.0.2.2", SAME),
        ({"by": ["client"]}, "2001:db8:0:ff01::1", "2001:db8:0:ff02::2", SAME),
    ],
)
def test_whose_requests_count_together(settings: dict[str, Any], first: str, second: str, together: bool) -> None:
    bench = Bench({"limit": 1, "window": "60s", **settings})
    assert bench.statuses(first, second) == [200, 429 if together else 200]


def asked(client: str = "192.0.2.1", headers: list[tuple[str, str]] | None = None, route: str = "r") -> Exchange:
    return exchange(client=client, headers=headers or [], route=route)


def key(value: str) -> list[tuple[str, str]]:
    return [("X-Api-Key", value)]


BY_KEY = {"header": "X-API-Key"}


@pytest.mark.parametrize(
    ("by", "first", "second", "together"),
    [
        (BY_KEY, asked("192.0.2.1", key("k")), asked("192.0.2.2", key("k")), SAME),
        (BY_KEY, asked("192.0.2.1", key("k")), asked("192.0.2.1", key("l")), OTHER),
        (BY_KEY, asked("192.0.2.1", key("k" * 9000)), asked("192.0.2.1", key("k" * 8999 + "l")), OTHER),
        (BY_KEY, asked(headers=key("\udcff")), asked(headers=key("\udcfe")), OTHER),  # bytes that are no UTF-8
        # Without the header, or with two so that nobody knows which one the upstream believes: by address, not in one bucket of strangers.
        (BY_KEY, asked("192.0.2.1"), asked("192.0.2.1"), SAME),
        (BY_KEY, asked("192.0.2.1"), asked("192.0.2.2"), OTHER),
        (BY_KEY, asked("192.0.2.1", key("k") + key("l")), asked("192.0.2.1", key("m") + key("k")), SAME),
        (BY_KEY, asked("192.0.2.1", key("192.0.2.1")), asked("192.0.2.1"), OTHER),  # no client takes another's place by its address
        (["client", "route"], asked(route="a"), asked(route="a"), SAME),
        (["client", "route"], asked(route="a"), asked(route="b"), OTHER),
        (["client", "route"], asked("192.0.2.1", route="a"), asked("192.0.2.2", route="a"), OTHER),
        (["route", BY_KEY], asked("192.0.2.1", key("k")), asked("192.0.2.2", key("k")), SAME),
        (["route", BY_KEY], asked("192.0.2.1", key("k"), "a"), asked("192.0.2.1", key("k"), "b"), OTHER),
        ("client", asked(route="a"), asked(route="b"), SAME),
        ("route", asked(route="a"), asked(route="b"), OTHER),
    ],
)
def test_by(by: object, first: Exchange, second: Exchange, together: bool) -> None:
    steps = Bench({"limit": 1, "window": "60s", "by": by}).pipeline
    first, second = (exchange(headers=list(ex.headers.items()), client=ex.client, route=ex.route) for ex in (first, second))
    assert [run(steps, ex).status for ex in (first, second)] == [200, 429 if together else 200]


def test_observed() -> None:
    """Counted and noted, but nobody is refused and nobody is told."""
    plugin = load("rate_limit", TWO, host=host(clock=Clock(0.0), mode="observe"))
    steps = pipeline(plugin, upstream=FakeUpstream(lambda ex: Reply(200)), mode="observe")
    exchanges = [exchange() for _ in range(4)]
    replies = [run(steps, ex) for ex in exchanges]
    assert [(reply.status, dict(reply.headers)) for reply in replies] == [(200, {})] * 4
    note = ("observe", {"plugin": "rate_limit", "status": 429, "policies": ["default"]})
    assert [ex.notes for ex in exchanges] == [None, None, [note], [note]]


def test_a_refusal_is_noted() -> None:
    bench = Bench({"limit": 1, "window": "60s"})
    bench.ask()
    ex = exchange()
    run(bench.pipeline, ex)
    assert ex.notes == [("rate_limit", {"policies": ["default"], "outcome": "rejected"})]


def test_explain_counts_nothing() -> None:
    bench = Bench({"limit": 1, "window": "60s"})
    for _ in range(3):
        assert bench.plugin.explain(exchange()) == '"default";q=1;w=60 for 192.0.2.1: 1 left'
    bench.ask()
    assert bench.plugin.explain(exchange()) == '"default";q=1;w=60 for 192.0.2.1: refuses, for 120 s more'


@pytest.mark.parametrize("ending", ["answered", "refused", "failed", "client gone before the answer"])
def test_nothing_is_kept_of_an_exchange_that_ended(ending: str) -> None:
    limit = 0 if ending == "refused" else 9
    bench = Bench({"limit": max(1, limit), "window": "60s"})
    if ending == "refused":
        bench.ask()
    if ending == "failed":
        bench.pipeline = pipeline(bench.plugin, upstream=FakeUpstream(RuntimeError()))
    if ending == "client gone before the answer":
        ex = exchange()
        bench.plugin.on_request(ex)
        bench.plugin.on_end(ex, None)  # type: ignore[arg-type]
    else:
        bench.ask()
    assert vars(bench.plugin)["_admitted"] == {}


def test_counts_outlive_a_reload() -> None:
    """A new instance for the same entry, made while the old one still serves."""
    clock = Clock(0.0)
    first = host(clock=clock, route="login")
    old = load("rate_limit", TWO, host=first)
    run(pipeline(old), exchange())
    new = load("rate_limit", TWO, host=first)
    assert new.explain(exchange()) == '"login";q=2;w=60 for 192.0.2.1: 1 of 2 used, 1 left, more in 120 s'
    changed = load("rate_limit", {**TWO, "limit": 3}, host=first)
    assert changed.explain(exchange()) == '"login";q=3;w=60 for 192.0.2.1: 3 left'


@pytest.mark.parametrize(
    ("settings", "others", "shared"),
    [
        (TWO, TWO, False),  # each its route's
        ({**TWO, "name": "a"}, {**TWO, "name": "a"}, True),
        ({**TWO, "name": "a"}, {**TWO, "name": "b"}, False),
        ({**TWO, "name": "a"}, {**TWO, "name": "a", "by": "route"}, False),
        ({**TWO, "name": "a"}, {**TWO, "name": "a", "algorithm": "log"}, False),
    ],
)
def test_limits_of_one_name_share_counts(settings: object, others: object, shared: bool) -> None:
    store = MemoryStore(Clock(0.0))
    plugins = []
    for route, written in (("a", settings), ("b", others)):
        about = host(route=route)
        about.store = store
        plugins.append(load("rate_limit", written, host=about))
    run(pipeline(plugins[0], upstream=FakeUpstream()), exchange())
    assert str(plugins[1].explain(exchange())).endswith("1 left, more in 120 s" if shared else ": 2 left")


LIMIT = {"limit": 1, "window": "1s"}
BY = "expected client, consumer, route, body.NAME, {header: NAME}"


@pytest.mark.parametrize(
    ("settings", "where", "why"),
    [
        (None, ("limit",), "Field required"),
        ([], (), "at least 1 item"),
        ({"limit": 0, "window": "1s"}, ("limit",), "greater than or equal to 1"),
        ({"limit": 1.5, "window": "1s"}, ("limit",), "valid integer"),
        ({"limit": True, "window": "1s"}, ("limit",), "valid integer"),
        ({"limit": 10**15, "window": "1s"}, ("limit",), "less than"),
        ({"limit": 1, "window": 900}, ("window",), "a bare number is no duration"),
        ({"limit": 1, "window": "0s"}, ("window",), "greater than or equal to 0.001"),
        ({**LIMIT, "widow": "1s"}, ("widow",), "Extra inputs"),
        ([LIMIT, {**LIMIT, "widow": "1s"}], (1, "widow"), "Extra inputs"),
        ([LIMIT, {"limit": 1}], (1, "window"), "Field required"),
        ([{**LIMIT, "name": "a"}, {**LIMIT, "name": "a"}], (), "the same name"),
        ({**LIMIT, "limit": None}, ("limit",), "Field required"),
        (
            {**LIMIT, "algorithm": "token_bucket"},
            ("limit",),
            "a token_bucket limit has no limit; write rate and burst",
        ),
        ({"algorithm": "token_bucket"}, ("rate",), "Field required"),
        ({"rate": "10/s"}, ("rate",), "write limit and window, or algorithm: token_bucket and burst: ..."),
        ({**LIMIT, "algorithm": "fixed"}, ("window",), "a fixed limit has no window; write limit and period, or algorithm: sliding"),
        ({**LIMIT, "algorithm": "fixed"}, ("period",), "Field required"),
        ({**LIMIT, "burst": 5}, ("burst",), "a sliding limit has no burst; write limit and window, or algorithm: token_bucket"),
        ({**LIMIT, "algorithm": "log", "period": "day"}, ("period",), "a log limit has no period"),
        ({**LIMIT, "time_zone": "Europe/Berlin"}, ("time_zone",), "or algorithm: fixed"),
        ({**LIMIT, "algorithm": "slide"}, ("algorithm",), "'sliding', 'log', 'token_bucket' or 'fixed'"),
        ({"algorithm": "token_bucket", "rate": "0/s", "burst": 1}, ("rate",), "greater than 0"),
        ({"algorithm": "token_bucket", "rate": 10, "burst": 1}, ("rate",), "a bare number is no rate"),
        ({"algorithm": "fixed", "limit": 1, "period": "year"}, ("period",), "'minute', 'hour', 'day', 'week' or 'month'"),
        ({**LIMIT, "cost": 2}, (), "a request would cost more than all 1"),
        ({**LIMIT, "cost": {"POST": 2}}, (), "a request would cost more than all 1"),
        ([LIMIT, {**LIMIT, "count": [4010]}], (1, "count", 0), "less than or equal to 599"),
        ({**LIMIT, "exact": True, "max_over": "5%"}, (), "exact goes over by nothing"),
        ({**LIMIT, "algorithm": "log", "max_over": "5%"}, (), "a log goes over by nothing"),
        ({**LIMIT, "max_over": 5}, ("max_over",), "a bare number is no percentage"),
        ({**LIMIT, "on_failure": "shut"}, ("on_failure",), "'local', 'open' or 'closed'"),
        ({**LIMIT, "exempt": ["10.0.0.1/8"]}, ("exempt", "clients", 0), "write 10.0.0.0/8"),
        ({**LIMIT, "legacy_headers": True}, ("legacy_headers",), "'epoch' or 'delta'"),
        ({**LIMIT, "by": "body."}, ("by", 0), BY),
        ({**LIMIT, "by": "body.a..b"}, ("by", 0), BY),
        ({**LIMIT, "by": {"claim": ""}}, ("by", 0, "claim"), "at least 1 character"),
        ({**LIMIT, "by": {"param": "a-b"}}, ("by", 0, "param"), "pattern"),
        ({**LIMIT, "by": "ip"}, ("by", 0), BY),
        ({**LIMIT, "by": 1}, ("by", 0), BY),
        ({**LIMIT, "by": {}}, ("by", 0), BY),
        ({**LIMIT, "by": []}, ("by",), "at least 1 item"),
        ({**LIMIT, "by": {"header": "X Y"}}, ("by", 0, "header"), "no header name"),
        ({**LIMIT, "by": {"header": "X", "else": 1}}, ("by", 0, "else"), "Extra inputs"),
        ({**LIMIT, "ipv6_prefix": 31}, ("ipv6_prefix",), "greater than or equal to 32"),
        ({**LIMIT, "ipv6_prefix": 65}, ("ipv6_prefix",), "less than or equal to 64"),
        ({**LIMIT, "name": 'a"b'}, ("name",), "1 to 64 letters"),
        ("100/m", (), "dictionary"),
    ],
)
def test_refused_at_load(settings: object, where: tuple[str | int, ...], why: str) -> None:
    with pytest.raises(ValidationError) as caught:
        load("rate_limit", settings)
    found = {error["loc"]: error["msg"] for error in caught.value.errors()}
    assert why in found[where]


def test_refused_by_what_it_is_built_with() -> None:
    with pytest.raises(ValueError, match=r'"Berlin" is no time zone; write a name of the IANA database'):
        load("rate_limit", {"algorithm": "fixed", "limit": 1, "period": "day", "time_zone": "Berlin"})
    about = host(route="lead", paths={"lead": "/leads/{id}"})
    load("rate_limit", {**LIMIT, "by": {"param": "id"}}, host=about)
    with pytest.raises(ValueError, match=r"by: {param: lead} finds nothing; the path of this route has no {lead}"):
        load("rate_limit", {**LIMIT, "by": {"param": "lead"}}, host=about)


def test_the_schema_takes_one_limit_or_a_list() -> None:
    schema = type(load("rate_limit", LIMIT)).settings.model_json_schema()
    assert schema["type"] == ["object", "array"]
    assert schema["anyOf"] == schema["items"]["anyOf"]
    assert [form["required"] for form in schema["anyOf"]] == [["limit", "window"], ["rate", "burst"], ["limit", "period"]]
    assert all("description" in field for field in schema["properties"].values())
