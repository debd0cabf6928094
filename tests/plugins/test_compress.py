"""Which coding a client gets (RFC 9110, section 12.5.3), what of a reply changes with it, and what is left as it is."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Mapping
from typing import Any

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.exchange import Entity, Exchange, HeaderBlock, Headers, Reply
from gateway.pipeline import Pipeline
from gateway.stream import Stream
from gateway.testing import FakeUpstream, exchange, load, pipeline, run, streamed
from tests.support import RawUpstream, gateway, raw

TEXT = b'{"name": "Ada Lovelace", "company": "Analytical Engines"}, ' * 100
JSON = {"Content-Type": "application/json"}
BROWSER = "gzip, deflate, br, zstd"


def decode(coding: str | None, data: bytes) -> bytes:
    if coding == "gzip":
        return zlib.decompress(data, 31)
    if coding == "br":
        return bytes(brotli.decompress(data))
    return data if coding is None else zstandard.ZstdDecompressor().decompressobj().decompress(data)


def answered(
    reply: Reply, accept: str | None = BROWSER, settings: object = None, method: str = "GET", headers: Mapping[str, str] | None = None
) -> Reply:
    fields = dict(headers or {}) | ({} if accept is None else {"Accept-Encoding": accept})
    return run(pipeline(load("compress", settings), upstream=FakeUpstream(reply)), exchange(method, "/", fields))


def body(reply: Reply) -> bytes:
    assert reply.entity is not None
    return reply.entity.data


@pytest.mark.parametrize(
    ("accept", "coding"),
    [
        (BROWSER, "zstd"),
        ("gzip, deflate, br", "br"),
        ("gzip", "gzip"),
        ("GZip", "gzip"),
        ("x-gzip", "gzip"),  # RFC 9110, section 8.4.1.3
        ("br;q=1.0, gzip;q=0.8", "br"),
        ("br;q=0.2, gzip;q=0.8", "gzip"),
        ("zstd;q=0, br;q=0, gzip", "gzip"),
        ("zstd;q=0.000, br;q=0., gzip;q=0.001", "gzip"),
        ("*", "zstd"),
        ("*;q=0.5, zstd;q=0", "br"),
        ("gzip;q=0.5, *;q=0", "gzip"),
        ("gzip ; q=0.5 ,\tbr ;q=0.4", "gzip"),
        (", gzip,, ", "gzip"),  # empty members of a list are passed over (section 5.6.1)
        ("gzip, gzip;q=0", "gzip"),
        ("identity;q=0, gzip;q=0.1", "gzip"),
        ("identity;q=0.5, gzip;q=0.5", "gzip"),
        (None, None),
        ("", None),
        ("identity", None),
        ("deflate", None),
        ("gzip;q=0", None),
        ("*;q=0", None),  # nothing is acceptable: then without a coding
        ("identity;q=0", None),
        ("identity, gzip;q=0.5", None),
        ("*, gzip;q=0.5, br;q=0, zstd;q=0", None),  # * is identity, too
        ("gzip;q=1.5", None),  # no weights
        ("gzip;q=-1", None),
        ("gzip;q=abc", None),
        ("gzip;q=0.1234", None),
        ("gzip q=1", None),
        ("gzip;level=9", None),
        ("gzi", None),
    ],
)
def test_the_coding_that_the_client_weighs_highest(accept: str | None, coding: str | None) -> None:
    reply = answered(Reply(200, Headers(JSON), TEXT), accept)
    assert reply.headers.get("Content-Encoding") == coding
    assert decode(coding, body(reply)) == TEXT
    assert reply.headers["Vary"] == "Accept-Encoding"  # also of the plain one: others get another


@given(st.text(st.sampled_from("gzipbrstd*identy;q=0.15,- \t"), max_size=60))
def test_whatever_is_asked_the_body_is_what_the_fields_say(accept: str) -> None:
    reply = answered(Reply(200, Headers(JSON), TEXT), accept)
    coding = reply.headers.get("Content-Encoding")
    assert coding is None or coding in accept.lower() or "*" in accept
    assert decode(coding, body(reply)) == TEXT


def test_two_fields_are_one_list() -> None:
    plugin = load("compress")
    ex = exchange(headers=[("Accept-Encoding", "br;q=0.1"), ("accept-encoding", "gzip")])
    assert run(pipeline(plugin, upstream=FakeUpstream(Reply(200, Headers(JSON), TEXT))), ex).headers["Content-Encoding"] == "gzip"


@pytest.mark.parametrize(
    ("status", "fields", "why"),
    [
        (200, {"Content-Type": "text/event-stream"}, "each event is to arrive at once"),
        (200, {"Content-Type": "text/event-stream; charset=utf-8"}, "with a parameter"),
        (200, {"Content-Type": "image/png"}, "compressed already"),
        (200, {"Content-Type": "application/octet-stream"}, "nobody knows what"),
        (200, {}, "no type"),
        (200, {"Content-Type": ""}, "an empty type"),
        (200, JSON | {"Content-Encoding": "gzip"}, "encoded already"),
        (200, JSON | {"Cache-Control": "no-transform"}, "RFC 9111, section 5.2.2.6"),
        (200, JSON | {"Cache-Control": "public, No-Transform , max-age=1"}, "in a list"),
        (206, JSON | {"Content-Range": "bytes 0-5999/9000"}, "a part"),
        (204, JSON, "no content"),
        (205, JSON, "no content"),
    ],
)
def test_what_is_left_as_it_is(status: int, fields: dict[str, str], why: str) -> None:
    before = fields | {"ETag": '"1"', "Accept-Ranges": "bytes"}
    reply = answered(Reply(status, Headers(before), TEXT))
    assert dict(reply.headers) == before, why
    assert body(reply) == TEXT


def test_no_transform_is_a_directive_and_no_part_of_a_name() -> None:
    fields = JSON | {"Cache-Control": "x-no-transform, no-transform-at-all"}
    assert answered(Reply(200, Headers(fields), TEXT)).headers["Content-Encoding"] == "zstd"


def test_two_types_say_nothing() -> None:
    reply = answered(Reply(200, Headers([("Content-Type", "text/html"), ("Content-Type", "text/plain")]), TEXT))
    assert "Content-Encoding" not in reply.headers


@pytest.mark.parametrize(
    "content_type", ["text/html; charset=utf-8", "TEXT/HTML", "application/problem+json", "image/svg+xml", "text/x-new"]
)
def test_types_that_are_worth_it(content_type: str) -> None:
    assert answered(Reply(200, Headers({"Content-Type": content_type}), TEXT)).headers["Content-Encoding"] == "zstd"


@pytest.mark.parametrize(
    ("size", "accept", "coding"),
    [
        (1023, "gzip", None),
        (1024, "gzip", "gzip"),
        (1023, "gzip, identity;q=0", "gzip"),
        (1023, "gzip, *;q=0", "gzip"),
        (0, "gzip, *;q=0", None),
    ],
)
def test_small_bodies_are_sent_as_they_are_to_those_who_take_them(size: int, accept: str, coding: str | None) -> None:
    reply = answered(Reply(200, Headers(JSON), bytes(size)), accept)
    assert reply.headers.get("Content-Encoding") == coding
    assert ("Vary" in reply.headers) is (coding is not None)
    assert decode(coding, body(reply)) == bytes(size)


def test_fields_that_would_lie_of_the_encoded_form() -> None:
    fields = JSON | {"ETag": '"1"', "Accept-Ranges": "bytes", "Digest": "sha-256=x", "Repr-Digest": "sha-256=:x:", "Vary": "Origin"}
    reply = answered(Reply(200, Headers(fields), TEXT), "br")
    assert dict(reply.headers) == JSON | {"ETag": 'W/"1"', "Vary": "Origin, Accept-Encoding", "Content-Encoding": "br"}


@pytest.mark.parametrize("vary", ["*", "accept-encoding", "Origin, ACCEPT-ENCODING", "Foo, *"])
def test_a_vary_that_says_it_already(vary: str) -> None:
    assert answered(Reply(200, Headers(JSON | {"Vary": vary}), TEXT)).headers.getall("Vary") == [vary]


def test_a_weak_tag_stays_and_two_say_nothing() -> None:
    assert answered(Reply(200, Headers(JSON | {"ETag": 'W/"1"'}), TEXT)).headers["ETag"] == 'W/"1"'


@pytest.mark.parametrize(
    ("condition", "tag"),
    [('W/"1"', 'W/"1"'), ('"0", W/"1"', 'W/"1"'), ('"1"', '"1"'), ("*", '"1"'), (None, '"1"')],
)
def test_a_304_has_the_tag_under_which_the_client_knows_its_copy(condition: str | None, tag: str) -> None:
    """RFC 9111, section 4.3.4: with a strong validator that no stored response has, a 304 updates none."""
    headers = {} if condition is None else {"If-None-Match": condition}
    reply = answered(Reply(304, Headers({"ETag": '"1"'})), headers=headers)
    assert reply.headers["ETag"] == tag
    assert reply.headers.get("Vary") == ("Accept-Encoding" if tag.startswith("W/") else None)


def test_the_upstream_is_asked_for_plain_bytes() -> None:
    upstream = FakeUpstream(Reply(200, Headers(JSON), TEXT))
    run(pipeline(load("compress"), upstream=upstream), exchange(headers={"Accept-Encoding": "gzip", "Accept": "*/*"}))
    assert [dict(headers) for _, _, headers, _ in upstream.requests] == [{"Accept": "*/*"}]


def test_what_is_repeated_is_not_serialized_anew_without_it() -> None:
    block = HeaderBlock(Headers({"Accept": "*/*", "Accept-Encoding": "gzip"}))
    blocks = []
    for _ in range(2):
        ex = Exchange("GET", "/", "/", "", block.headers.copy())
        ex.repeats(block, "")
        ex.take_header("Accept-Encoding")
        assert ex.is_untouched and ex.block is not None and dict(ex.block.headers) == dict(ex.headers) == {"Accept": "*/*"}
        blocks.append(ex.block)
    assert blocks[0] is blocks[1]


def test_a_field_that_was_added_is_removed_too() -> None:
    ex = Exchange("GET", "/", "/", "", Headers({"Accept": "*/*"}))
    ex.repeats(HeaderBlock(ex.headers.copy()), "")
    ex.add_header("Accept-Encoding", "gzip")
    ex.take_header("Accept-Encoding")
    assert ex.is_untouched and ex.added == "" and dict(ex.headers) == {"Accept": "*/*"}


@pytest.mark.parametrize("coding", ["zstd", "br", "gzip"])
@pytest.mark.parametrize("repeat", [1, 1000])
def test_what_is_stored_is_encoded_once_in_its_life(coding: str, repeat: int) -> None:
    """A cache makes its replies of one entity: with a small body at once, with a large one off the loop."""
    stored = Entity(TEXT * repeat)

    def hit(ex: Exchange) -> Reply:
        reply = Reply(200, Headers(JSON))
        reply.entity = stored
        return reply

    made = pipeline(load("compress"), upstream=FakeUpstream(hit))
    first, second = (run(made, exchange(headers={"Accept-Encoding": coding})) for _ in range(2))
    assert body(first) is body(second) is stored.encoded[coding]
    assert decode(coding, body(first)) == stored.data
    assert run(made, exchange()).entity is stored
    head = run(made, exchange("HEAD", headers={"Accept-Encoding": coding}))
    assert len(body(head)) == len(body(first))


async def test_many_who_want_the_same_at_once_have_it_encoded_once_also_when_the_first_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = Entity(TEXT * 1000)

    def hit(ex: Exchange) -> Reply:
        reply = Reply(200, Headers(JSON))
        reply.entity = stored
        return reply

    plugin = load("compress")
    made = pipeline(plugin, upstream=FakeUpstream(hit))
    calls = 0
    gate = asyncio.Event()

    async def run_blocking(work: Any) -> Any:
        nonlocal calls
        calls += 1
        await gate.wait()
        return work()

    plugin.host = type("Host", (), {"run_blocking": staticmethod(run_blocking)})()
    clients = [asyncio.create_task(made.answer(exchange(headers={"Accept-Encoding": "gzip"}))) for _ in range(5)]
    await asyncio.sleep(0)
    clients[0].cancel()
    await asyncio.sleep(0)
    gate.set()
    replies = await asyncio.gather(*clients[1:])
    assert calls == 1
    assert {body(reply) for reply in replies} == {stored.encoded["gzip"]}
    await asyncio.sleep(0)
    assert not plugin._under_way  # type: ignore[attr-defined]


@pytest.mark.parametrize(("length", "told"), [(6000, None), (None, None), (100, 100)])
def test_the_head_is_that_of_a_get(length: int | None, told: int | None) -> None:
    reply = answered(Reply(200, Headers(JSON | {"ETag": '"1"'}), b"", length=length), method="HEAD")
    assert reply.length == told
    encoded = {"ETag": 'W/"1"', "Content-Encoding": "zstd", "Vary": "Accept-Encoding"}
    assert dict(reply.headers) == JSON | ({"ETag": '"1"'} if told else encoded)


async def streamed_through(made: Pipeline, ex: Exchange) -> tuple[Reply, list[bytes]]:
    reply = await made.answer(ex)
    assert reply.stream is not None
    pieces = []
    while piece := await reply.stream.read():
        pieces.append(piece)
    return reply, pieces


@pytest.mark.parametrize("coding", ["zstd", "br", "gzip"])
@pytest.mark.parametrize("size", [10, 200, 100_000])
async def test_a_stream_is_encoded_piece_by_piece(coding: str, size: int) -> None:
    pieces = [bytes([65 + n]) * size for n in range(20)]
    upstream = FakeUpstream(Reply(200, Headers(JSON), None, stream=streamed(*pieces), length=20 * size if size > 200 else None))
    made = pipeline(load("compress"), upstream=upstream)
    reply, sent = await streamed_through(made, exchange(headers={"Accept-Encoding": coding}))
    assert reply.length is None
    assert decode(coding, b"".join(sent)) == b"".join(pieces)


@pytest.mark.parametrize("coding", ["zstd", "br", "gzip"])
async def test_what_has_come_is_sent_and_does_not_wait_for_more(coding: str) -> None:
    stream = Stream(asyncio.get_running_loop())
    made = pipeline(
        load("compress"), upstream=FakeUpstream(Reply(200, Headers({"Content-Type": "application/x-ndjson"}), None, stream=stream))
    )
    reply = await made.answer(exchange(headers={"Accept-Encoding": coding}))
    assert reply.stream is not None
    decoders: dict[str, Any] = {
        "gzip": lambda: zlib.decompressobj(31).decompress,
        "br": lambda: brotli.Decompressor().process,
        "zstd": lambda: zstandard.ZstdDecompressor().decompressobj().decompress,
    }
    decoder = decoders[coding]()
    for n in range(3):
        stream.feed(b'{"n": %d}\n' % n)
        assert decoder(await reply.stream.read()) == b'{"n": %d}\n' % n
    stream.end()
    assert decoder(await reply.stream.read()) == b""
    assert await reply.stream.read() == b""


async def test_a_stream_that_is_cut_stays_cut_and_one_given_up_is_given_up() -> None:
    for cut in (True, False):
        stream = Stream(asyncio.get_running_loop())
        abandoned = asyncio.Event()
        stream.abandoned = abandoned.set
        made = pipeline(load("compress"), upstream=FakeUpstream(Reply(200, Headers(JSON), None, stream=stream)))
        reply = await made.answer(exchange(headers={"Accept-Encoding": "gzip"}))
        assert reply.stream is not None
        stream.feed(TEXT)
        assert await reply.stream.read()
        if cut:
            stream.fail(ConnectionError("cut"))
            with pytest.raises(ConnectionError):
                await reply.stream.read()
        else:
            reply.abandon()
            assert abandoned.is_set()


async def test_a_reader_above_may_read_what_is_encoded_and_have_it_sent_all_the_same() -> None:
    made = pipeline(load("compress"), upstream=FakeUpstream(Reply(200, Headers(JSON), None, stream=streamed(TEXT, TEXT))))
    reply = await made.answer(exchange(headers={"Accept-Encoding": "gzip"}))
    data = await reply.read(1 << 20)
    assert data is not None and decode("gzip", data) == TEXT * 2
    assert body(reply) == data


@pytest.mark.parametrize(
    "settings",
    [
        {"encodings": ["deflate"]},
        {"encodings": []},
        {"encodings": ["br", "br"]},
        {"min_size": 1024},
        {"types": ["json"]},
        {"types": ["Text/HTML"]},
        {"types": ["text/html; charset=utf-8"]},
        {"level": 9},
    ],
)
def test_mistakes_are_refused(settings: object) -> None:
    with pytest.raises(ValidationError):
        load("compress", settings)


def test_a_bare_list_is_that_of_the_encodings_and_its_order_that_of_equals() -> None:
    assert answered(Reply(200, Headers(JSON), TEXT), settings=["gzip", "zstd"]).headers["Content-Encoding"] == "gzip"


def test_explain() -> None:
    plugin = load("compress")
    ex = exchange(headers={"Accept-Encoding": "br"})
    assert plugin.explain(ex) == "encodes a reply that is worth it with br"
    assert "Accept-Encoding" not in ex.headers
    assert plugin.explain(ex) == "sends replies as they are"


POLICY = """
version: 1
upstreams: {{leads: {{targets: ["{url}"]}}}}
plugins: [compress]
routes: [{{match: /**, upstream: leads}}]
"""


async def test_over_real_sockets_with_a_length_without_one_and_for_http_1_0() -> None:
    chunked = b'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nETag: "1"\r\nTransfer-Encoding: chunked\r\n\r\n' + b"".join(
        b"%x\r\n%b\r\n" % (len(TEXT), TEXT) for _ in range(3)
    )
    whole = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%b" % (len(TEXT), TEXT)
    replies = iter([whole, *[chunked + b"0\r\n\r\n"] * 2])
    async with RawUpstream(lambda _: [next(replies)]) as upstream, gateway(POLICY.format(url=upstream.url)) as running:
        for version, expected in (("1.1", TEXT), ("1.1", TEXT * 3), ("1.0", TEXT * 3)):
            head = f"GET / HTTP/{version}\r\nHost: a\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n"
            (answer,) = await raw(running.port, head.encode())
            assert answer.get(b"content-encoding") == b"gzip"
            assert decode("gzip", answer.body) == expected
        assert not any(received.all(b"accept-encoding") for received in upstream.received)
