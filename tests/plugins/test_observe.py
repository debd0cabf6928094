"""`mode: observe` is true: for every built-in plugin, what reaches the upstream and the client is what it is without it, and a note
says what would have been."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.config.policy import loads
from gateway.errors import ConfigError, Forbidden
from gateway.exchange import Attempt, End, Exchange, Headers, Reply
from gateway.pipeline import Entry, Pipeline
from gateway.plugin import Mode, NoSettings, Plugin
from gateway.registry import Registry
from gateway.steps import steps
from gateway.stream import Stream
from gateway.testing import Clock, FakeService, FakeUpstream, MemoryJobs, exchange, host, load, streamed

ROOT = Path(__file__).parents[2]
ALL = sorted(file.stem for file in (ROOT / "plugins").glob("[a-z]*.py"))
JSON = ("Content-Type", "application/json")
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLwSw"
KEY = {"id": "gw", "secret": SECRET}
NO_ANSWER = "none"


@dataclass(frozen=True)
class Case:
    plugin: str
    settings: Any
    asked: tuple[Any, ...] = ("GET", "/a/b?x=1", [("Accept", "*/*")])
    body: tuple[bytes, ...] = ()
    """In chunks, so that nobody knows its length."""
    answered: tuple[Any, ...] = (200, [JSON, ("X-Powered-By", "us")])
    content: tuple[bytes, ...] = (b'{"name":', b'"Ada"}')
    times: int = 1
    """So many requests, all under way at once."""
    notes: tuple[Any, ...] = ()
    """Of the last: statuses, or what would have been otherwise."""


CASES = [
    Case("authenticate", {"jwt": {"secret": "s" * 32, "algorithms": "HS256"}}, notes=(401,)),
    Case(
        "authenticate",
        {"jwt": {"secret": "s" * 32, "algorithms": "HS256"}, "optional": True, "forward": {"consumer": "X-Consumer"}},
        ("GET", "/", [("x-consumer", "root"), ("X-Other", "1")]),
        notes=("removes x-consumer",),
    ),
    Case("authorize", "admin", notes=(401,)),
    Case("body_limit", "1B", ("POST", "/", [JSON]), (b"{}",), notes=()),
    Case("cache", {"ttl": "1h"}, answered=(200, [JSON], 14), times=2, notes=(200,)),
    Case("cache", {"ttl": "1h"}, ("GET", "/", [("Range", "bytes=0-1")]), notes=()),
    Case("compress", {"min_size": "1B"}, ("GET", "/", [("Accept-Encoding", "br")]), notes=("removes Accept-Encoding", "body")),
    Case("concurrency", 1, times=2, notes=(503,)),
    Case("cors", "https://a.test", ("GET", "/", [("Origin", "https://a.test")]), notes=("Access-Control-Allow-Origin",)),
    Case(
        "cors",
        "https://a.test",
        ("OPTIONS", "/", [("Origin", "https://a.test"), ("Access-Control-Request-Method", "PUT")]),
        notes=(204,),
    ),
    Case("csrf", None, ("POST", "/", [("Sec-Fetch-Site", "cross-site")]), notes=(403,)),
    Case("csrf", {"token": {"secret": "s" * 32, "session": "s"}}, ("GET", "/", [("Cookie", "s=1")]), notes=("sets Set-Cookie",)),
    Case("enqueue", {"job": "email", "template": "t", "to": "{{ response.body.name }}"}, ("POST", "/"), notes=("store",)),
    Case("forward_auth", {"url": "http://auth.test/"}, notes=(401,)),
    Case("headers", {"request": {"set": {"X-A": "b"}, "remove": ["Accept"]}}, notes=("sets X-A; removes Accept",)),
    Case("headers", {"response": {"set": {"X-Powered-By": "you"}, "add": {"X-A": "b"}}}, notes=("sets X-A; changes X-Powered-By",)),
    Case("https_only", None, notes=(308,)),
    Case("idempotency", None, ("POST", "/", [("Idempotency-Key", '"k"')]), (b"a", b"b"), times=2, notes=(200,)),
    Case("idempotency", {"required": True}, ("POST", "/"), (b"a", b"b"), notes=(400,)),
    Case("ip_filter", {"allow": "10.0.0.0/8"}, notes=(403,)),
    Case("load_shedding", None, notes=(503,)),
    Case("problem_details", None, answered=(502, [("Content-Type", "text/html"), ("Refresh", "1")]), notes=("body",)),
    Case("purge", "leads", ("POST", "/"), notes=("purge",)),
    Case("purge", "lead:{body.name}", ("POST", "/", [("Accept-Encoding", "br")]), notes=("removes Accept-Encoding", "purge")),
    Case("rate_limit", {"limit": 1, "window": "1h"}, times=2, notes=(429,)),
    Case("rewrite", {"strip_prefix": "/a", "query": {"remove": ["x"]}, "host": "h.test"}, notes=("target; sets Host",)),
    Case("sanitize", {"html": "strip"}, ("POST", "/", [JSON]), (b'["<b>', b'x"]'), notes=("body",)),
    Case("sanitize", {"html": "strip"}, ("GET", "/?a=%3Cb%3Ex"), notes=("target",)),
    Case("sanitize", {}, ("POST", "/", [JSON]), (b'{"$gt":', b"1}"), notes=(422,)),
    Case("security_headers", "api", notes=("X-Content-Type-Options",)),
    Case("signature", {"verify": {"keys": KEY}}, ("POST", "/"), (b"a", b"b"), notes=(401,)),
    Case("signature", {"sign": {"key": KEY}}, ("POST", "/", [("Signature", "mine")]), (b"a", b"b"), notes=("removes Signature", "sets")),
    Case("validate", {"body": {"type": "object"}}, ("POST", "/", [JSON]), (b"[", b"]"), notes=(422,)),
    Case(
        "validate",
        {"body": {"type": "object", "properties": {"a": True}}, "unknown": "strip"},
        ("POST", "/", [JSON]),
        (b'{"a":1,', b'"b":2}'),
        notes=("body",),
    ),
]


class Outcome:
    """What came of a case: on the wire, beside it, and in the notes of its last request."""

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.replies: list[Any] = []
        self.beside: tuple[Any, ...] = ()
        self.told: list[Any] = []
        self.counted: list[Any] = []

    @property
    def wire(self) -> Any:
        return self.sent, self.replies, self.beside


def told(fields: dict[str, Any]) -> Any:
    return next(fields[name] for name in ("status", "would", "request", "reply") if name in fields)


async def read(stream: Stream | None) -> list[bytes]:
    pieces = []
    while stream is not None and (piece := await stream.read()):
        pieces.append(piece)
    return pieces


async def outcome(case: Case, mode: Mode) -> Outcome:
    found, jobs = Outcome(), MemoryJobs(lambda: 0.0)
    made = host(
        mode="observe" if mode == "observe" else "enforce",
        clock=Clock(1e6),
        time=lambda: 1e9,
        jobs=jobs,
        senders=["email"],
        service=FakeService(Reply(401)),
    )
    plugin = load(case.plugin, case.settings, host=made)
    if case.plugin == "load_shedding":
        vars(plugin)["_pressure"].level = 3.0
    purged: list[Any] = []
    made.cache.purge = lambda marks, **more: purged.append(marks)  # type: ignore[method-assign]
    status, headers, *length = case.answered
    upstream = FakeUpstream(
        lambda ex: Reply(status, Headers(headers), None, stream=streamed(*case.content), length=length[0] if length else None)
    )

    async def send(ex: Exchange, line: Pipeline) -> Reply:
        found.sent.append((ex.content_length, ex.body_at_hand, None if ex.stream is None else b"".join(ex.stream._pieces)))
        reply = await upstream.send(ex, line)
        method, target, fields, body = upstream.requests[-1]
        found.sent.append((method, target, list(fields.items()), body))
        return reply

    line = Pipeline([Entry(case.plugin, plugin, mode)], send, lambda *labels: found.counted.append(labels))
    asked = []
    for _ in range(case.times):
        ex = exchange(*case.asked)
        ex.stream = streamed(*case.body) if case.body else None
        reply = await line.answer(ex)
        asked.append((ex, reply))
    for ex, reply in asked:
        body = await read(reply.stream) if reply.entity is None else reply.entity.data
        found.replies.append((reply.status, list(reply.headers.items()), reply.length, reply.reason, body))
        line.end(ex, End(reply.status))
    notes = asked[-1][0].notes or []
    found.told = [told(fields) for kind, fields in notes if kind == "observe"]
    assert all(kind == "observe" or fields.get("observed") or mode == "enforce" or plugin.handles_mode for kind, fields in notes)
    await asyncio.sleep(0)
    found.beside = len(await jobs.page()), purged
    await plugin.stop()
    return found


@pytest.mark.parametrize("case", CASES, ids=[f"{case.plugin}-{n}" for n, case in enumerate(CASES)])
async def test_observed_it_changes_nothing_and_says_what_it_would(case: Case) -> None:
    without, enforced, observed = [await outcome(case, mode) for mode in ("off", "enforce", "observe")]
    assert enforced.wire != without.wire
    assert observed.wire == without.wire
    assert len(observed.told) == len(case.notes)
    for one, expected in zip(observed.told, case.notes, strict=True):
        assert one == expected if isinstance(expected, int) else expected in one
    assert sorted({(name, str(status)) for name, _, status in observed.counted}) == sorted(
        {(case.plugin, str(one) if isinstance(one, int) else NO_ANSWER) for one in case.notes}
    )


def test_every_plugin_can_be_observed_or_says_why_not() -> None:
    classes = {name: Registry().load(name) for name in ALL}
    assert {name for name, plugin in classes.items() if not plugin.unobservable} == {case.plugin for case in CASES}


@pytest.mark.parametrize("name", [name for name in ALL if Registry().load(name).unobservable])
def test_a_plugin_without_a_meaning_in_observe_is_refused(name: str) -> None:
    settings = {"respond": "503", "whatsapp_status": "{verify_token: t, app_secret: s}"}.get(name, "{}")
    text = f"""
        version: 1
        upstreams: {{a: {{targets: http://127.0.0.1:1}}}}
        routes:
          - match: /a
            upstream: a
            plugins:
              - {name}: {settings}
                mode: observe
    """
    with pytest.raises(ConfigError) as caught:
        loads(text, env={})
    assert f'plugin "{name}" cannot be observed: {Registry().load(name).unobservable}; write enforce or off' in str(caught.value)


# a plugin of an operator's, whatever it does


def custom(**hooks: Callable[..., Any]) -> Plugin[Any]:
    """A plugin with these hooks, without the self."""
    plugin = type("Custom", (Plugin,), {name: staticmethod(hook) for name, hook in hooks.items()})
    made: Plugin[Any] = plugin(NoSettings(), host())
    return made


async def passed(plugin: Plugin[Any], *body: bytes, reply: Callable[[], Reply] | None = None) -> tuple[FakeUpstream, Reply, Exchange]:
    upstream = FakeUpstream(lambda ex: reply() if reply else Reply(200, Headers([JSON]), b"{}"))
    line = Pipeline([Entry("custom", plugin, "observe")], upstream.send)
    ex = exchange("POST", "/a?b=c", [JSON])
    ex.stream = streamed(*body) if body else None
    answer = await line.answer(ex)
    hooks = line.body_hooks(ex)
    if hooks and answer.stream is not None:
        pieces = await read(answer.stream)
        answer.stream = streamed(*[hook(ex, piece) for piece in pieces for hook, _ in hooks], *[end(ex) for _, end in hooks])
    line.end(ex, End(answer.status))
    return upstream, answer, ex


def broken(*given: Any) -> None:
    raise ZeroDivisionError


@pytest.mark.parametrize("hook", ["on_request", "on_attempt", "on_response"])
async def test_a_bug_is_logged_and_noted_and_no_client_sees_it(hook: str, caplog: pytest.LogCaptureFixture) -> None:
    _, reply, ex = await passed(custom(**{hook: broken}))
    assert reply.status == 200 and ex.failure is None
    assert ex.notes == [("observe", {"plugin": "custom", "status": 500})]
    assert f"custom: {hook} failed, observing" in caplog.text and "ZeroDivisionError" in caplog.text


async def test_a_body_that_was_read_and_replaced_goes_upstream_as_it_came() -> None:
    plugin = custom(on_request=replaces)
    upstream, _, ex = await passed(plugin, b"a", b"b")
    assert upstream.requests == [("POST", "/a?b=c", Headers([JSON]), b"ab")]
    assert ex.content_length is None
    assert ex.notes == [("observe", {"plugin": "custom", "request": "target; changes Content-Type; body"})]


async def replaces(ex: Exchange) -> None:
    assert await ex.body() == b"ab"
    ex.set_body(b"mine", "text/plain")
    assert (ex.body_at_hand, ex.content_length) == (b"mine", 4)
    ex.target = "/other"


async def test_a_body_beyond_a_limit_of_the_plugins_goes_upstream_whole() -> None:
    async def small(ex: Exchange) -> None:
        await ex.body(1)

    upstream, reply, ex = await passed(custom(on_request=small), b"ab", b"c")
    assert (reply.status, upstream.requests[0][3]) == (200, b"abc")
    assert ex.notes == [("observe", {"plugin": "custom", "status": 413})]


def test_the_same_attempt_has_no_fields_of_the_observed_plugin() -> None:
    def mark(ex: Exchange, attempt: Attempt) -> None:
        attempt.add_header("X-Mark", "1")
        attempt.headers["X-Other"] = "2"

    upstream, _, ex = asyncio.run(passed(custom(on_attempt=mark)))
    assert upstream.requests[0][2] == Headers([JSON])
    assert ex.notes == [("observe", {"plugin": "custom", "request": "sets X-Mark, X-Other"})]


async def test_a_reply_that_was_read_goes_on_streaming() -> None:
    async def reads(ex: Exchange, reply: Reply) -> Reply:
        assert await reply.read(2) is None
        assert await reply.read(3) == b"abc"
        reply.status = 201
        return Reply(500)

    _, reply, ex = await passed(custom(on_response=reads), reply=lambda: Reply(200, Headers(), None, stream=streamed(b"a", b"bc")))
    assert (reply.status, reply.entity, await read(reply.stream)) == (200, None, [b"a", b"bc"])
    assert ex.notes == [("observe", {"plugin": "custom", "status": 500})]


async def test_what_it_would_have_sent_on_in_a_reply_of_its_own_is_not_cut() -> None:
    abandoned: list[str] = []

    def streams(content: bytes, name: str) -> Reply:
        stream = streamed(content)
        stream._ended = False
        stream.abandoned = lambda: abandoned.append(name)
        return Reply(200, Headers(), None, stream=stream)

    def same(ex: Exchange, reply: Reply) -> Reply:
        return Reply(206, reply.headers, None, stream=reply.stream)

    for hook in (same, lambda ex, reply: streams(b"b", "its own")):
        line = Pipeline([Entry("custom", custom(on_response=hook), "observe")], FakeUpstream(lambda ex: streams(b"a", "real")).send)
        assert (await line.answer(exchange())).status == 200
    assert abandoned == ["its own"]


@pytest.mark.parametrize(
    ("each", "told"),
    [(lambda ex, chunk: b"", {"reply": "body"}), (broken, {"status": 500}), (lambda ex, chunk: denied(), {"status": 403})],
)
async def test_pieces_of_a_body_stay_as_they_are(each: Callable[..., Any], told: dict[str, Any]) -> None:
    """And it is told once, not for each."""
    plugin = custom(on_chunk=each, on_body_end=lambda ex: b"end")
    _, reply, ex = await passed(plugin, reply=lambda: Reply(200, Headers(), None, stream=streamed(b"a", b"bc")))
    assert b"".join(await read(reply.stream)) == b"abc"
    assert ex.notes == [("observe", {"plugin": "custom", **told})]


def denied() -> bytes:
    raise Forbidden


async def test_an_explanation_leaves_the_plugins_below_what_came() -> None:
    rewrite = load("rewrite", {"strip_prefix": "/a"}, host=host(mode="observe"))
    line = Pipeline([Entry("rewrite", rewrite, "observe"), Entry("rewrite", load("rewrite", {"add_prefix": "/v2"}))])
    said = [step.says for step in await steps(line, exchange("GET", "/a/b"), ())]
    assert said == ["asks the upstream for /b", "asks the upstream for /v2/a/b"]
