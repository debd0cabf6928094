"""The rules as functions of values: dates, directives, ages, tags. What the plugin's own tests ask through the front is not asked again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.caching import dates, tags
from gateway.caching.answering import answer
from gateway.caching.deciding import bridges, decide
from gateway.caching.directives import FOREVER, directives, in_force, seconds
from gateway.caching.freshness import made
from gateway.caching.record import Record, with_variant
from gateway.caching.storing import Draft, Request, Rule, draft, refreshed
from gateway.caching.vary import chosen_by, normalised, select, varies_by
from gateway.caching.wishes import Wishes, wishes
from gateway.exchange import Entity, Headers, Reply

NOW = 1_800_000_000.0
TIMES = st.floats(0, 4e9).map(lambda time: float(int(time)))
TEXT = st.text(st.characters(codec="latin-1", exclude_characters="\r\n\0"), max_size=60)


def stored(made: float = NOW, fresh_until: float = NOW + 60, body: bytes = b"", etag: str = "", **kw: object) -> Record:
    return Record(200, (("Date", dates.written(made)),), Entity(body), made=made, stored=NOW, fresh_until=fresh_until, etag=etag, **kw)  # type: ignore[arg-type]


# dates


@given(st.integers(0, 253_402_300_799))
def test_a_date_is_read_as_it_is_written(time: int) -> None:
    assert dates.parsed(dates.written(time), NOW) == time


@pytest.mark.parametrize(("text", "time"), [
    ("Sun, 06 Nov 1994 08:49:37 GMT", 784111777.0),
    ("Sunday, 06-Nov-94 08:49:37 GMT", 784111777.0),
    ("Sun Nov  6 08:49:37 1994", 784111777.0),
    ("Sunday, 06-Nov-26 08:49:37 GMT", 1793954977.0),
    ("Sunday, 06-Nov-77 08:49:37 GMT", 3403414177.0),
    ("Sunday, 06-Nov-78 08:49:37 GMT", 279190177.0),
])  # fmt: skip
def test_the_three_forms(text: str, time: float) -> None:
    """RFC 9110, section 5.6.7; two digits of a year are at most fifty years ahead."""
    assert dates.parsed(text, NOW) == time


NO_DATES = """
0
-1
now
Sun, 06 Nov 1994 08:49:37
Sun, 06 Nov 1994 08:49:37 UTC
Sun, 06 Nov 1994 08:49:37 gmt
Sun 06 Nov 1994 08:49:37 GMT
Sun, 6 Nov 1994 08:49:37 GMT
Sun, 06 Nov 94 08:49:37 GMT
Sun, 06-Nov-1994 08:49:37 GMT
Sun, 06 Nov 1994 8:49:37 GMT
Sun, 06  Nov 1994 08:49:37 GMT
Sun, 06 nov 1994 08:49:37 GMT
SUN, 06 Nov 1994 08:49:37 GMT
Sun, 06 Nov 1994 08.49.37 GMT
Sun, 06 Nov 1994 24:00:00 GMT
Sun, 00 Nov 1994 08:49:37 GMT
1994-11-06T08:49:37Z
Sun, \u0660\u0666 Nov 1994 08:49:37 GMT
Sun, 06 Nov 1994 08:49:37 +0000
"""


@pytest.mark.parametrize("text", [*NO_DATES.splitlines(), "Sun, 06 Nov 1994 08:49:37 GMT "])
def test_what_is_no_date(text: str) -> None:
    assert dates.parsed(text, NOW) is None


# directives


@pytest.mark.parametrize(("values", "found"), [
    (["max-age=60, Public"], {"max-age": "60", "public": None}),
    (["a", "b=1,,", ", c"], {"a": None, "b": "1", "c": None}),
    (['a="x, y", b'], {"a": "x, y", "b": None}),
    ([r'a="x\"y", b'], {"a": 'x"y', "b": None}),
    (["a=1, A=2"], {"a": "1"}),
    (['a="not ended, no-store'], {"a": ""}),
    (["no-store; x"], {"no-store": None}),
    (["private max-age=60"], {"private": None}),
    (["max-age=60 ;x"], {"max-age": ""}),
    (["max-age= 60"], {"max-age": ""}),
    ([""], {}),
    ([",, ,"], {}),
])  # fmt: skip
def test_directives(values: list[str], found: dict[str, str | None]) -> None:
    assert directives(values) == found


@given(st.lists(TEXT, max_size=3))
def test_whatever_is_sent_is_read_to_its_end(values: list[str]) -> None:
    for name in directives(values):
        assert name == name.lower() and "," not in name


@given(st.text(max_size=10), st.sampled_from(["no-store", "private", "No-Store"]), st.text(max_size=10))
def test_what_forbids_is_found_between_any_others(before: str, forbidding: str, behind: str) -> None:
    """Whatever else stands there, unless it opens a quoted string."""
    before, behind = before.replace('"', ""), behind.replace('"', "")
    assert forbidding.lower() in directives([f"{before},{forbidding},{behind}"])


@pytest.mark.parametrize(("text", "value"), [
    ("0", 0), ("60", 60), ("0060", 60), ("2147483647", 2147483647), ("2147483648", FOREVER), ("9" * 200, FOREVER), ("-1", None),
    ("1.5", None),
    ("", None), (None, None), ("6 0", None), ("٦", None), ("'60'", None), ("+60", None),
])  # fmt: skip
def test_seconds(text: str | None, value: int | None) -> None:
    """RFC 9111, section 1.2.2."""
    assert seconds(text) == value


@given(TEXT)
def test_a_targeted_field_is_well_formed_or_not_there(text: str) -> None:
    said, is_targeted = in_force(Headers([("CDN-Cache-Control", text), ("Cache-Control", "no-store")]), ["CDN-Cache-Control"])
    assert is_targeted or said == {"no-store": None}


# ages


@given(TIMES, st.integers(-10_000, 10_000), st.one_of(st.none(), st.integers(0, 100_000)), st.floats(0, 100), st.floats(0, 1e6))
def test_age_by_the_letter(received: float, skew: int, said: int | None, delay: float, later: float) -> None:
    """RFC 9111, section 4.2.3, as it is written there."""
    date = max(0.0, received + skew)
    headers = Headers([("Date", dates.written(date))] + ([] if said is None else [("Age", str(said))]))
    apparent_age = max(0.0, received - date)
    corrected_age_value = (said or 0) + delay
    current_age = max(apparent_age, corrected_age_value) + later
    assert received + later - made(headers, received - delay, received) == pytest.approx(current_age, abs=1e-3)


@given(st.one_of(st.none(), st.integers(0, 10**6)), st.floats(0, 2e6), st.integers(0, 10**6), st.integers(0, 10**5))
def test_a_record_is_given_while_it_is_fresh_and_no_longer(lifetime: int | None, age: float, swr: int, sie: int) -> None:
    """RFC 9111, section 4.2; RFC 5861."""
    record = stored(fresh_until=NOW + (lifetime or 0), swr=float(swr), sie=float(sie))
    now = NOW + age
    decision = decide(record, None, now)
    assert (decision == "hit") == (age < (lifetime or 0))
    assert (decision == "validate") == (age >= (lifetime or 0) + swr)
    assert bridges(record, None, now) == (age < (lifetime or 0) + sie)
    record.is_strict = True
    assert not bridges(record, None, now)


@given(
    st.floats(0, 1000),
    st.integers(0, 1000),
    st.one_of(st.none(), st.integers(0, 1000)),
    st.integers(0, 1000),
    st.integers(0, 1000),
    st.booleans(),
)
def test_wishes_only_ever_ask_for_more_but_for_max_stale(
    age: float, lifetime: int, max_age: int | None, min_fresh: int, max_stale: int, is_strict: bool
) -> None:
    record = stored(fresh_until=NOW + lifetime, is_strict=is_strict)
    now = NOW + age
    plain = decide(record, None, now)
    picky = decide(record, Wishes(max_age=max_age, min_fresh=min_fresh), now)
    assert picky == "validate" or plain == "hit"
    patient = decide(record, Wishes(max_stale=max_stale), now)
    assert (patient == "hit") == (age < lifetime or (not is_strict and 0 < max_stale >= age - lifetime))


@pytest.mark.parametrize(("fields", "found"), [
    ([], None),
    ([("Pragma", "no-cache")], Wishes(no_cache=True)),
    ([("Pragma", "x")], None),
    ([("Cache-Control", "max-age=60, no-cache")], Wishes(no_cache=True, max_age=60)),
    ([("Cache-Control", "max-stale")], Wishes(max_stale=FOREVER)),
    ([("Cache-Control", "max-stale=x, min-fresh=y, stale-if-error=z")], Wishes()),
    ([("Cache-Control", "ONLY-IF-CACHED"), ("Cache-Control", "no-store")], Wishes(only_if_cached=True, no_store=True)),
])  # fmt: skip
def test_what_is_wished(fields: list[tuple[str, str]], found: Wishes | None) -> None:
    assert wishes(Headers(fields)) == found


# storing


@given(
    st.dictionaries(
        st.sampled_from(["Cache-Control", "Expires", "Date", "Age", "Vary", "CDN-Cache-Control", "ETag", "Last-Modified"]), TEXT
    )
)
def test_whatever_an_origin_says_is_kept_or_refused_in_words(fields: dict[str, str]) -> None:
    found = draft(Request(Headers(), NOW, 0), Reply(200, Headers(fields)), NOW, Rule())
    assert found and isinstance(found, str | Draft)
    if isinstance(found, Draft):
        said = directives([fields.get("Cache-Control", "")])
        assert "CDN-Cache-Control" in fields or not {"no-store", "private"} & set(said)
        assert "*" not in [name.strip() for name in fields.get("Vary", "").split(",")]


@given(st.floats(0, 1))
def test_jitter_only_shortens(chance: float) -> None:
    found = draft(Request(Headers(), NOW, 0), Reply(200), NOW, Rule(ttl=100.0, jitter=0.2), chance)
    assert isinstance(found, Draft)
    assert 80.0 <= found.fresh_until - NOW <= 100.0


@given(
    st.lists(
        st.tuples(st.sampled_from(["A", "B", "ETag", "Cache-Control", "Content-Encoding"]), st.sampled_from(["x", "y", "max-age=9"])),
        max_size=6,
    )
)
def test_a_304_takes_the_place_of_all_fields_of_its_names_and_no_others(fields: list[tuple[str, str]]) -> None:
    """RFC 9111, section 3.2."""
    record = Record(
        200, (("A", "old"), ("B", "old"), ("C", "old"), ("Content-Encoding", "gzip")), Entity(b""), made=NOW, stored=NOW, fresh_until=NOW
    )
    found = refreshed(record, Request(Headers(), NOW, 0), Reply(304, Headers(fields)), NOW, Rule(ttl=60.0))
    assert isinstance(found, Draft)
    for name in ("A", "B", "C", "ETag", "Cache-Control"):
        sent = [value for key, value in fields if key == name]
        assert [value for key, value in found.fields if key == name] == (sent or (["old"] if name in "ABC" else []))
    assert ("Content-Encoding", "gzip") in found.fields


@pytest.mark.parametrize(("stored", "said", "is_updated"), [
    ("Content-Encoding: a", "Content-Encoding: b", True),  # section 3.2: all that nothing here depends upon
    ("Content-Encoding: a", "Content-Encoding: gzip", False),
    ("Content-Encoding: a, BR", "Content-Encoding: b", False),
    ("A: 1", "Content-Encoding: gzip", False),  # as an origin says that would have compressed a 200
    ("Content-Range: a", "Content-Range: b", True),
    ("A: 1", "Content-Range: bytes 0-1/9", False),
    ("A: 1", "Content-Length: 9", False),
])  # fmt: skip
def test_a_304_does_not_make_the_body_something_else(stored: str, said: str, is_updated: bool) -> None:
    before, after = tuple(stored.split(": ", 1)), tuple(said.split(": ", 1))
    record = Record(200, ((before[0], before[1]),), Entity(b"body"), made=NOW, stored=NOW, fresh_until=NOW)
    found = refreshed(record, Request(Headers(), NOW, 0), Reply(304, Headers([(after[0], after[1])])), NOW, Rule(ttl=60.0))
    assert isinstance(found, Draft)
    assert (after in found.fields, before in found.fields) == (is_updated, not is_updated or before[0] != after[0])


# Vary and variants


@given(st.lists(st.sampled_from(["en", "de;q=0.5", "fr", "*;q=0.1", "EN"]), min_size=1, max_size=5), st.randoms())
def test_preferences_in_any_order_and_any_space_are_the_same(members: list[str], random: object) -> None:
    other = members[:]
    random.shuffle(other)  # type: ignore[attr-defined]
    one = Headers([("Accept-Language", ",".join(members))])
    two = Headers([("accept-language", f" {' ,  '.join(other)} ".replace(";", " ; "))])
    assert normalised("accept-language", one) == normalised("accept-language", two)


@pytest.mark.parametrize(("one", "other", "is_same"), [
    ("de", "de;q=1", True),
    ("de;Q=1.000, en;q=0.50", "en;q=0.5,de", True),
    ("en;q=0.0", "en;q=0.", True),
    ("en", "en;q=0", False),
    ("en;q=0.5", "en;q=0.05", False),
    ("text/html;level=1;q=1", "text/html;level=1", True),
    ("en;q=1.5", "en", False),  # no weight
])  # fmt: skip
def test_weights_are_numbers(one: str, other: str, is_same: bool) -> None:
    """RFC 9110, section 12.4.2."""
    found, wanted = [normalised("accept", Headers([("Accept", value)])) for value in (one, other)]
    assert (found == wanted) == is_same


@pytest.mark.parametrize(("fields", "names"), [
    ([], set()),
    ([("Vary", "Foo, bar"), ("vary", "Baz")], {"foo", "bar", "baz"}),
    ([("Vary", "Foo, *")], None),
    ([("Access-Control-Allow-Origin", "https://a.test")], {"origin"}),  # Fetch, "CORS protocol and HTTP caches"
    ([("Access-Control-Allow-Origin", "*")], set()),
    ([("Access-Control-Allow-Origin", "null"), ("Vary", "Foo")], {"origin", "foo"}),
    ([("Access-Control-Allow-Origin", "https://a.test"), ("Vary", "*")], None),
])  # fmt: skip
def test_by_what_an_answer_was_chosen(fields: list[tuple[str, str]], names: set[str] | None) -> None:
    assert varies_by(Headers(fields)) == names


@given(st.lists(st.sampled_from("abc"), max_size=40))
def test_each_variant_is_there_once_and_found_by_what_it_was_chosen_by(values: list[str]) -> None:
    records: tuple[Record, ...] = ()
    newest = {}
    for value in values:
        headers = Headers([("Foo", value)])
        newest[value] = stored(vary=chosen_by(frozenset(["foo"]), headers))
        records = with_variant(records, newest[value])
    assert len(records) == len(newest)
    for value, record in newest.items():
        assert select(records, Headers([("foo", value)])) is record


# parts


@given(st.binary(max_size=50), st.integers(0, 60), st.one_of(st.none(), st.integers(0, 60)))
def test_a_part_is_that_of_the_whole(body: bytes, first: int, last: int | None) -> None:
    """RFC 9110, section 14.1.2, beside Python's slices."""
    reply = answer(stored(body=body), Headers([("Range", f"bytes={first}-{'' if last is None else last}")]), NOW)
    assert reply.entity is not None
    if last is not None and last < first:
        assert reply.status == 200
    elif first >= len(body):
        assert (reply.status, reply.headers["Content-Range"]) == (416, f"bytes */{len(body)}")
    else:
        assert (reply.status, reply.entity.data) == (206, body[first : None if last is None else last + 1])


@given(TEXT)
def test_no_condition_breaks_it(text: str) -> None:
    headers = Headers([("If-None-Match", text), ("Range", text), ("If-Range", text)])
    assert answer(stored(body=b"x", etag='"a"'), headers, NOW).status in (200, 206, 304, 416)


# tags


@pytest.mark.parametrize(("written", "content", "found"), [
    ("leads", None, ["leads"]),
    ("lead:{id}", None, ["lead:7"]),
    ("{a}-{id}!", None, ["x-7!"]),
    ("lead:{body.id}", {"id": 3}, ["lead:3"]),
    ("lead:{body.id}", [{"id": 3}, {"id": "x"}], ["lead:3", "lead:x"]),
    ("lead:{body.items.id}", {"items": [{"id": 1}, {"no": 2}, 3]}, ["lead:1"]),
    ("{id}:{body.a.b}", {"a": {"b": 1.5}}, ["7:1.5"]),
    ("{body.a}{body.b}", {"a": [1, 2], "b": [3, 4]}, ["13", "14", "23", "24"]),
    ("lead:{body.id}", {"id": None}, []),
    ("lead:{body.id}", {"id": True}, []),
    ("lead:{body.id}", {"id": {"x": 1}}, []),
    ("lead:{body.id}", "text", []),
    ("lead:{body.id}", None, []),
])  # fmt: skip
def test_tags_are_filled_in(written: str, content: object, found: list[str]) -> None:
    assert tags.Tag(written).fill({"id": "7", "a": "x"}, content) == found


def test_tags_are_bounded() -> None:
    assert len(tags.Tag("{body.a}{body.a}{body.a}").fill({}, {"a": list(range(100_000))})) == tags.MOST
    assert tags.bounded(["", "a", "a", "b" * 2000, *map(str, range(500))])[:3] == ("a", "0", "1")


@pytest.mark.parametrize("text", ["", "{", "a}", "{a-b}", "{body.}", "{{a}}", "{}"])
def test_what_is_no_tag(text: str) -> None:
    with pytest.raises(ValueError, match="no tag"):
        tags.Tag(text)


@given(TEXT)
def test_groups_are_well_formed_or_not_there(text: str) -> None:
    assert all(isinstance(name, str) for name in tags.groups(Headers([("Cache-Groups", text)])))


@pytest.mark.parametrize(
    ("text", "found"), [('"a", "b c"', ["a", "b c"]), ("a", []), ('"a", 1', ["a"]), ('"a', []), ('("a" "b"), "c"', ["c"]), ("", [])]
)
def test_groups(text: str, found: list[str]) -> None:
    """RFC 9875, section 2: a List of Strings; its parameters say nothing."""
    assert tags.groups(Headers([("Cache-Groups", text)])) == found


# what is kept of an answer


def drafted(status: int, *fields: tuple[str, str], asked: tuple[tuple[str, str], ...] = ()) -> Draft | str:
    request = Request(Headers(asked), NOW, 0)
    return draft(request, Reply(status, Headers([("Cache-Control", "max-age=60"), *fields]), b""), NOW, Rule())


@pytest.mark.parametrize("name", ["Proxy-Authenticate", "Proxy-Authentication-Info", "proxy-authorization"])
def test_what_a_proxy_says_for_itself_is_not_stored(name: str) -> None:
    """RFC 9111, section 3.1."""
    kept = drafted(200, (name, "x"), ("A", "1"))
    assert isinstance(kept, Draft)
    names = [field.lower() for field, _ in kept.fields]
    assert "a" in names and name.lower() not in names


def test_a_range_that_an_answer_does_not_have_says_nothing_of_the_answer() -> None:
    """RFC 9110, section 15.5.17: 416 is about the Range of one request, and the key knows no ranges, whatever max-age says."""
    assert drafted(416, asked=(("Range", "bytes=9-"),)) == "it is not the whole answer"


@pytest.mark.parametrize(("value", "is_kept"), [("bytes 0-0/5", False), ("Bytes */5", False), ("x", True), ("items 0-9/90", True)])
def test_a_range_of_bytes_is_taken_for_a_part_and_anything_else_for_nothing(value: str, is_kept: bool) -> None:
    """RFC 9110, section 14.4: beside 206 and 416 the field has no meaning."""
    assert isinstance(drafted(200, ("Content-Range", value)), Draft) == is_kept
