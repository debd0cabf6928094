"""`Host.fetch`: what lies below a plugin answers once more, on its own, and no client has to do with it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.errors import BadGateway, GatewayError, Unavailable, UpstreamTimeout
from gateway.exchange import End, Exchange, Headers, Reply
from gateway.pipeline import Pipeline
from gateway.plugin import Plugin
from gateway.stream import Stream
from gateway.testing import Clock, FakeUpstream, exchange, host, pipeline, streamed


class Noting(Plugin[Any]):
    """Notes in `seen` that a hook was called, and with which request."""

    def __init__(self, name: str, seen: list[tuple[str, str]]) -> None:
        self.host = host(clock=Clock())
        self.name, self.seen = name, seen
        self.ends: list[End] = []

    def on_request(self, ex: Exchange) -> None:
        self.seen.append((self.name, "request"))

    def on_response(self, ex: Exchange, reply: Reply) -> None:
        self.seen.append((self.name, "response"))
        reply.headers[self.name] = "passed"

    def on_chunk(self, ex: Exchange, chunk: bytes) -> bytes:
        return chunk + self.name.encode()

    def on_end(self, ex: Exchange, end: End) -> None:
        self.ends.append(end)


def stack(upstream: FakeUpstream) -> tuple[Pipeline, Noting, Noting, Noting, list[tuple[str, str]]]:
    seen: list[tuple[str, str]] = []
    above, asking, below = (Noting(name, seen) for name in ("above", "asking", "below"))
    return pipeline(above, asking, below, upstream=upstream), above, asking, below, seen


async def test_only_what_is_below_answers() -> None:
    upstream = FakeUpstream(lambda ex: Reply(203, Headers([("Upstream", "yes")]), b"body."))
    _, above, asking, below, seen = stack(upstream)
    ex = exchange("POST", "/a?b=c", {"If-None-Match": '"1"', "Cookie": "a"}, b"sent", client="192.0.2.9", params={"id": "7"})
    reply = await asking.host.fetch(ex, {"If-None-Match": '"2"', "Cookie": None})
    assert seen == [("below", "request"), ("below", "response")]
    assert reply.entity is not None
    assert (reply.status, reply.entity.data, "above" in reply.headers) == (203, b"body.below", False)
    method, target, headers, body = upstream.requests[0]
    assert (method, target, headers.get("If-None-Match"), "Cookie" in headers, body) == ("POST", "/a?b=c", '"2"', False, b"sent")
    assert (ex.headers["If-None-Match"], ex.headers["Cookie"], ex.attempts) == ('"1"', "a", ())
    assert [(end.status, end.bytes_out, len(end.attempts), end.error, end.truncated) for end in below.ends] == [(203, 10, 1, None, False)]
    assert above.ends == asking.ends == []


async def test_the_last_plugin_asks_the_upstream_alone() -> None:
    _, _, _, below, seen = stack(FakeUpstream())
    reply = await below.host.fetch(exchange())
    assert (reply.status, seen) == (200, [])


async def test_a_refusal_below_is_an_answer_as_a_client_would_have_it() -> None:
    upstream = FakeUpstream(Unavailable("Later."))
    _, _, asking, below, _ = stack(upstream)
    reply = await asking.host.fetch(exchange())
    assert (reply.status, reply.headers["below"]) == (503, "passed")
    assert isinstance(below.ends[0].error, Unavailable) and not below.ends[0].truncated


async def test_an_answer_that_is_too_long_is_none() -> None:
    def answer(ex: Exchange) -> Reply:
        stream = streamed(b"12345", b"67890")
        return Reply(200, body=None, stream=stream)

    _, _, asking, below, _ = stack(FakeUpstream(answer))
    with pytest.raises(BadGateway):
        await asking.host.fetch(exchange(), limit=9)
    assert below.ends[0].truncated and isinstance(below.ends[0].error, BadGateway)
    assert (await asking.host.fetch(exchange(), limit=10)).entity is not None


async def test_an_answer_that_is_cut_is_none() -> None:
    def answer(ex: Exchange) -> Reply:
        stream = Stream(asyncio.get_running_loop())
        stream.fail(BadGateway(reason="cut"))
        return Reply(200, body=None, stream=stream)

    _, _, asking, below, _ = stack(FakeUpstream(answer))
    with pytest.raises(GatewayError):
        await asking.host.fetch(exchange())
    assert [end.truncated for end in below.ends] == [True]


class Slow(FakeUpstream):
    async def send(self, ex: Exchange, pipeline: Pipeline) -> Reply:
        await asyncio.Event().wait()
        raise AssertionError


async def test_an_answer_that_does_not_come_is_none() -> None:
    _, _, asking, below, _ = stack(Slow())
    with pytest.raises(UpstreamTimeout):
        await asking.host.fetch(exchange(), within=0.01)
    assert [(end.status, type(end.error)) for end in below.ends] == [(None, UpstreamTimeout)]


async def test_cancelled_it_still_ends_below() -> None:
    _, _, asking, below, _ = stack(Slow())
    task = asyncio.create_task(asking.host.fetch(exchange()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [(end.status, end.error) for end in below.ends] == [(None, None)]


async def test_a_body_that_nobody_has_read_cannot_be_sent_twice() -> None:
    _, _, asking, _, _ = stack(FakeUpstream())
    ex = exchange("POST")
    ex.stream = streamed(b"once")
    with pytest.raises(ValueError, match="has not been read"):
        await asking.host.fetch(ex)
    await ex.body()
    assert (await asking.host.fetch(ex)).status == 200


async def test_of_a_policy_that_is_gone_nothing_answers() -> None:
    with pytest.raises(Unavailable):
        await Noting("alone", []).host.fetch(exchange())


async def test_a_plugin_of_another_pipeline_has_nothing_below_it() -> None:
    stranger = Noting("stranger", [])
    made, *_ = stack(FakeUpstream())
    with pytest.raises(LookupError):
        made.below(stranger.host)
