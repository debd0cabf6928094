"""The plugin `cache` by RFC 9111: who asks, what the origin said, and whether the origin is asked again. Each case cites its section."""

from __future__ import annotations

import pytest

from tests.plugins.cache_bench import Bench, Fields, body, date

FRESH = (("Cache-Control", "max-age=3600"),)


def cc(value: str, *more: tuple[str, str]) -> Fields:
    return (("Cache-Control", value), *more)


REUSED: list[tuple[str, Fields]] = [
    ("9111 4.2.1 max-age", cc("max-age=3600")),
    ("9111 4.2.1 Expires", (("Expires", date(3600)), ("Date", date()))),
    ("9111 4.2.1 s-maxage over max-age", cc("max-age=1, s-maxage=3600")),
    ("9111 5.2 names in any case", cc("MaX-aGe=3600")),
    ("9111 5.2 an unknown directive", cc("max-age=3600, foobar=x")),
    ("9111 5.2 a quoted number", cc('max-age="3600"')),
    ("9111 5.2 in a quoted string it is no directive", cc('extension="max-age=1", max-age=3600')),
    ("9111 5.2 a comma in a quoted string", cc('extension="a, no-store", max-age=3600')),
    ("9111 5.3 max-age over a past Expires", cc("max-age=3600", ("Expires", date(-10000)))),
    ("9111 5.3 max-age over an Expires that is none", cc("max-age=3600", ("Expires", "0"))),
    ("9111 1.2.2 more than 2^31 seconds", cc("max-age=99999999999")),
    ("9111 1.2.2 zeros in front", cc("max-age=003600")),
    ("9111 4.2.1 of two the first", cc("max-age=3600, max-age=1")),
    ("9111 5.1 an Age that is no number", cc("max-age=3600", ("Age", "abc"))),
    ("9111 5.1 of several the first", cc("max-age=3600", ("Age", "0, 7200"))),
    ("9111 4.2.2 a guess by Last-Modified", (("Last-Modified", date(-86400)), ("Date", date()))),
    ("9111 5.2.2.4 no-cache for a field alone", cc('no-cache="a", max-age=3600', ("A", "1"))),
    ("9111 5.2.2.7 private for a field alone", cc('private="a", max-age=3600', ("A", "1"))),
    ("9111 5.2.2.2 must-revalidate while it is fresh", cc("max-age=3600, must-revalidate")),
    ("9111 5.2.2.3 must-understand over no-store", cc("must-understand, no-store, max-age=3600")),
    ("9213 2.2 over Cache-Control", cc("no-store", ("CDN-Cache-Control", "max-age=3600"))),
    ("9213 2.2 over Expires", (("CDN-Cache-Control", "max-age=3600"), ("Expires", date(-10000)))),
    ("9213 2.1 the first target", (("Gateway-Cache-Control", "max-age=3600"), ("CDN-Cache-Control", "no-store"))),
    ("9213 2.2 an unknown one", (("CDN-Cache-Control", "foobar, max-age=3600"),)),
    ("9213 2.2 an empty one is not there", cc("max-age=3600", ("CDN-Cache-Control", ""))),
    ("9110 14.4 a Content-Range that counts no bytes means nothing", cc("max-age=3600", ("Content-Range", "x"))),
    ("9213 2.2 one that is not well-formed is not there", cc("max-age=3600", ("CDN-Cache-Control", "no-store, &&&"))),
]
ASKED_AGAIN: list[tuple[str, Fields]] = [
    ("9111 3 nothing is said", ()),
    ("9111 5.2.2.5 no-store", cc("no-store")),
    ("9111 5.2.2.5 no-store in any case", cc("No-StOrE")),
    ("9111 5.2.2.5 no-store over max-age", cc("max-age=3600, no-store")),
    ("9111 5.2.2.7 private", cc("private, max-age=3600")),
    ("9111 5.2.2.7 private over public", cc("public, private, max-age=3600")),
    ("9111 5.2.2.4 no-cache", cc("max-age=3600, No-CaChE")),
    ("9111 4.2.1 a past Expires", (("Expires", date(-10000)), ("Date", date()))),
    ("9111 4.2.1 an Expires of now", (("Expires", date()), ("Date", date()))),
    ("9111 4.2.1 an Expires before its Date", (("Expires", date(300)), ("Date", date(400)))),
    ("9111 5.3 an Expires that is none", (("Expires", "0"), ("Date", date()))),
    ("9111 5.3 two Expires", (("Expires", date(3600)), ("Expires", date(3600)), ("Date", date()))),
    ("9111 5.2.2.10 s-maxage over max-age", cc("max-age=3600, s-maxage=1")),
    ("9111 5.2.2.1 max-age over Expires", cc("max-age=1", ("Expires", date(10000)))),
    ("9111 4.2.1 a negative one", cc("max-age=-3600")),
    ("9111 4.2.1 in single quotes", cc("max-age='3600'")),
    ("9111 4.2.1 no number", cc("max-age=3600a")),
    ("9111 4.2.1 without a value", cc("max-age")),
    ("9111 4.2.1 a space before =", cc("max-age =3600")),
    ("9111 4.2.1 in a quoted string alone", cc('extension="max-age=3600", max-age=1')),
    ("9111 4.2.1 behind the real one", cc('max-age=1, extension="max-age=3600"')),
    ("9111 4.2.3 its Age counts", cc("max-age=3600", ("Age", "7200"))),
    ("9111 4.2.3 its Date counts", cc("max-age=3600", ("Date", date(-7200)))),
    ("9111 4.2.3 Age against Expires, a slow Date", (("Date", date(-10)), ("Expires", date(10)), ("Age", "25"))),
    ("9111 4.2.3 Age against Expires, a fast Date", (("Date", date(10)), ("Expires", date(20)), ("Age", "15"))),
    ("9111 4.1 Vary: *", cc("max-age=3600", ("Vary", "*"))),
    ("9111 4.1 * in a list", cc("max-age=3600", ("Vary", "Foo, *"))),
    ("9111 4.1 * behind an empty member", cc("max-age=3600", ("Vary", ", *"))),
    ("9111 4.1 * on a second line", cc("max-age=3600", ("Vary", ""), ("Vary", "*"))),
    ("9111 7.3 Set-Cookie, by our own default", cc("max-age=3600", ("Set-Cookie", "a=b"))),
    ("9110 14.4 a part", cc("max-age=3600", ("Content-Range", "bytes 0-0/5"))),
    ("9213 2.2 private", cc("max-age=3600", ("CDN-Cache-Control", "private"))),
    ("9213 2.2 no-cache", cc("max-age=3600", ("CDN-Cache-Control", "no-cache"))),
    ("9213 2.2 no-store", cc("max-age=3600", ("CDN-Cache-Control", "no-store"))),
    ("9213 2.2 max-age=0 over Expires", (("CDN-Cache-Control", "max-age=0"), ("Expires", date(10000)))),
    ("9213 2.2 a short one over a long one", cc("max-age=3600", ("CDN-Cache-Control", "max-age=1"))),
    ("9213 2.2 its Age counts", (("CDN-Cache-Control", "max-age=3600"), ("Age", "7200"))),
    ("9213 2.2 not well-formed: not there", cc("no-store", ("CDN-Cache-Control", "max-age=3600, &&&"))),
    ("9213 2.2 of the wrong type: not there", cc("no-store", ("CDN-Cache-Control", 'max-age="3600"'))),
    ("9651 3.2 names in capitals: not there", cc("no-store", ("CDN-Cache-Control", "Max-Age=3600"))),
]


@pytest.mark.parametrize(("fields", "times"), [
    *[pytest.param(fields, 1, id=f"reused: {name}") for name, fields in REUSED],
    *[pytest.param(fields, 2, id=f"asked again: {name}") for name, fields in ASKED_AGAIN],
])  # fmt: skip
async def test_what_an_origin_says(fields: Fields, times: int) -> None:
    bench = Bench(None, *fields)
    first = await bench.ask()
    bench.clock.advance(3)
    second = await bench.ask()
    assert (body(first), body(second), bench.asked) == (b"1", b"%d" % times, times)
    assert ("Age" in second.headers) == (times == 1) or "Age" in dict(fields)


HEURISTIC = (200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501)


@pytest.mark.parametrize("status", [*HEURISTIC, 201, 202, 302, 303, 307, 400, 401, 403, 429, 500, 502, 503, 504, 599])
async def test_a_guess_is_made_for_some_statuses_and_for_none_when_it_is_said(status: int) -> None:
    """RFC 9110, section 15.1; RFC 9111, section 4.2.2 for `public`, and section 3 for any status whose lifetime is said."""
    for fields, is_kept in (
        ((("Last-Modified", date(-86400)),), status in HEURISTIC),
        (cc("public", ("Last-Modified", date(-86400))), True),
        (cc("max-age=60"), True),
        (cc("no-store, must-understand, max-age=60"), status not in (201, 202, 429, 599)),
        ((("Expires", date(-5)), ("Last-Modified", date(-86400))), False),
    ):
        bench = Bench(None, *fields, status=status)
        await bench.ask()
        assert ((await bench.ask()).status, bench.asked) == (status, 1 if is_kept else 2), fields


async def test_a_guess_ends_after_a_tenth_of_its_age_and_after_a_day() -> None:
    """RFC 9111, section 4.2.2."""
    for modified, lifetime in ((1000.0, 100.0), (86400.0 * 300, 86400.0)):
        bench = Bench(None, ("Last-Modified", date(-modified)))
        for seconds, asked in ((0.0, 1), (lifetime - 1, 1), (1.0, 2)):
            bench.clock.advance(seconds)
            await bench.ask()
            assert bench.asked == asked, (modified, seconds)


async def test_age_goes_on_from_what_came_and_date_stays() -> None:
    """RFC 9111, sections 4 and 5.1."""
    bench = Bench(None, *cc("max-age=600", ("Age", "30"), ("Date", date())))
    await bench.ask()
    bench.clock.advance(12.7)
    hit = await bench.ask()
    assert hit.headers.getall("Age") == ["42"]
    assert hit.headers.getall("Date") == [date()]


async def test_a_date_is_added_where_there_was_none() -> None:
    """RFC 9110, section 6.6.1."""
    bench = Bench({"ttl": "1m"})
    bench.origin.is_dated = False
    await bench.ask()
    bench.clock.advance(5)
    assert (await bench.ask()).headers["Date"] == date()


REQUESTS: list[tuple[str, Fields, float, str, bool]] = [
    # origin's fields, seconds later, Cache-Control of the request, is it answered from the cache
    ("5.2.1.1 max-age: young enough", FRESH, 10, "max-age=11", True),
    ("5.2.1.1 max-age: too old", FRESH, 10, "max-age=9", False),
    ("5.2.1.1 max-age: no number", FRESH, 10, "max-age=x", False),
    ("5.2.1.1 max-age counts what it came with", cc("max-age=3600", ("Age", "1800")), 0, "max-age=600", False),
    ("5.2.1.2 max-stale: any", cc("max-age=1"), 1000, "max-stale", True),
    ("5.2.1.2 max-stale: not as much", cc("max-age=1"), 1000, "max-stale=998", False),
    ("5.2.1.2 max-stale: as much", cc("max-age=1"), 1000, "max-stale=999", True),
    ("5.2.1.2 max-stale against must-revalidate", cc("max-age=1, must-revalidate"), 10, "max-stale", False),
    ("5.2.1.2 max-stale against s-maxage", cc("s-maxage=1"), 10, "max-stale", False),
    ("5.2.1.3 min-fresh: enough", cc("max-age=1500"), 0, "min-fresh=1000", True),
    ("5.2.1.3 min-fresh: not enough", cc("max-age=1500"), 0, "min-fresh=2000", False),
    ("5.2.1.4 no-cache", FRESH, 0, "no-cache", False),
    ("5.2.1.5 no-store", FRESH, 0, "no-store", False),
    ("5.2.1.7 only-if-cached", FRESH, 0, "only-if-cached", True),
    ("5.2.3 an unknown one", FRESH, 0, "foo", True),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "later", "wished", "is_hit"), [pytest.param(*case[1:], id=case[0]) for case in REQUESTS])
async def test_what_a_client_wishes(fields: Fields, later: float, wished: str, is_hit: bool) -> None:
    bench = Bench(None, *fields)
    bench.origin.fields = [*fields, ("ETag", '"x"')]
    await bench.ask()
    bench.clock.advance(later)
    await bench.ask(headers=cc(wished))
    assert bench.asked == (1 if is_hit else 2)


async def test_an_operator_may_not_heed_clients() -> None:
    bench = Bench({"obey_clients": False}, *FRESH)
    await bench.ask()
    for wished in ("no-cache", "max-age=0"):
        await bench.ask(headers=cc(wished))
    await bench.ask(headers=[("Pragma", "no-cache")])
    assert bench.asked == 1


async def test_pragma_is_heeded_where_cache_control_is_missing() -> None:
    """RFC 9111, section 5.4."""
    bench = Bench(None, *FRESH)
    await bench.ask()
    await bench.ask(headers=[("Pragma", "no-cache")])
    assert bench.asked == 2
    await bench.ask(headers=[("Pragma", "no-cache"), ("Cache-Control", "max-age=60")])
    assert bench.asked == 2


async def test_only_if_cached_is_504_without_an_answer() -> None:
    """RFC 9111, section 5.2.1.7."""
    bench = Bench(None, *FRESH)
    reply = await bench.ask(headers=cc("only-if-cached"))
    assert (reply.status, bench.asked) == (504, 0)
    assert b"not-cached" in body(reply)


async def test_a_request_with_no_store_leaves_nothing_behind() -> None:
    """RFC 9111, section 5.2.1.5."""
    bench = Bench(None, *FRESH)
    await bench.ask(headers=cc("no-store"))
    await bench.ask()
    assert bench.asked == 2


async def test_fields_named_by_no_cache_and_private_are_not_kept() -> None:
    bench = Bench(None, *cc('no-cache="a, B", private="c", max-age=60', ("A", "1"), ("b", "2"), ("C", "3"), ("D", "4")))
    assert "A" in (await bench.ask()).headers
    hit = await bench.ask()
    assert bench.asked == 1
    assert [name for name in "ABCD" if name in hit.headers] == ["D"]
