"""A request asked once more, from the middle of its pipeline: for plugins that fill, refresh or compare what lies below them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial

from gateway.errors import BadGateway, Unavailable, UpstreamTimeout
from gateway.exchange import End, Exchange, Reply
from gateway.pipeline import Pipeline, finish, transform
from gateway.plugin import Host


async def fetch(
    find: Callable[[str], Pipeline | None], host: Host, ex: Exchange, headers: Mapping[str, str | None], within: float, limit: int
) -> Reply:
    """What the plugins below the one that has `host`, and the upstream, answer to the request of `ex`: the body of `Host.fetch`.

    `find` knows the pipeline of a route. Raises Unavailable, too, when the policy was replaced and the exchange has ended.
    """
    pipeline = find(ex.route)
    if pipeline is None:
        raise Unavailable(reason="the policy of this exchange has been replaced, and nothing of it is used any more")
    below = pipeline.below(host)
    asked = ex.detached(headers, host.clock())
    reply: Reply | None = None
    end = partial(_end, below, asked, host)
    try:
        async with asyncio.timeout(within):
            reply = await below.answer(asked)
            data = await reply.read(limit)
        if data is None:
            raise BadGateway(reason=f"the answer is longer than {limit} bytes")
        if hooks := below.body_hooks(asked):
            data = transform(hooks, asked, data) + finish(hooks, asked)
    except BaseException as error:
        if reply is not None:
            reply.abandon()
        if isinstance(error, TimeoutError):
            late = UpstreamTimeout(reason=f"no whole answer within {within:g} s")
            end(reply, 0, late)
            raise late from None
        end(reply, 0, error if isinstance(error, Exception) else None)
        raise
    end(reply, len(data), asked.failure)
    return Reply(reply.status, reply.headers, data, length=reply.length, reason=reply.reason, upstream=reply.upstream)


def _end(below: Pipeline, asked: Exchange, host: Host, reply: Reply | None, size: int, error: Exception | None) -> None:
    status = None if reply is None else reply.status
    is_cut = reply is not None and error is not asked.failure
    below.end(asked, End(status, 0, size, host.clock() - asked.started, asked.attempts, error, is_cut))
