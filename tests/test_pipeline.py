"""The order of a pipeline: who is asked, who sees the reply, who hears of the end, and what becomes of each kind of failure."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import ClientGone, Forbidden, GatewayError, PluginError, Unavailable, UpstreamTimeout
from gateway.exchange import Attempt, End, Exchange, Headers, Reply
from gateway.pipeline import Entry, Pipeline, finish, no_upstream, transform
from gateway.plugin import Mode, NoSettings, Plugin
from gateway.stream import Stream
from gateway.testing import FakeUpstream, exchange, host, streamed


class Recorder(Plugin[NoSettings]):
    """Writes `name` and hook into a common list."""

    def __init__(self, name: str, seen: list[str]) -> None:
        super().__init__(NoSettings(), host())
        self.name, self.seen = name, seen

    def on_request(self, ex: Exchange) -> Reply | None:
        self.seen.append(f"{self.name} down")
        return None

    def on_attempt(self, ex: Exchange, attempt: Attempt) -> None:
        self.seen.append(f"{self.name} attempt")

    def on_response(self, ex: Exchange, reply: Reply) -> Reply | None:
        self.seen.append(f"{self.name} up {reply.status}")
        return None

    def on_end(self, ex: Exchange, end: End) -> None:
        self.seen.append(f"{self.name} end")


class Hooked(Plugin[NoSettings]):
    """One hook, given as a function."""

    def __init__(self) -> None:
        super().__init__(NoSettings(), host())


def hooked(hook: str, call: Callable[..., Any], **flags: bool) -> Plugin[Any]:
    async def waiting(self: Plugin[Any], *arguments: Any) -> Any:
        return await call(*arguments)

    def plain(self: Plugin[Any], *arguments: Any) -> Any:
        return call(*arguments)

    return type("Hooked", (Hooked,), {hook: waiting if asyncio.iscoroutinefunction(call) else plain, **flags})()  # type: ignore[no-any-return]


def raising(error: BaseException) -> Callable[..., Any]:
    def call(*arguments: Any) -> Any:
        raise error

    return call


def answering(status: int) -> Callable[..., Any]:
    return lambda *arguments: Reply.text(status, "made here")


def pipeline(*plugins: Plugin[Any] | tuple[Plugin[Any], Mode], upstream: FakeUpstream | None = None) -> Pipeline:
    entries = []
    for n, item in enumerate(plugins):
        plugin, mode = item if isinstance(item, tuple) else (item, "enforce")
        entries.append(Entry(getattr(plugin, "name", f"plugin-{n}"), plugin, mode))
    return Pipeline(entries, no_upstream if upstream is None else upstream.send)


async def through(pipe: Pipeline, ex: Exchange) -> Reply:
    reply = await pipe.answer(ex)
    pipe.end(ex, End(reply.status, error=ex.failure))
    return reply


async def test_requests_flow_down_and_replies_flow_up() -> None:
    seen: list[str] = []
    reply = await through(pipeline(Recorder("a", seen), Recorder("b", seen), upstream=FakeUpstream()), exchange())
    assert reply.status == 200
    assert seen == ["a down", "b down", "a attempt", "b attempt", "b up 200", "a up 200", "b end", "a end"]


@pytest.mark.parametrize("at", range(4))
@pytest.mark.parametrize("how", ["reply", "error", "bug"])
async def test_a_reply_passes_only_the_plugins_above_where_it_was_made(at: int, how: str) -> None:
    """And on_end runs for each that was reached, the one that answered or failed included."""
    seen: list[str] = []
    call = {"reply": answering(403), "error": raising(Forbidden()), "bug": raising(KeyError("x"))}[how]
    status = 500 if how == "bug" else 403

    class Stop(Recorder):
        def on_request(self, ex: Exchange) -> Reply | None:
            return call()  # type: ignore[no-any-return]

    plugins = [Recorder(str(n), seen) for n in range(4)]
    plugins[at] = Stop(str(at), seen)
    upstream = FakeUpstream()
    reply = await through(pipeline(*plugins, upstream=upstream), exchange())
    assert reply.status == status
    assert upstream.requests == []
    above = list(range(at))
    assert seen == [
        *(f"{n} down" for n in above),
        *(f"{n} up {status}" for n in reversed(above)),
        *(f"{n} end" for n in reversed(range(at + 1))),
    ]


async def test_a_plugin_without_on_request_still_sees_what_those_below_it_answer() -> None:
    seen: list[str] = []
    outer = hooked("on_response", lambda ex, reply: seen.append(f"outer {reply.status}"))
    inner = hooked("on_response", lambda ex, reply: seen.append(f"inner {reply.status}"))
    await through(pipeline(outer, hooked("on_request", answering(418)), inner), exchange())
    assert seen == ["outer 418"]


@pytest.mark.parametrize(
    ("hook", "call", "status"),
    [
        ("on_request", raising(ZeroDivisionError("secret 1")), 500),
        ("on_request", raising(Unavailable("Later.", reason="secret 2")), 503),
        ("on_attempt", raising(ZeroDivisionError("secret 1")), 500),
        ("on_attempt", raising(Unavailable("Later.", reason="secret 2")), 503),
        ("on_response", raising(ZeroDivisionError("secret 1")), 500),
        ("on_response", raising(Unavailable("Later.", reason="secret 2")), 503),
    ],
)
@pytest.mark.parametrize("is_async", [False, True])
async def test_what_a_hook_raises_is_a_problem(
    hook: str, call: Callable[..., Any], status: int, is_async: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """RFC 9457. A bug is a 500; the log names the plugin, the client is told neither that nor why."""

    async def waiting(*arguments: Any) -> Any:
        await asyncio.sleep(0)
        return call(*arguments)

    seen: list[str] = []
    broken = hooked(hook, waiting if is_async and hook != "on_attempt" else call)
    ex = exchange()
    with caplog.at_level(logging.ERROR):
        reply = await through(pipeline(Recorder("outer", seen), broken, upstream=FakeUpstream()), ex)
    assert reply.status == status
    assert reply.headers["Content-Type"] == "application/problem+json"
    body = orjson.loads(reply.entity.data if reply.entity else b"")
    assert body["status"] == status
    assert body["request_id"] == ex.request_id
    assert "secret" not in str(body) and "plugin-1" not in str(body)
    assert f"outer up {status}" in seen
    assert seen[-1] == "outer end"
    assert isinstance(ex.failure, PluginError if status == 500 else Unavailable)
    told = [record.getMessage() for record in caplog.records]
    assert told == ([f"plugin-1: {hook} failed: route=test request_id={ex.request_id}"] if status == 500 else [])
    if status == 500:
        assert caplog.records[0].exc_info is not None
        assert f"plugin-1.{hook}" in ex.failure.reason


async def test_a_failing_on_end_keeps_none_of_the_others_from_it(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[str] = []
    broken = hooked("on_end", raising(ZeroDivisionError()))
    await through(pipeline(Recorder("a", seen), broken, Recorder("b", seen), upstream=FakeUpstream()), exchange())
    assert [line for line in seen if "end" in line] == ["b end", "a end"]
    assert "plugin-1: on_end failed" in caplog.text


async def test_an_upstream_failure_passes_every_plugin() -> None:
    seen: list[str] = []
    ex = exchange()
    reply = await through(pipeline(Recorder("a", seen), Recorder("b", seen), upstream=FakeUpstream(UpstreamTimeout(reason="x"))), ex)
    assert reply.status == 504
    assert isinstance(ex.failure, UpstreamTimeout)
    assert seen[-4:] == ["b up 504", "a up 504", "b end", "a end"]


async def test_an_on_response_that_fails_passes_its_problem_to_those_above() -> None:
    seen: list[str] = []
    below = hooked("on_response", raising(Unavailable()))
    reply = await through(pipeline(Recorder("a", seen), below, Recorder("b", seen), upstream=FakeUpstream()), exchange())
    assert reply.status == 503
    assert [line for line in seen if " up " in line] == ["b up 200", "a up 503"]


async def test_without_plugins_and_upstream_there_is_a_404() -> None:
    assert (await through(Pipeline([]), exchange())).status == 404


@pytest.mark.parametrize("hook", ["on_request", "on_response"])
async def test_a_client_that_left_is_no_answer(hook: str) -> None:
    seen: list[str] = []
    pipe = pipeline(Recorder("a", seen), hooked(hook, raising(ClientGone())), upstream=FakeUpstream())
    ex = exchange()
    with pytest.raises(ClientGone):
        await pipe.answer(ex)
    pipe.end(ex, End(None))
    assert seen[-1] == "a end"


@pytest.mark.parametrize("replacement", ["reply", "error", "bug"])
async def test_a_replaced_reply_abandons_its_stream(replacement: str) -> None:
    abandoned: list[str] = []
    stream = Stream(asyncio.get_running_loop())
    stream.abandoned = lambda: abandoned.append("abandoned")
    call = {"reply": answering(502), "error": raising(Unavailable()), "bug": raising(KeyError())}[replacement]
    upstream = FakeUpstream(Reply(200, body=None, stream=stream))
    reply = await through(pipeline(hooked("on_response", call), upstream=upstream), exchange())
    assert abandoned == ["abandoned"]
    assert reply.stream is None


async def test_a_reply_that_keeps_the_stream_does_not_abandon_it() -> None:
    stream = Stream(asyncio.get_running_loop())
    stream.abandoned = lambda: pytest.fail("abandoned")
    swap = hooked("on_response", lambda ex, reply: Reply(201, reply.headers, None, stream=reply.stream))
    reply = await through(pipeline(swap, upstream=FakeUpstream(Reply(200, body=None, stream=stream))), exchange())
    assert reply.status == 201
    assert reply.stream is stream


async def test_a_replaced_switch_closes_the_connection_it_would_have_taken_over() -> None:
    class Connection:
        closed = False

        def close(self) -> None:
            self.closed = True

    switch = Reply(101)
    switch.tunnel = connection = Connection()
    reply = await through(pipeline(hooked("on_response", raising(Forbidden())), upstream=FakeUpstream(switch)), exchange())
    assert reply.status == 403
    assert connection.closed


async def test_async_hooks_are_awaited_in_the_same_order() -> None:
    seen: list[str] = []

    class Waiting(Recorder):
        async def on_request(self, ex: Exchange) -> Reply | None:  # type: ignore[override]
            await asyncio.sleep(0)
            self.seen.append(f"{self.name} down")
            return None

        async def on_response(self, ex: Exchange, reply: Reply) -> Reply | None:  # type: ignore[override]
            await asyncio.sleep(0)
            self.seen.append(f"{self.name} up {reply.status}")
            return None

    pipe = pipeline(Recorder("a", seen), Waiting("b", seen), Recorder("c", seen), upstream=FakeUpstream())
    assert pipe.needs_task
    await through(pipe, exchange())
    assert [line for line in seen if "attempt" not in line] == [
        "a down", "b down", "c down", "c up 200", "b up 200", "a up 200", "c end", "b end", "a end"
    ]  # fmt: skip
    assert not pipeline(Recorder("a", seen)).needs_task


def done(outcome: Reply | Exception | None) -> asyncio.Future[Reply | None]:
    """What has come, or will have at the loop's next turn."""
    future: asyncio.Future[Reply | None] = asyncio.get_running_loop().create_future()
    if isinstance(outcome, Exception):
        asyncio.get_running_loop().call_soon(future.set_exception, outcome)
    else:
        future.set_result(outcome)
    return future


@pytest.mark.parametrize(("outcome", "status"), [(None, 200), (Reply(418), 418), (Forbidden(), 403), (ZeroDivisionError(), 500)])
@pytest.mark.parametrize("hook", ["on_request", "on_response"])
async def test_a_hook_that_must_sometimes_wait_returns_a_future(hook: str, outcome: Reply | Exception | None, status: int) -> None:
    sometimes = pipeline(hooked(hook, lambda *arguments: done(outcome)), upstream=FakeUpstream())
    assert not sometimes.needs_task
    assert (await through(sometimes, exchange())).status == status


async def _forbidden(ex: Exchange) -> Reply:
    raise Forbidden()


async def _answers(ex: Exchange) -> Reply:
    return Reply(403)


async def _passes(ex: Exchange) -> None:
    return None


@pytest.mark.parametrize(
    ("call", "notes"),
    [
        (answering(403), [("observe", {"plugin": "plugin-0", "status": 403})]),
        (raising(Forbidden()), [("observe", {"plugin": "plugin-0", "status": 403})]),
        (lambda ex: None, None),
        (_answers, [("observe", {"plugin": "plugin-0", "status": 403})]),
        (_forbidden, [("observe", {"plugin": "plugin-0", "status": 403})]),
        (_passes, None),
        (lambda ex: done(Reply(403)), [("observe", {"plugin": "plugin-0", "status": 403})]),
        (lambda ex: done(Forbidden()), [("observe", {"plugin": "plugin-0", "status": 403})]),
        (lambda ex: done(None), None),
    ],
)
async def test_an_observed_plugin_only_says_what_it_would_have_answered(call: Callable[..., Any], notes: object) -> None:
    ex = exchange()
    reply = await through(pipeline((hooked("on_request", call), "observe"), upstream=FakeUpstream()), ex)
    assert reply.status == 200
    assert ex.notes == notes
    assert ex.failure is None


async def test_a_plugin_that_handles_modes_is_left_to_itself_and_one_that_is_off_is_not_there() -> None:
    own = hooked("on_request", answering(403), handles_mode=True)
    assert (await through(pipeline((own, "observe"), upstream=FakeUpstream()), exchange())).status == 403
    off = pipeline((own, "off"), upstream=FakeUpstream())
    assert (await through(off, exchange())).status == 200
    assert off.depth == 0


async def test_an_attempt_can_set_the_headers_of_that_try_alone() -> None:
    upstream = FakeUpstream()
    mark = hooked("on_attempt", lambda ex, attempt: attempt.headers.add("Traceparent", str(attempt.number)))
    ex = exchange()
    await through(pipeline(mark, upstream=upstream), ex)
    assert upstream.requests[0][2]["Traceparent"] == "1"
    assert "Traceparent" not in ex.headers


def test_survives_client_is_the_pipelines_as_soon_as_one_plugin_says_so() -> None:
    assert not pipeline(hooked("on_request", answering(1))).survives_client
    assert pipeline(hooked("on_request", answering(1)), hooked("on_end", answering(1), survives_client=True)).survives_client


def test_a_misspelt_hook_is_refused_when_the_class_is_made() -> None:
    with pytest.raises(TypeError, match="on_reponse is no hook"):
        type("Wrong", (Hooked,), {"on_reponse": lambda self: None})


# Chunk hooks


class Suffix:
    """Gathers all and gives it at the end, with a mark: the most that a hook may keep back."""

    def __init__(self, mark: bytes) -> None:
        self.mark, self.kept = mark, b""

    def on_chunk(self, ex: Exchange, chunk: bytes) -> bytes:
        self.kept += chunk
        return b""

    def on_body_end(self, ex: Exchange) -> bytes:
        return self.kept + self.mark


def _upper(ex: Exchange, chunk: bytes) -> bytes:
    return chunk.upper()


Hooks = tuple[tuple[Any, Any], ...]
KINDS: dict[str, Callable[[], tuple[Any, Any]]] = {
    "upper": lambda: (_upper, None),
    "double": lambda: (lambda ex, chunk: b"".join(bytes([byte, byte]) for byte in chunk), None),
    "gather": lambda: ((one := Suffix(b"+")).on_chunk, one.on_body_end),
    "end": lambda: (None, lambda ex: b"e"),
}


def whole(hooks: Hooks, body: bytes) -> bytes:
    """What the composition means: each hook over the whole body, innermost first."""
    ex = exchange()
    for on_chunk, on_body_end in hooks:
        body = (on_chunk(ex, body) if on_chunk and body else body) + (on_body_end(ex) if on_body_end else b"")
    return body


@pytest.mark.parametrize("kinds", [kinds for count in range(4) for kinds in itertools.permutations(KINDS, count)], ids=" ".join)
def test_chunk_hooks_compose(kinds: tuple[str, ...]) -> None:
    """What one keeps back passes through those above it, whichever they are."""
    hooks: Hooks = tuple(KINDS[kind]() for kind in kinds)
    twins: Hooks = tuple(KINDS[kind]() for kind in kinds)
    ex = exchange()
    assert transform(hooks, ex, b"abc") + finish(hooks, ex) == whole(twins, b"abc")


@given(st.lists(st.binary(max_size=5), max_size=6), st.lists(st.sampled_from(["upper", "gather", "end"]), max_size=3))
def test_how_a_body_is_cut_makes_no_difference(pieces: list[bytes], kinds: list[str]) -> None:
    ex = exchange()
    hooks: Hooks = tuple(KINDS[kind]() for kind in kinds)
    twins: Hooks = tuple(KINDS[kind]() for kind in kinds)
    assert b"".join(transform(hooks, ex, piece) for piece in pieces) + finish(hooks, ex) == whole(twins, b"".join(pieces))


async def test_body_hooks_are_those_of_the_plugins_that_the_reply_passes() -> None:
    outer, inner = hooked("on_chunk", _upper), hooked("on_body_end", lambda ex: b"!")
    pipe = pipeline(outer, hooked("on_request", lambda ex: Reply(403) if ex.path == "/no" else None), inner, upstream=FakeUpstream())
    proxied, refused = exchange(), exchange("GET", "/no")
    await pipe.answer(proxied)
    await pipe.answer(refused)
    hooks = pipe.body_hooks(proxied)
    assert finish(hooks, proxied) == b"!"
    assert transform(hooks, proxied, b"a") == b"A"
    assert len(pipe.body_hooks(refused)) == 1
    assert finish(pipe.body_hooks(refused), refused) == b""


async def test_a_streamed_reply_comes_out_as_it_is() -> None:
    reply = await through(Pipeline([], FakeUpstream(Reply(200, Headers(), None, stream=streamed(b"a", b"b"))).send), exchange())
    assert await reply.read(10) == b"ab"


def test_every_gateway_error_has_a_status_and_a_slug_of_its_own() -> None:
    kinds = [kind for kind in GatewayError.__subclasses__() if kind.__module__ == "gateway.errors" and kind is not PluginError]
    assert len({kind.slug for kind in kinds}) == len(kinds)
    assert all(400 <= kind.status <= 599 for kind in kinds)
