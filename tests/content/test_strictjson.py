"""JSON with one meaning: what is taken, what is refused, and that what is taken means the same to another reader."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.errors import GatewayError, InvalidJson, TooComplex
from gateway.strictjson import Limits, loads
from tests.content.documents import BAD, GOOD

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=30,
)


@pytest.mark.parametrize("document", GOOD)
def test_what_is_taken_means_the_same_to_another_reader(document: bytes) -> None:
    assert loads(document, Limits()) == loads(document) == json.loads(document)


@pytest.mark.parametrize("document", BAD)
def test_what_is_no_json_of_one_meaning_is_refused(document: bytes) -> None:
    for limits in (None, Limits()):
        with pytest.raises(InvalidJson) as refused:
            loads(document, limits)
        assert refused.value.status == 400
        assert refused.value.type == "urn:gateway:problem:invalid-json"


def test_there_are_enough_of_both() -> None:
    assert len(set(GOOD)) >= 100
    assert len(set(BAD)) >= 200


@given(VALUES, st.booleans(), st.sampled_from([None, 1]))
def test_any_value_is_read_as_json_reads_it(value: Any, ascii: bool, indent: int | None) -> None:  # noqa: A002 - as json calls it
    text = json.dumps(value, ensure_ascii=ascii, indent=indent)
    try:
        document = text.encode()
    except UnicodeEncodeError:
        document = b'"\xed\xa0\x80"'
    try:
        found = loads(document)
    except InvalidJson:
        assert "\\ud" in text or any("\ud800" <= character <= "\udfff" for character in text)
    else:
        assert json.loads(json.dumps(found)) == json.loads(document)


@given(st.binary(max_size=60) | st.text('{}[]",:\\u0061d8nulltrfase1e9-. ', max_size=40).map(str.encode))
@example(b'{"a":1,"\\u0061":2}')
@example(b'["\\\\","\\"\\\\"]')
def test_no_bytes_raise_anything_else_and_what_passes_has_no_second_reading(document: bytes) -> None:
    try:
        found = loads(document, Limits(8, 100, 10, 10, 20, 50))
    except GatewayError:
        return
    names: list[list[str]] = []

    def whole(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names.append([name for name, _ in pairs])
        return dict(pairs)

    assert json.loads(document, object_pairs_hook=whole) == found
    assert all(len(set(ones)) == len(ones) for ones in names)


SMALL = Limits(depth=3, values=12, members=4, elements=5, name=6, string=10)


@pytest.mark.parametrize(
    ("document", "is_taken"),
    [
        (b"[[[]]]", True),
        (b"[[[[]]]]", False),
        (b'{"a":[{}]}', True),
        (b'{"a":[{"b":[]}]}', False),
        (b'["[[[[[[[["]', True),
        (b'["[[[[\\"[[[[", []]', True),
        (b'["\\"[[[["]', True),
        (b"[0,0,0,0,0]", True),
        (b"[0,0,0,0,0,0]", False),
        (b'[",,,,,,,,"]', True),
        (b'{"a":1,"b":2,"c":3,"d":4}', True),
        (b'{"a":1,"b":2,"c":3,"d":4,"e":5}', False),
        (b'{"abcdef":1}', True),
        (b'{"abcdefg":1}', False),
        (b'["0123456789"]', True),
        (b'["0123456789a"]', False),
        (b'["\\u0030\\u0031"]', True),  # two characters, whatever they are written as
        (('["' + "é" * 10 + '"]').encode(), True),
        (b"[[0,0,0],[0,0,0],[0,0]]", True),
        (b"[[0,0,0],[0,0,0],[0,0,0,0]]", False),
        (b"[[],[],[],[],[]]", True),
    ],
)
def test_limits(document: bytes, is_taken: bool) -> None:
    if is_taken:
        loads(document, SMALL)
    else:
        with pytest.raises(TooComplex) as refused:
            loads(document, SMALL)
        assert refused.value.status == 422


@pytest.mark.parametrize(
    "document",
    [
        b"[" * 500_000,
        b"[" * 250_000 + b"]" * 250_000,
        b"[" + b"[]," * 300_000 + b"[]]",
        b'{"a":' * 100_000,
        b"[" + b'"",' * 300_000 + b'""]',
    ],
)
def test_a_bomb_is_refused_before_it_is_parsed(document: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    def parsed(data: bytes) -> None:
        raise AssertionError("it has been parsed")

    monkeypatch.setattr("gateway.strictjson.orjson.loads", parsed)
    with pytest.raises(TooComplex):
        loads(document, Limits())


def test_without_limits_as_much_is_taken_as_can_be_written_again() -> None:
    assert loads(b"[" * 250 + b"]" * 250)
    with pytest.raises(TooComplex):
        loads(b"[" * 300 + b"]" * 300)


@pytest.mark.parametrize(
    ("document", "detail"),
    [
        (b" ", "The body is empty."),
        (b"\xef\xbb\xbf[]", "The body begins with a byte order mark."),
        (b'["\xff"]', "The body is not UTF-8: byte 2 is none of it."),
        (b'{\n "secret": hidden}', "It cannot be read at line 2, column 12."),
        (b'{"secret":1,"secret":2}', "An object has two members of one name."),
        (b"[123456789012345678901234567890]", "An integer has more than 64 bits; write it as a string."),
    ],
)
def test_what_the_client_is_told_repeats_nothing_of_what_it_sent(document: bytes, detail: str) -> None:
    with pytest.raises(InvalidJson) as refused:
        loads(document)
    assert refused.value.detail == detail
