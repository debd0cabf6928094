"""The largest body of a route: announced, streamed, or read before."""

from __future__ import annotations

import asyncio

import orjson
import pytest
from pydantic import ValidationError

from gateway.exchange import Exchange, Headers
from gateway.testing import FakeUpstream, exchange, host, load, pipeline, run, streamed


@pytest.mark.parametrize(
    ("settings", "length", "status"),
    [
        ("10B", 10, 200),
        ("10B", 11, 413),
        ({"max": "10B"}, 11, 413),
        ("1KiB", 1024, 200),
        ("1KiB", 1025, 413),
        ("2MiB", 2 << 20, 200),  # above the server's default of 1 MiB
        ("0B", 0, 200),
        ("0B", 1, 413),
    ],
)
def test_an_announced_length(settings: object, length: int, status: int) -> None:
    upstream = FakeUpstream()
    reply = run(pipeline(load("body_limit", settings), upstream=upstream), exchange("POST", body=b"x" * length))
    assert reply.status == status
    assert len(upstream.requests) == (status == 200)  # refused before anything is sent


def test_no_body_is_never_too_large() -> None:
    assert run(pipeline(load("body_limit", "0B"), upstream=FakeUpstream()), exchange("GET")).status == 200


@pytest.mark.parametrize(("pieces", "status"), [((b"12345", b"67890"), 200), ((b"12345", b"67890", b"1"), 413)])
async def test_a_streamed_body(pieces: tuple[bytes, ...], status: int) -> None:
    ex = Exchange("POST", "/", "/", "", Headers(), stream=streamed(*pieces))
    assert (await pipeline(load("body_limit", "10B"), upstream=FakeUpstream()).answer(ex)).status == status


async def test_a_body_that_was_read_before() -> None:
    """Chunked, and read by a plugin above under the server's larger limit: no length was announced."""
    ex = Exchange("POST", "/", "/", "", Headers(), stream=streamed(b"x" * 11))
    await ex.body()
    assert (await pipeline(load("body_limit", "10B"), upstream=FakeUpstream()).answer(ex)).status == 413


@pytest.mark.parametrize(("length", "notes"), [(10, None), (11, [("observe", {"plugin": "body_limit", "status": 413})])])
def test_observe_lets_all_pass_and_says_so(length: int, notes: object) -> None:
    """The limit is not the upstream's either, which asks for it once more."""
    plugin = load("body_limit", "10B", host=host(mode="observe"))
    ex = exchange("POST", body=b"x" * length)
    assert run(pipeline(plugin, upstream=FakeUpstream(), mode="observe"), ex).status == 200
    assert ex.notes == notes
    assert ex.body_limit == 1 << 20


def test_the_problem_tells_the_limit() -> None:
    reply = run(pipeline(load("body_limit", "1KiB")), exchange("POST", body=b"x" * 1025))
    assert reply.entity is not None and orjson.loads(reply.entity.data)["limit"] == 1024


def test_a_route_replaces_the_common_limit() -> None:
    assert type(load("body_limit", "1B")).once


@pytest.mark.parametrize("settings", [{}, 10, "10", "10mb", "-1B", {"max": "1MiB", "min": "1B"}])
def test_refused_at_load(settings: object) -> None:
    with pytest.raises(ValidationError):
        load("body_limit", settings)


def test_nothing_is_answered_here() -> None:
    reply = asyncio.run(pipeline(load("body_limit", "1B"), upstream=FakeUpstream()).answer(exchange()))
    assert reply.status == 200
