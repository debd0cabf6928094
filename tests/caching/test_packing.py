"""A record goes to Redis and comes back the same; whatever else is found there is none."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.caching.record import Record
from gateway.caching.redis.packing import FIELDS, VERSION, pack, unpack
from gateway.exchange import Entity
from tests.caching.records import record

TEXT = st.text(st.characters(codec=None), max_size=20)  # lone surrogates, too: bytes that were no UTF-8
PARAMETERS = set(inspect.signature(Record).parameters)


def values(one: Record) -> dict[str, Any]:
    return {name: getattr(one, name) for name in PARAMETERS - {"entity"}} | {"body": one.entity.data}


def test_every_field_of_a_record_is_packed() -> None:
    """Another field, or another meaning of one, wants another VERSION: others may run the version before on the same Redis."""
    assert {*FIELDS, "fields", "vary", "marks", "entity"} == PARAMETERS
    assert VERSION == b"gw:1\n"


@given(
    status=st.integers(200, 599),
    fields=st.lists(st.tuples(TEXT, TEXT), max_size=5).map(tuple),
    body=st.binary(max_size=200),
    reason=TEXT,
    made=st.floats(0, 4e9),
    vary=st.lists(st.tuples(TEXT, st.none() | TEXT), max_size=3).map(tuple),
    marks=st.lists(TEXT, max_size=3).map(tuple),
    last_modified=st.none() | st.floats(0, 4e9),
    is_strict=st.booleans(),
    stamp=st.integers(0, 2**53),
)
def test_what_is_packed_is_unpacked(status: int, fields: Any, body: bytes, made: float, **more: Any) -> None:
    one = Record(
        status, fields, Entity(body), made=made, stored=made + 1, fresh_until=made + 9.5, swr=1.5, sie=2.5, etag='"1"', route="r", **more
    )
    packed = unpack(pack(one))
    assert packed is not None
    found = packed.record()
    assert found is not None and values(found) == values(one)


def test_a_body_in_pieces_is_put_together_or_is_none() -> None:
    packed = unpack(pack(record(b"abc" * 100), "name"))
    assert packed is not None and packed.pieces == "name" and packed.record() is None
    found = packed.record(b"abc" * 100)
    assert found is not None and found.entity.data == b"abc" * 100
    assert packed.record(b"abd" * 100) is None
    assert packed.record(b"abc" * 99) is None


GOOD = pack(record())


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_one_byte_that_is_another_makes_it_none(place: int, change: int) -> None:
    broken = bytearray(GOOD)
    broken[place] ^= change
    packed = unpack(bytes(broken))
    assert packed is None or packed.record() is None


@given(st.integers(0, len(GOOD) - 1))
def test_one_that_is_cut_is_none(length: int) -> None:
    packed = unpack(GOOD[:length])
    assert packed is None or packed.record() is None


@pytest.mark.parametrize("garbage", [b"", b"gw:2\n" + GOOD[5:], b"hello", VERSION, VERSION + bytes(8), 7, None, "gw:1\n", []])
def test_what_is_none_of_ours_is_none(garbage: object) -> None:
    packed = unpack(garbage)
    assert packed is None or packed.record() is None
