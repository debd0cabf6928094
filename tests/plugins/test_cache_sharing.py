"""The plugin `cache`: to whom an answer may be given, and what tells requests apart."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.exchange import Headers, Reply
from gateway.testing import exchange
from tests.plugins.cache_bench import Bench, Fields, body

FRESH = ("Cache-Control", "max-age=3600")
TOKEN = (("Authorization", "Bearer a"),)


@pytest.mark.parametrize(("said", "is_kept"), [
    ("max-age=60", False), ("max-age=60, public", True), ("s-maxage=60", True), ("max-age=60, must-revalidate", True),
    ("max-age=60, proxy-revalidate", False),
])  # fmt: skip
@pytest.mark.parametrize("who", [{"headers": TOKEN}, {"consumer": "ann"}])
async def test_answers_to_credentials_are_kept_only_where_the_origin_says_so(said: str, is_kept: bool, who: dict[str, Any]) -> None:
    """RFC 9111, section 3.5; a consumer that an authenticate has let in is one with credentials, wherever they stood."""
    bench = Bench(None, ("Cache-Control", said))
    await bench.ask(**who)
    await bench.ask()
    assert bench.asked == (1 if is_kept else 2)


async def test_with_a_ttl_credentials_pass_by() -> None:
    """Nobody said that what is stored for nobody is right for somebody."""
    bench = Bench({"ttl": "1h"})
    await bench.ask()
    for n, who in enumerate(({"headers": TOKEN}, {"consumer": "ann"}, {"headers": TOKEN}), 2):
        reply = await bench.ask(**who)  # type: ignore[arg-type]
        assert body(reply) == str(n).encode()
        assert reply.headers["Cache-Status"] == "gateway; fwd=bypass"
    assert body(await bench.ask()) == b"1"


async def test_per_consumer_nobody_gets_what_is_somebody_elses() -> None:
    bench = Bench({"ttl": "1h", "authorized": "per_consumer"})
    mine = {who: body(await bench.ask(consumer=who)) for who in ("ann", "bob", None)}
    assert sorted(mine.values()) == [b"1", b"2", b"3"]
    for who, own in mine.items():
        assert body(await bench.ask(consumer=who)) == own
    assert bench.asked == 3


async def test_per_consumer_an_unknown_token_is_nobodys() -> None:
    """Without an authenticate nobody has verified it: it passes, and leaves nothing."""
    bench = Bench({"ttl": "1h", "authorized": "per_consumer"})
    for n in (1, 2):
        assert body(await bench.ask(headers=TOKEN)) == str(n).encode()
    assert body(await bench.ask()) == b"3"


async def test_per_consumer_other_groups_are_other_rights() -> None:
    bench = Bench({"ttl": "1h", "authorized": "per_consumer", "vary_by": {"claim": "scope"}})
    for n, (groups, claims) in enumerate([(("admin",), {}), (("staff",), {}), ((), {"scope": "read"}), ((), {"scope": "write"})], 1):
        for _ in range(2):
            assert body(await bench.ask(consumer="ann", groups=groups, claims=claims)) == str(n).encode()
    assert body(await bench.ask(consumer="ann", groups=("admin",))) == b"1"


async def test_shared_all_get_the_same() -> None:
    bench = Bench({"ttl": "1h", "authorized": "share"})
    for who in ({"consumer": "ann"}, {"consumer": "bob"}, {"headers": TOKEN}, {}):
        assert body(await bench.ask(**who)) == b"1"


@pytest.mark.parametrize(("settings", "fields", "is_kept"), [
    ({"ttl": "1h"}, (("Cache-Control", "no-cache"),), True),
    ({"ttl": "1h"}, (("Cache-Control", "max-age=0"),), True),
    ({"ttl": "1h"}, (("Cache-Control", "private"),), False),
    ({"ttl": "1h"}, (("Cache-Control", "no-store"),), False),
    ({"ttl": "1h", "override": "private"}, (("Cache-Control", "private"),), True),
    ({"ttl": "1h", "override": "private"}, (("Cache-Control", "private, no-store"),), False),
    ({"ttl": "1h", "override": ["private", "no-store"]}, (("Cache-Control", "private, no-store"),), True),
    ({"ttl": "1h"}, (("Set-Cookie", "a=b"),), False),
    ({"ttl": "1h", "set_cookie": "store"}, (("Set-Cookie", "a=b"),), True),
    ({"ttl": "1h", "set_cookie": "strip"}, (("Set-Cookie", "a=b"),), True),
    ({"ttl": "1h"}, (("Vary", "*"),), False),
    ({"ttl": "1h"}, (("CDN-Cache-Control", "private"),), False),
    ({"set_cookie": "store"}, (FRESH, ("Set-Cookie", "a=b")), True),
])  # fmt: skip
async def test_a_rule_overrides_what_it_names_and_no_more(settings: object, fields: Fields, is_kept: bool) -> None:
    bench = Bench(settings, *fields)
    first = await bench.ask()
    second = await bench.ask()
    assert bench.asked == (1 if is_kept else 2)
    if "Set-Cookie" in first.headers and is_kept:
        assert ("Set-Cookie" in second.headers) == (settings["set_cookie"] == "store")  # type: ignore[index]


async def test_a_ttl_is_counted_from_here_and_ends() -> None:
    bench = Bench({"ttl": "1m"}, ("Age", "1000"), ("Cache-Control", "max-age=5"))
    await bench.ask()
    bench.clock.advance(59)
    assert (await bench.ask()).headers["Age"] == "1059"
    bench.clock.advance(1)
    assert body(await bench.ask()) == b"2"


@pytest.mark.parametrize(("status", "kept"), [(200, 60), (301, 60), (404, 10), (500, 0), (403, 0), (410, 5)])
async def test_other_statuses_have_lifetimes_of_their_own(status: int, kept: int) -> None:
    bench = Bench({"ttl": "1m", "negative": [{"status": 404, "ttl": "10s"}, {"status": [410, 451], "ttl": "5s"}]}, status=status)
    for seconds, asked in ((0, 1), (kept - 0.1, 1), (0.2, 2)) if kept else ((0, 1), (0, 2)):
        bench.clock.advance(seconds)
        await bench.ask()
        assert bench.asked == asked


async def test_lifetimes_are_shortened_at_random() -> None:
    bench = Bench({"ttl": "100s", "jitter": "50%"})
    for n in range(40):
        await bench.ask(target=f"/{n}")
    ends = {records[0].fresh_until - bench.clock() for _, records in bench.cache.items()}
    assert len(ends) == 40 and 50 <= min(ends) < 65 and 85 < max(ends) <= 100


# cookies and passing by


async def test_with_a_ttl_cookies_pass_by() -> None:
    bench = Bench({"ttl": "1h"})
    await bench.ask()
    assert body(await bench.ask(headers=[("Cookie", "s=1")])) == b"2"
    assert body(await bench.ask()) == b"1"


async def test_where_the_origin_decides_cookies_are_its_business() -> None:
    bench = Bench(None, FRESH)
    await bench.ask()
    assert body(await bench.ask(headers=[("Cookie", "s=1")])) == b"1"


@pytest.mark.parametrize(("named", "cookie", "is_hit"), [
    ([], "s=1", True), (["lang"], "s=1; lang=de", True), (["lang"], "lang=de", True), (["lang"], "lang=en", False),
    (["lang"], "x=1", False),
    (["lang"], "LANG=de", False), (["lang"], "lang=de; lang=en", True),
])  # fmt: skip
async def test_cookies_that_matter(named: list[str], cookie: str, is_hit: bool) -> None:
    bench = Bench({"ttl": "1h", "vary_by": {"cookie": named}})
    await bench.ask(headers=[("Cookie", "lang=de")])
    await bench.ask(headers=[("Cookie", cookie)])
    assert bench.asked == (1 if is_hit else 2)
    assert not any("lang=de" in key for key, _ in bench.cache.items())


@pytest.mark.parametrize(("skip", "request_"), [
    ({"header": "X-Preview"}, {"headers": [("x-preview", "")]}),
    ({"cookie": "admin"}, {"headers": [("Cookie", "a=1;admin=x")]}),
    ({"query": "draft"}, {"target": "/a?x=1&draft"}),
])  # fmt: skip
async def test_some_requests_pass_by(skip: object, request_: dict[str, Any]) -> None:
    bench = Bench({"ttl": "1h", "vary_by": {"cookie": []}, "skip": [skip, {"header": "Other"}]})
    for n in (1, 2):
        assert body(await bench.ask(**request_)) == str(n).encode()
    plain = {**request_, "headers": [], "target": "/a?x=1"}
    assert [body(await bench.ask(**plain)) for _ in range(2)] == [b"3", b"3"]


POISON: list[dict[str, Any]] = [
    {"headers": [("X-HTTP-Method-Override", "POST")]},
    {"headers": [("X-Original-URL", "/admin")]},
    {"headers": [("X-Rewrite-URL", "/admin")]},
    {"headers": [("X-Host", "evil.example")]},
    {"headers": [("X-Forwarded-Scheme", "http")]},
    {"headers": [("X-Forwarded-Port", "1")]},
    {"body": b"q=evil"},
    {"host": "evil.example"},
    {"scheme": "https"},
    {"target": "/a?b"},
    {"target": "/A"},
    {"target": "/a/"},
    {"target": "/a%3Fb"},
    {"target": "/a;x=1"},
]


@pytest.mark.parametrize("poison", POISON, ids=str)
async def test_what_the_key_does_not_hold_poisons_nobody(poison: dict[str, Any]) -> None:
    bench = Bench({"ttl": "1h"})
    assert body(await bench.ask(**poison)) == b"1"
    assert body(await bench.ask()) == b"2"


async def test_a_trusted_proxy_may_say_its_port() -> None:
    bench = Bench({"ttl": "1h"})
    await bench.ask()
    ex = exchange("GET", "/a", [("X-Forwarded-Port", "443")])
    ex.is_proxied = True
    assert body(await bench.send(ex)) == b"1"


# the query, headers, Vary


@pytest.mark.parametrize(("query", "first", "second", "is_hit"), [
    (None, "/a?x=1&y=2", "/a?y=2&x=1", False),
    ({"ignore": "utm"}, "/a?x=1&y=2", "/a?y=2&x=1", True),
    ({"ignore": "utm"}, "/a?x=1&utm=a", "/a?utm=b&x=1", True),
    ({"ignore": "utm"}, "/a?utm=a", "/a", True),
    ({"ignore": "utm"}, "/a?u%74m=a", "/a", True),
    ({"ignore": "utm"}, "/a?x=1", "/a?x=2", False),
    ({"ignore": "utm"}, "/a?x=1&x=2", "/a?x=2&x=1", False),
    ({"allow": "x"}, "/a?x=1&cb=7", "/a?cb=8&x=1", True),
    ({"allow": "x"}, "/a?x=1", "/a?x=2", False),
    ({"allow": []}, "/a?x=1", "/a?x=2", True),
])  # fmt: skip
async def test_what_of_the_query_counts(query: object, first: str, second: str, is_hit: bool) -> None:
    bench = Bench({"ttl": "1h", "vary_by": {"query": query} if query else {}})
    await bench.ask(target=first)
    await bench.ask(target=second)
    assert bench.asked == (1 if is_hit else 2)


async def test_headers_that_the_upstream_heeds_without_saying_so() -> None:
    bench = Bench({"ttl": "1h", "vary_by": {"header": "Accept-Language"}})
    for n, language in enumerate(("de", "en", "de, en", "en , de", ""), 1):
        await bench.ask(headers=[("Accept-Language", language)] if language else [])
        assert bench.asked == (n if n < 4 else n - 1), language


VARY: list[tuple[str, str, Fields, Fields, bool]] = [
    ("matches", "Foo", (("Foo", "1"),), (("Foo", "1"),), True),
    ("differs", "Foo", (("Foo", "1"),), (("Foo", "2"),), False),
    ("is missing", "Foo", (("Foo", "1"),), (), False),
    ("comes new", "Foo", (), (("Foo", "1"),), False),
    ("is missing both times", "Foo, Bar", (("Foo", "1"),), (("Foo", "1"),), True),
    ("is empty, not missing", "Foo", (("Foo", ""),), (), False),
    ("of two one differs", "Foo, Bar", (("Foo", "1"), ("Bar", "a")), (("Foo", "1"), ("Bar", "b")), False),
    ("another field is nothing to it", "Foo", (("Foo", "1"), ("Other", "2")), (("Foo", "1"), ("Other", "3")), True),
    ("the name in any case", "FOO", (("foo", "1"),), (("Foo", "1"),), True),
    ("the value as it is written", "Foo", (("Foo", "a"),), (("Foo", "A"),), False),
    ("space around commas", "Foo", (("Foo", "1,2"),), (("Foo", " 1 , 2 "),), True),
    ("two lines are one", "Foo", (("Foo", "1, 2"),), (("Foo", "1"), ("Foo", "2")), True),
    ("the order of others counts", "Foo", (("Foo", "1,2"),), (("Foo", "2,1"),), False),
    ("languages in any order", "Accept-Language", (("Accept-Language", "en, de"),), (("Accept-Language", "de, EN"),), True),
    ("languages liked otherwise", "Accept-Language", (("Accept-Language", "en;q=0.5, de"),), (("Accept-Language", "de;q=0.5, en"),), False),
    ("encodings in any order", "Accept-Encoding", (("Accept-Encoding", "gzip, br"),), (("Accept-Encoding", "br,gzip"),), True),
    ("cookies", "Cookie", (("Cookie", "s=1"),), (("Cookie", "s=2"),), False),
]


@pytest.mark.parametrize(("vary", "first", "second", "is_hit"), [pytest.param(*case[1:], id=case[0]) for case in VARY])
async def test_by_what_an_answer_was_chosen(vary: str, first: Fields, second: Fields, is_hit: bool) -> None:
    """RFC 9111, section 4.1."""
    bench = Bench(None, FRESH, ("Vary", vary))
    await bench.ask(headers=first)
    reply = await bench.ask(headers=second)
    assert bench.asked == (1 if is_hit else 2)
    assert reply.headers["Cache-Status"].startswith("gateway; hit" if is_hit else "gateway; fwd=vary-miss; stored")
    assert body(await bench.ask(headers=first)) == b"1"


async def test_no_credential_is_kept_by_vary() -> None:
    bench = Bench(None, FRESH, ("Vary", "Cookie"))
    await bench.ask(headers=[("Cookie", "secret=1")])
    assert "secret" not in repr([(key, [record.vary for record in records]) for key, records in bench.cache.items()])


async def test_variants_are_bounded() -> None:
    bench = Bench(None, FRESH, ("Vary", "User-Agent"))
    for n in range(100):
        await bench.ask(headers=[("User-Agent", str(n))])
    assert [len(records) for _, records in bench.cache.items()] == [16]
    assert body(await bench.ask(headers=[("User-Agent", "99")])) == b"100"


# what unsafe requests make void


@pytest.mark.parametrize(("method", "status", "is_void"), [
    ("POST", 201, True), ("PUT", 204, True), ("DELETE", 200, True), ("PATCH", 200, True), ("M-SEARCH", 200, True), ("POST", 302, True),
    ("POST", 500, False), ("POST", 404, False), ("OPTIONS", 200, False), ("QUERY", 200, False),
])  # fmt: skip
async def test_what_an_unsafe_request_has_changed_is_not_given_any_more(method: str, status: int, is_void: bool) -> None:
    """RFC 9111, section 4.4."""
    bench = Bench(None, FRESH, ("Vary", "Foo"))
    await bench.ask()
    await bench.ask(headers=[("Foo", "1")])
    bench.origin.status = status
    await bench.ask(method)
    bench.origin.status = 200
    await bench.ask()
    await bench.ask(headers=[("Foo", "1")])
    assert bench.asked == (5 if is_void else 3)


@pytest.mark.parametrize(("name", "value", "is_void"), [
    ("Location", "/b", True), ("Location", "b", True), ("Location", "http://gateway.test/b", True),
    ("Location", "http://GATEWAY.test/b#x", True),
    ("Content-Location", "/b", True), ("Content-Location", "/c/../b", True), ("Location", "http://other.test/b", False),
    ("Location", "https://gateway.test/b", False), ("Location", "//other.test/b", False),
    ("Location", "http://[/b", False), ("Other", "/b", False),
])  # fmt: skip
async def test_what_it_points_to_is_void_too_on_its_own_origin(name: str, value: str, is_void: bool) -> None:
    """RFC 9111, section 4.4."""
    bench = Bench(None, FRESH)
    await bench.ask(target="/b")
    bench.origin.fields = [FRESH, (name, value)]
    await bench.ask("POST")
    await bench.ask(target="/b")
    assert bench.asked == (3 if is_void else 2)


async def test_groups_are_void_by_their_name_on_their_origin() -> None:
    """RFC 9875: only after an unsafe request, only on the same origin, names as they are written."""
    bench = Bench(None, FRESH, ("Cache-Groups", '"a", "b"'))
    first = await bench.ask()
    await bench.ask(host="other.test")
    assert "Cache-Groups" not in first.headers
    for method, void, asked in (("GET", '"a"', 3), ("POST", '"A"', 4), ("POST", "a", 5), ("POST", '"b", "x"', 7)):
        bench.origin.fields = [("Cache-Group-Invalidation", void)]
        await bench.ask(method, target="/void")
        bench.origin.fields = [FRESH]
        await bench.ask()
        await bench.ask(host="other.test")
        assert bench.asked == asked, void


async def test_an_answer_under_way_when_it_is_made_void_is_void() -> None:
    """A purge while the origin computes what is stale already."""
    bench = Bench({"ttl": "1h", "tags": "leads"})

    def purged(ex: object) -> Reply:
        bench.cache.purge(["tag:leads"])
        return Reply(200, Headers(), b"old")

    bench.origin.reply = purged
    assert body(await bench.ask()) == b"old"
    bench.origin.reply = lambda ex: Reply(200, Headers(), b"new")
    assert body(await bench.ask()) == b"new"
    assert body(await bench.ask()) == b"new" and bench.asked == 2


@pytest.mark.parametrize(
    "mark", ["all", "route:test", "url:http://gateway.test/a", "tag:leads", "tag:lead:7", "tag:k1", "prefix:http://gateway.test/"]
)
async def test_purges_by_every_mark(mark: str) -> None:
    bench = Bench({"ttl": "1h", "tags": ["leads", "lead:{id}"]}, ("Surrogate-Key", "k1 k2"))
    await bench.ask(params={"id": "7"})
    bench.cache.purge(["tag:other", "url:http://gateway.test/b", "prefix:http://gateway.test/b"])
    assert body(await bench.ask(params={"id": "7"})) == b"1"
    bench.cache.purge([mark])
    assert body(await bench.ask(params={"id": "7"})) == b"2"
    assert bench.asked == 2


async def test_a_soft_purge_leaves_it_stale() -> None:
    bench = Bench({"ttl": "1h", "tags": "leads", "stale_while_revalidate": "1m"}, ("ETag", '"x"'))
    await bench.ask()
    bench.cache.purge(["tag:leads"], soft=True)
    reply = await bench.ask()
    assert (body(reply), reply.headers["Cache-Status"]) == (b"1", "gateway; hit; ttl=0")
    await bench.settled()
    assert bench.asked == 2 and bench.origin.requests[-1][2]["If-None-Match"] == '"x"'
    bench.clock.advance(100)
    assert (await bench.ask()).headers["Cache-Status"] == "gateway; hit; ttl=3500" and bench.asked == 2


async def test_tags_from_the_answer() -> None:
    bench = Bench({"ttl": "1h", "tags": ["lead:{body.items.id}", "owner:{body.owner.name}", "none:{body.missing}"]}, ("Cache-Tag", "a, b"))
    bench.origin.body = b'{"items": [{"id": 7}, {"id": "x"}, {"no": 1}], "owner": {"name": "ann"}}'
    reply = await bench.ask()
    assert not {"Cache-Tag", "Surrogate-Key"} & set(reply.headers)
    ((_, (record,)),) = bench.cache.items()
    assert record.marks == (
        "all", "route:test", "url:http://gateway.test/a", "tag:lead:7", "tag:lead:x", "tag:owner:ann", "tag:a", "tag:b"
    )  # fmt: skip


async def test_what_is_no_json_has_the_other_tags() -> None:
    bench = Bench({"ttl": "1h", "tags": ["leads", "lead:{body.id}"]})
    bench.origin.body = b"<html>"
    await bench.ask()
    assert [record.marks[3:] for _, (record,) in bench.cache.items()] == [("tag:leads",)]


async def test_one_clients_own_request_does_not_take_from_others_what_is_stored() -> None:
    bench = Bench(None, ("Cache-Control", "max-age=5"), ("ETag", '"x"'))
    await bench.ask()
    await bench.ask(headers=[("Cache-Control", "no-store")])
    assert body(await bench.ask()) == b"1" and bench.asked == 2
    bench.clock.advance(6)
    assert body(await bench.ask(headers=TOKEN)) == b"1"  # validated for him, and not kept because of him
    assert bench.origin.requests[-1][2]["If-None-Match"] == '"x"'
    await bench.ask()
    assert bench.origin.requests[-1][2]["If-None-Match"] == '"x"'
