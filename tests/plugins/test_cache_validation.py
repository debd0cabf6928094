"""The plugin `cache`: what is stale is asked for anew, clients' own conditions, parts, and HEAD."""

from __future__ import annotations

import pytest

from gateway.errors import UpstreamUnreachable
from gateway.exchange import Headers, Reply
from tests.plugins.cache_bench import Bench, Fields, body, date

ETAG = ("ETag", '"v1"')
DATED = (ETAG, ("Last-Modified", date(-5)))


def stale_soon(*more: tuple[str, str]) -> Bench:
    return Bench(None, ("Cache-Control", "max-age=2"), *more)


async def test_a_304_makes_it_fresh_again_with_what_it_says_anew() -> None:
    """RFC 9111, sections 3.2 and 4.3.4."""
    bench = stale_soon(ETAG, ("Test", "a"), ("Kept", "x"), ("Content-Encoding", "identity"))
    await bench.ask()
    bench.clock.advance(5)
    bench.origin.fields = [("Cache-Control", "max-age=3600"), ETAG, ("Test", "b"), ("Content-Encoding", "gzip"), ("Content-Foo", "n")]
    validated = await bench.ask()
    assert bench.origin.requests[-1][2]["If-None-Match"] == '"v1"'
    bench.clock.advance(100)
    hit = await bench.ask()
    assert bench.asked == 2
    for reply in (validated, hit):
        assert (reply.status, body(reply)) == (200, b"1")
        assert [reply.headers[name] for name in ("Test", "Kept", "Content-Encoding", "Content-Foo")] == ["b", "x", "identity", "n"]
    assert validated.headers["Cache-Status"] == "gateway; fwd=stale; fwd-status=304; stored"
    assert bench.metrics.value("cache.requests", outcome="validated") == 1


async def test_it_is_asked_for_by_its_date_where_it_has_no_tag() -> None:
    """RFC 9111, section 4.3.1."""
    bench = stale_soon(("Last-Modified", date(-500)))
    await bench.ask()
    bench.clock.advance(5)
    await bench.ask()
    sent = bench.origin.requests[-1][2]
    assert sent["If-Modified-Since"] == date(-500) and "If-None-Match" not in sent


async def test_without_a_validator_the_whole_is_asked_for() -> None:
    bench = stale_soon()
    await bench.ask()
    bench.clock.advance(5)
    assert body(await bench.ask()) == b"2"
    assert not {"If-None-Match", "If-Modified-Since"} & set(bench.origin.requests[-1][2])


async def test_another_answer_takes_its_place() -> None:
    bench = stale_soon(ETAG)
    await bench.ask()
    bench.clock.advance(5)
    bench.origin.fields = [("Cache-Control", "max-age=3600"), ("ETag", '"v2"')]
    assert body(await bench.ask()) == b"2"
    assert body(await bench.ask()) == b"2"


async def test_no_cache_is_kept_and_asked_about_each_time() -> None:
    """RFC 9111, section 5.2.2.4."""
    bench = Bench(None, ("Cache-Control", "no-cache, max-age=3600"), ETAG)
    for _ in range(3):
        assert body(await bench.ask()) == b"1"
    assert [sent[2].get("If-None-Match") for sent in bench.origin.requests] == [None, '"v1"', '"v1"']


async def test_a_304_that_forbids_to_keep_it_is_obeyed_and_told() -> None:
    bench = stale_soon(ETAG)
    await bench.ask()
    bench.clock.advance(5)
    bench.origin.fields = [("Cache-Control", "no-store"), ETAG]
    reply = await bench.ask()
    assert (reply.status, body(reply), reply.headers["Cache-Control"]) == (200, b"1", "no-store")
    await bench.ask()
    assert "If-None-Match" not in bench.origin.requests[-1][2]


async def test_a_304_about_something_else_is_no_answer() -> None:
    """RFC 9111, section 4.3.4: another strong validator than the stored one's."""
    bench = stale_soon(ETAG)
    await bench.ask()
    bench.clock.advance(5)
    answers = iter([Reply(304, Headers([("ETag", '"v9"')])), Reply(200, Headers([("Cache-Control", "max-age=60")]), b"whole")])
    bench.origin.reply = lambda ex: next(answers)
    assert body(await bench.ask()) == b"whole"
    assert "If-None-Match" not in bench.origin.requests[-1][2]
    assert body(await bench.ask()) == b"whole"


async def test_cookies_of_a_304_are_its_clients_alone() -> None:
    bench = stale_soon(ETAG)
    await bench.ask()
    bench.clock.advance(5)
    bench.origin.fields = [("Cache-Control", "max-age=60"), ETAG, ("Set-Cookie", "s=1")]
    assert (await bench.ask()).headers["Set-Cookie"] == "s=1"
    hit = await bench.ask()
    assert bench.asked == 2 and "Set-Cookie" not in hit.headers


CONDITIONS: list[tuple[str, Fields, Fields, int]] = [
    ("9110 13.1.2 the tag", (ETAG,), (("If-None-Match", '"v1"'),), 304),
    ("9110 13.1.2 one of several", (ETAG,), (("If-None-Match", '"a", "v1", "b"'),), 304),
    ("9110 13.1.2 on a second line", (ETAG,), (("If-None-Match", '"a"'), ("If-None-Match", '"v1"')), 304),
    ("9110 13.1.2 a comma inside", (("ETag", '"a,b"'),), (("If-None-Match", '"a,b"'),), 304),
    ("9110 13.1.2 any", (ETAG,), (("If-None-Match", "*"),), 304),
    ("9110 13.1.2 any, of what has none", (), (("If-None-Match", "*"),), 304),
    ("9110 8.8.3.2 compared weakly", (ETAG,), (("If-None-Match", 'W/"v1"'),), 304),
    ("9110 8.8.3.2 weakly, the other way", (("ETag", 'W/"v1"'),), (("If-None-Match", '"v1"'),), 304),
    ("9110 13.1.2 another", (ETAG,), (("If-None-Match", '"v2"'),), 200),
    ("9110 13.1.2 part of a tag", (ETAG,), (("If-None-Match", '"v"'),), 200),
    ("9110 13.1.3 the very date", (("Last-Modified", date(-3000)),), (("If-Modified-Since", date(-3000)),), 304),
    ("9110 13.1.3 a later one", (("Last-Modified", date(-3000)),), (("If-Modified-Since", date(-2000)),), 304),
    ("9110 13.1.3 an earlier one", (("Last-Modified", date(-3000)),), (("If-Modified-Since", date(-4000)),), 200),
    ("9110 13.1.3 no date", (("Last-Modified", date(-3000)),), (("If-Modified-Since", "yesterday"),), 200),
    ("9111 4.3.2 by its Date", (("Date", date(-10)),), (("If-Modified-Since", date(-10)),), 304),
    ("9111 4.3.2 by its Date, earlier", (("Date", date(-10)),), (("If-Modified-Since", date(-11)),), 200),
    ("9110 13.2.2 the tag before the date", DATED, (("If-None-Match", '"v2"'), ("If-Modified-Since", date())), 200),
    ("9110 13.2.2 the tag, whatever the date", DATED, (("If-None-Match", '"v1"'), ("If-Modified-Since", date(-9))), 304),
]  # fmt: skip


@pytest.mark.parametrize(("stored", "asked", "status"), [pytest.param(*case[1:], id=case[0]) for case in CONDITIONS])
async def test_a_clients_condition_on_what_is_stored(stored: Fields, asked: Fields, status: int) -> None:
    bench = Bench(None, ("Cache-Control", "max-age=3600"), ("Content-Type", "text/plain"), *stored)
    await bench.ask()
    bench.clock.advance(1)
    reply = await bench.ask(headers=asked)
    assert (reply.status, bench.asked) == (status, 1)
    if status == 304:
        assert not body(reply) and "Content-Type" not in reply.headers
        for name in ("Cache-Control", "Date", *[name for name, _ in stored]):  # RFC 9110, section 15.4.5
            assert name in reply.headers


async def test_a_clients_condition_does_not_fill_the_cache_with_nothing() -> None:
    """The whole is asked for and kept, the client gets its 304."""
    bench = Bench(None, ("Cache-Control", "max-age=3600"), ETAG)
    reply = await bench.ask(headers=[("If-None-Match", '"v1"')])
    assert reply.status == 304 and "If-None-Match" not in bench.origin.requests[0][2]
    assert body(await bench.ask()) == b"1" and bench.asked == 1


async def test_a_condition_of_the_client_is_judged_after_ours() -> None:
    """RFC 9111, section 4.3.2: validated, then 304 to the client that has the same."""
    bench = stale_soon(ETAG)
    await bench.ask()
    bench.clock.advance(5)
    assert (await bench.ask(headers=[("If-None-Match", '"v1"')])).status == 304
    bench.clock.advance(5)
    reply = await bench.ask(headers=[("If-None-Match", '"other"')])
    assert (reply.status, body(reply)) == (200, b"1")
    assert bench.origin.requests[-1][2]["If-None-Match"] == '"v1"'


@pytest.mark.parametrize("name", ["If-Match", "If-Unmodified-Since"])
async def test_conditions_for_the_origin_alone_pass(name: str) -> None:
    """RFC 9111, section 4.3.2."""
    bench = Bench(None, ("Cache-Control", "max-age=3600"), ETAG)
    await bench.ask()
    await bench.ask(headers=[(name, '"v1"')])
    assert bench.asked == 2


RANGES: list[tuple[str, str, int, bytes, str]] = [
    ("9110 14.1.2 first and last", "bytes=0-1", 206, b"01", "bytes 0-1/10"),
    ("9110 14.1.2 from the middle", "bytes=4-6", 206, b"456", "bytes 4-6/10"),
    ("9110 14.1.2 open", "bytes=7-", 206, b"789", "bytes 7-9/10"),
    ("9110 14.1.2 beyond the end", "bytes=7-99", 206, b"789", "bytes 7-9/10"),
    ("9110 14.1.2 the last ones", "bytes=-3", 206, b"789", "bytes 7-9/10"),
    ("9110 14.1.2 more last ones than there are", "bytes=-99", 206, b"0123456789", "bytes 0-9/10"),
    ("9110 14.1 the unit in any case", "Bytes=0-0", 206, b"0", "bytes 0-0/10"),
    ("9110 15.5.17 behind the end", "bytes=10-", 416, b"", "bytes */10"),
    ("9110 14.1.2 none of the last", "bytes=-0", 416, b"", "bytes */10"),
    ("9110 14.2 backwards is not valid", "bytes=5-2", 200, b"0123456789", ""),
    ("9110 14.2 several", "bytes=0-1,4-5", 200, b"0123456789", ""),
    ("9110 14.2 another unit", "lines=0-1", 200, b"0123456789", ""),
    ("9110 14.2 nothing", "bytes=-", 200, b"0123456789", ""),
    ("9110 14.2 far beyond what can be", "bytes=0-99999999999999999999999", 200, b"0123456789", ""),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "status", "part", "said"), [pytest.param(*case[1:], id=case[0]) for case in RANGES])
async def test_a_part_of_what_is_stored(asked: str, status: int, part: bytes, said: str) -> None:
    bench = Bench(None, ("Cache-Control", "max-age=3600"), ETAG)
    bench.origin.body = b"0123456789"
    await bench.ask()
    reply = await bench.ask(headers=[("Range", asked)])
    assert (reply.status, body(reply), reply.headers.get("Content-Range", "")) == (status, part, said)
    assert bench.asked == 1


@pytest.mark.parametrize(("stored", "condition", "status"), [
    (ETAG, '"v1"', 206), (ETAG, '"v2"', 200), (("ETag", 'W/"v1"'), 'W/"v1"', 200),
    (("Last-Modified", date(-90)), date(-90), 206), (("Last-Modified", date(-90)), date(-80), 200), (ETAG, date(-90), 200),
])  # fmt: skip
async def test_a_part_only_of_the_same(stored: tuple[str, str], condition: str, status: int) -> None:
    """RFC 9110, section 13.1.5: a strong validator, or the exact date."""
    bench = Bench(None, ("Cache-Control", "max-age=3600"), stored)
    await bench.ask()
    assert (await bench.ask(headers=[("Range", "bytes=0-0"), ("If-Range", condition)])).status == status


async def test_a_part_is_never_kept() -> None:
    bench = Bench({"ttl": "1h"}, ("Content-Range", "bytes 0-0/5"), status=206)
    await bench.ask(headers=[("Range", "bytes=0-0")])
    assert bench.origin.requests[0][2]["Range"] == "bytes=0-0"
    bench.origin.fields, bench.origin.status = (), 200
    assert body(await bench.ask()) == b"2"


async def test_head_is_answered_from_a_get() -> None:
    """RFC 9110, section 9.3.2."""
    bench = Bench(None, ("Cache-Control", "max-age=3600"))
    await bench.ask()
    reply = await bench.ask("HEAD")
    assert (reply.status, body(reply), bench.asked) == (200, b"1", 1)  # the front sends the length and no body


async def test_a_get_is_not_answered_from_a_head() -> None:
    bench = Bench(None, ("Cache-Control", "max-age=3600"))
    await bench.ask("HEAD")
    await bench.ask("HEAD")
    assert body(await bench.ask()) == b"3"


async def test_head_freshens_what_is_stored() -> None:
    """RFC 9111, section 4.3.5."""
    bench = stale_soon(ETAG, ("Test", "a"))
    await bench.ask()
    bench.clock.advance(5)
    bench.origin.reply = lambda ex: Reply(200, Headers([("Cache-Control", "max-age=60"), ETAG, ("Test", "b")]), b"", length=1)
    await bench.ask("HEAD")
    hit = await bench.ask()
    assert (hit.headers["Test"], body(hit), bench.asked) == ("b", b"1", 2)


@pytest.mark.parametrize(("fields", "length"), [((("ETag", '"v2"'),), 1), ((ETAG,), 7), ((("Last-Modified", date(-9)),), 1)])
async def test_head_tells_that_what_is_stored_is_so_no_more(fields: Fields, length: int) -> None:
    """RFC 9111, section 4.3.5. The client wants the origin's own word, so a HEAD reaches it though a GET is stored."""
    bench = Bench(None, ("Cache-Control", "max-age=3600"), ETAG, ("Last-Modified", date(-10)))
    await bench.ask()
    answer = Reply(200, Headers(fields), b"", length=length)
    bench.origin.reply = lambda ex: answer
    await bench.ask("HEAD", headers=[("Cache-Control", "no-cache")])
    bench.origin.reply = bench.origin._answer
    await bench.ask()
    assert bench.asked == 3


@pytest.mark.parametrize("failure", [500, 502, 503, 504, UpstreamUnreachable(reason="nobody there")])
async def test_a_stale_answer_stands_in_for_an_error(failure: int | Exception) -> None:
    """RFC 5861, section 4."""
    bench = Bench(None, ("Cache-Control", "max-age=2, stale-if-error=60"))
    await bench.ask()
    if isinstance(failure, int):
        bench.origin.status = failure
        bench.origin.fields = ()
    else:
        bench.origin.failure = failure
    bench.clock.advance(10)
    reply = await bench.ask()
    assert (reply.status, body(reply), bench.asked) == (200, b"1", 2)
    assert reply.headers["Cache-Status"] == "gateway; hit; ttl=-8"
    assert bench.metrics.value("cache.requests", outcome="bridged") == 1
    bench.clock.advance(53)
    assert (await bench.ask()).status == (failure if isinstance(failure, int) else 502)


async def test_an_origin_that_fails_has_a_respite() -> None:
    bench = Bench({"stale_if_error": "1h"}, ("Cache-Control", "max-age=2"))
    await bench.ask()
    bench.origin.failure = UpstreamUnreachable()
    bench.clock.advance(10)
    for _ in range(5):
        assert (await bench.ask()).status == 200
    assert bench.asked == 2
    bench.clock.advance(1.1)
    bench.origin.failure = None
    assert body(await bench.ask()) == b"3"


@pytest.mark.parametrize("forbidden", ["must-revalidate", "proxy-revalidate", "s-maxage=2", "no-cache"])
@pytest.mark.parametrize("rule", [None, {"stale_if_error": "1h", "stale_while_revalidate": "1h"}])
async def test_nothing_stale_where_that_is_forbidden(forbidden: str, rule: object) -> None:
    """RFC 9111, section 4.2.4."""
    bench = Bench(rule, ("Cache-Control", f"max-age=2, stale-if-error=60, stale-while-revalidate=60, {forbidden}"), ETAG)
    await bench.ask()
    bench.clock.advance(10)
    bench.origin.failure = UpstreamUnreachable()
    assert (await bench.ask()).status == 502


async def test_a_client_may_ask_for_stale_if_error_too() -> None:
    """RFC 5861, section 4: in a request."""
    bench = Bench(None, ("Cache-Control", "max-age=2"), ETAG)
    await bench.ask()
    bench.clock.advance(10)
    bench.origin.failure = UpstreamUnreachable()
    assert (await bench.ask(headers=[("Cache-Control", "stale-if-error=20")])).status == 200
    bench.clock.advance(20)
    assert (await bench.ask(headers=[("Cache-Control", "stale-if-error=20")])).status == 502


async def test_stale_is_given_at_once_and_asked_for_once_in_the_background() -> None:
    """RFC 5861, section 3."""
    bench = Bench(None, ("Cache-Control", "max-age=2, stale-while-revalidate=60"), ETAG)
    await bench.ask()
    bench.clock.advance(10)
    bench.origin.fields = [("Cache-Control", "max-age=3600"), ("ETag", '"v2"')]
    for _ in range(5):
        reply = await bench.ask()
        assert (body(reply), reply.headers["Age"], reply.headers["Cache-Status"]) == (b"1", "10", "gateway; hit; ttl=-8")
    await bench.settled()
    assert bench.asked == 2 and bench.origin.requests[-1][2]["If-None-Match"] == '"v1"'
    assert body(await bench.ask()) == b"2"
    assert bench.metrics.value("cache.requests", outcome="refreshed") == 1


async def test_after_the_window_nothing_stale_is_given() -> None:
    bench = Bench(None, ("Cache-Control", "max-age=2, stale-while-revalidate=60"))
    await bench.ask()
    bench.clock.advance(62.1)
    assert body(await bench.ask()) == b"2"


async def test_a_refresh_that_fails_is_tried_again_after_a_respite() -> None:
    bench = Bench({"stale_while_revalidate": "1h"}, ("Cache-Control", "max-age=2"))
    await bench.ask()
    bench.clock.advance(10)
    bench.origin.failure = UpstreamUnreachable()
    for _ in range(3):
        assert body(await bench.ask()) == b"1"
        await bench.settled()
    assert bench.asked == 2
    bench.clock.advance(2)
    bench.origin.failure = None
    await bench.ask()
    await bench.settled()
    assert body(await bench.ask()) == b"3"


async def test_a_refresh_that_finds_it_private_ends_it() -> None:
    bench = Bench({"stale_while_revalidate": "1h"}, ("Cache-Control", "max-age=2"))
    await bench.ask()
    bench.clock.advance(10)
    bench.origin.fields = [("Cache-Control", "private")]
    await bench.ask()
    await bench.settled()
    assert body(await bench.ask()) == b"3"


async def test_a_refresh_that_is_told_of_something_else_ends_it() -> None:
    bench = Bench({"stale_while_revalidate": "1h"}, ("Cache-Control", "max-age=2"), ETAG)
    await bench.ask()
    bench.clock.advance(10)
    bench.origin.reply = lambda ex: Reply(304, Headers([("ETag", '"v9"'), ("Cache-Control", "max-age=60")]))
    assert body(await bench.ask()) == b"1"
    await bench.settled()
    bench.origin.reply = bench.origin._answer
    assert body(await bench.ask()) == b"3"


async def test_head_is_bridged_too() -> None:
    bench = Bench({"stale_if_error": "1h"}, ("Cache-Control", "max-age=2"))
    await bench.ask()
    bench.clock.advance(10)
    bench.origin.failure = UpstreamUnreachable()
    assert (await bench.ask("HEAD")).status == 200
