"""A timed pipeline does what the pipeline does, and tells how long each plugin took."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from gateway.exchange import Exchange, Reply
from gateway.pipeline import Pipeline
from gateway.plugin import NoSettings, Plugin, Unavailable
from gateway.testing import Clock, FakeUpstream, exchange, host, pipeline, run
from gateway.timing import TimedPipeline

CLOCK = Clock(0.0)


class Slow(Plugin[NoSettings]):
    def on_request(self, ex: Exchange) -> Reply | None:
        CLOCK.advance(1)
        return None

    def on_response(self, ex: Exchange, reply: Reply) -> None:
        CLOCK.advance(2)
        reply.headers.add("Passed", "slow")


class Waiting(Plugin[NoSettings]):
    async def on_request(self, ex: Exchange) -> Reply | None:
        await asyncio.sleep(0)
        CLOCK.advance(4)
        return None

    async def on_response(self, ex: Exchange, reply: Reply) -> Reply | None:
        CLOCK.advance(8)
        return None


class Future(Plugin[NoSettings]):
    def on_request(self, ex: Exchange) -> Awaitable[Reply | None]:
        CLOCK.advance(32)
        answer: asyncio.Future[Reply | None] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(CLOCK.advance, 64)
        asyncio.get_running_loop().call_soon(answer.set_result, None)
        return answer


class Failing(Plugin[NoSettings]):
    def on_request(self, ex: Exchange) -> Reply | None:
        CLOCK.advance(16)
        raise Unavailable()


class Silent(Plugin[NoSettings]):
    pass


def timed(*kinds: type[Plugin[NoSettings]]) -> tuple[Pipeline, TimedPipeline]:
    plain = pipeline(*[kind(NoSettings(), host()) for kind in kinds], upstream=FakeUpstream())
    return plain, TimedPipeline(plain, CLOCK)


def test_each_plugin_s_time_is_its_own() -> None:
    plain, made = timed(Slow, Silent, Waiting, Slow)
    reply = run(made, exchange())
    assert made.down == [1, None, 4, 1] and made.up == [2, None, 8, 2]
    assert reply.status == 200 and reply.headers.getall("Passed") == ["slow", "slow"]
    assert made.needs_task and made.names == plain.names and made.depth == plain.depth


def test_what_fails_has_taken_its_time_and_what_is_below_none() -> None:
    _, made = timed(Slow, Failing, Waiting)
    assert run(made, exchange()).status == 503
    assert made.down == [1, 16, None] and made.up == [2, None, None]


def test_the_pipeline_it_is_made_of_stays_as_it_is() -> None:
    plain, made = timed(Slow)
    run(plain, exchange())
    assert made.down == [None]


def test_what_a_future_is_waited_for_counts_and_needs_no_task() -> None:
    _, made = timed(Slow, Future)
    assert run(made, exchange()).status == 200
    assert made.down == [1, 96] and not made.needs_task
