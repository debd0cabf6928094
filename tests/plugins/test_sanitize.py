"""What sanitize refuses, changes and leaves, in each place where a client puts text."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.exchange import Exchange, Reply
from gateway.plugin import Host, Mode, content
from gateway.testing import FakeUpstream, Measured, exchange, host, load, pipeline, run, streamed
from tests.content.texts import HARMLESS, LIVE

JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
LIVE_JSON = b'{"a": "<script>alert(1)</script>"}'


class Sent:
    """One request through sanitize: the reply, and what reached the upstream."""

    def __init__(self, ex: Exchange, settings: object = None, mode: Mode = "enforce", metrics: Measured | None = None) -> None:
        upstream = FakeUpstream()
        plugin = load("sanitize", settings, host=host(mode=mode, metrics=metrics))
        self.ex = ex
        self.reply: Reply = run(pipeline(plugin, upstream=upstream, mode=mode), ex)
        self.status = self.reply.status
        self.target: str = upstream.requests[0][1] if upstream.requests else ""
        self.body: bytes | None = upstream.requests[0][3] if upstream.requests else None

    @property
    def problem(self) -> Any:
        assert self.reply.entity is not None
        return orjson.loads(self.reply.entity.data)


def post(body: bytes | None, headers: dict[str, str] = JSON, target: str = "/", **more: Any) -> Exchange:
    ex = exchange("POST", target, headers, **more)
    if body is not None:
        ex.body_at_hand = body  # not set_body: it would take a Content-Encoding away
        ex.content_length = len(body)
    return ex


@pytest.mark.parametrize("text", HARMLESS)
def test_what_people_write_goes_upstream_byte_for_byte(text: str) -> None:
    for ensured in (orjson.dumps({"a": [text]}), orjson.dumps({"a": text}, option=orjson.OPT_INDENT_2)):
        sent = Sent(post(ensured))
        assert (sent.status, sent.body) == (200, ensured)


@pytest.mark.parametrize("html", ["strip", "allow"])
def test_a_treatment_that_changes_nothing_leaves_the_bytes_and_what_was_parsed(html: str) -> None:
    body = b'{"a" : "<p>two <b>seats</b></p>"}' if html == "allow" else b'{"a" : "x = \'y\' & more"}'
    ex = post(body)
    read = ex.json_at_hand(content.LimitsSettings().json_limits)
    assert Sent(ex, html).body == body
    assert ex.json_at_hand() is read


@pytest.mark.parametrize("text", LIVE)
def test_what_would_run_reaches_no_upstream(text: str) -> None:
    sent = Sent(post(orjson.dumps({"a": text})))
    assert (sent.status, sent.body) == (422, None)
    assert sent.problem["type"] == "urn:gateway:problem:unsafe-content"
    assert {(one["in"], one["pointer"]) for one in sent.problem["violations"]} == {("body", "/a")}
    assert text not in str(sent.problem)


@pytest.mark.parametrize(
    ("ex", "settings", "target", "body"),
    [
        (post(b"a=1&b=%3Cb%3Ex%3C%2Fb%3E&c", FORM), "strip", "/", b"a=1&b=x&c"),
        (post(b"a=1&b=%3Cb%3Ex&a=2", FORM), {"html": "keep"}, "/", b"a=1&b=%3Cb%3Ex&a=2"),
        (post(b"a=1&$gt=2&b[$ne]=3", FORM), {"names": "drop"}, "/", b"a=1"),
        (post(None, {}, "/x?q=%3Cb%3Ex%3C/b%3E&r=1+2&s=%20"), "strip", "/x?q=x&r=1+2&s=%20", b""),
        (post(None, {}, "/x?q=%3Cb%3Ex"), {"html": "strip", "query": False}, "/x?q=%3Cb%3Ex", b""),
        (post(b'{"a":"<b>x</b>","n":1.0,"m":18446744073709551615}'), "strip", "/", b'{"a":"x","n":1.0,"m":18446744073709551615}'),
        (post(b'{"a" : "\\u0041"}'), "strip", "/", b'{"a" : "\\u0041"}'),
        (
            post(b'{"notes":"<b onclick=x>y</b>","user":{"bio":"<i>"}}'),
            {"fields": {"notes": "allow", "user.bio": {"html": "keep"}}},
            "/",
            b'{"notes":"<b>y</b>","user":{"bio":"<i>"}}',
        ),
        (post(b'{"pin":" 1 ","name":" A "}'), {"trim": True, "fields": {"pin": {"trim": False}}}, "/", b'{"pin":" 1 ","name":"A"}'),
        (post(b"{}", {"Content-Type": "application/merge-patch+json"}), None, "/", b"{}"),
        (post(b"%PDF", {"Content-Type": "application/pdf"}), {"others": "pass"}, "/", b"%PDF"),
        (post(b""), None, "/", b""),
        (post(gzip.compress(b'{"a":1}'), {**JSON, "Content-Encoding": "gzip"}), None, "/", b'{"a":1}'),
    ],
)
def test_what_goes_upstream(ex: Exchange, settings: object, target: str, body: bytes) -> None:
    sent = Sent(ex, settings)
    assert (sent.status, sent.target, sent.body) == (200, target, body)
    assert "Content-Encoding" not in ex.headers


@pytest.mark.parametrize(
    ("ex", "settings", "status", "slug"),
    [
        (post(LIVE_JSON), None, 422, "unsafe-content"),
        (post(b"a=%3Cscript%3E", FORM), None, 422, "unsafe-content"),
        (post(b'{"a":{"$where":"1"}}'), None, 422, "unsafe-content"),
        (post(b'{"__proto__":1}'), None, 422, "unsafe-content"),
        (post(b"user[__proto__][x]=1", FORM), None, 422, "unsafe-content"),
        (post(b'["\\u0000"]'), None, 422, "unsafe-content"),
        (post(b"a=%00", FORM), None, 422, "unsafe-content"),
        (post(None, {}, "/?q=%3Cscript%3E"), None, 422, "unsafe-content"),
        (post(None, {}, "/?$where=1"), None, 422, "unsafe-content"),
        (post(None, {}, params={"id": "<svg onload=1>"}), None, 422, "unsafe-content"),
        (post(None, {}, params={"id": "<b>"}), "strip", 422, "unsafe-content"),
        (post(b'["<b>x</b>' + b"y" * 10_000 + b'"]'), "strip", 422, "unsafe-content"),
        (post(b'{"a":1,"a":2}'), None, 400, "invalid-json"),
        (post(b"\xff"), None, 400, "invalid-json"),
        (post(b"a=%ff", FORM), None, 400, "bad-request"),
        (post(None, {}, "/?a=%ff&b"), None, 400, "bad-request"),
        (post(b"[" * 40 + b"]" * 40), None, 422, "too-complex"),
        (post(b"[" * 40 + b"]" * 40), {"limits": {"depth": 39}}, 422, "too-complex"),
        (post(b"a&" * 1001, FORM), None, 422, "too-complex"),
        (post(LIVE_JSON, {"Content-Type": "text/plain"}), None, 415, "unsupported-media-type"),
        (post(LIVE_JSON, {}), None, 415, "unsupported-media-type"),
        (post(LIVE_JSON, {"Content-Type": "application/json; charset=utf-7"}), None, 415, "unsupported-media-type"),
        (post(b"x", {**JSON, "Content-Encoding": "snappy"}), None, 415, "unsupported-media-type"),
        (post(b"x", {**JSON, "Content-Encoding": "gzip"}), None, 400, "bad-request"),
        (post(gzip.compress(bytes(5 << 20)), {**JSON, "Content-Encoding": "gzip"}), None, 413, "payload-too-large"),
        (post(gzip.compress(b"[" + b" " * 100_000 + b"]"), {**JSON, "Content-Encoding": "gzip"}), None, 413, "payload-too-large"),
        (post(b"--b\r\n", {"Content-Type": "multipart/form-data; boundary=b"}), None, 400, "bad-request"),
    ],
)
def test_what_is_refused(ex: Exchange, settings: object, status: int, slug: str) -> None:
    sent = Sent(ex, settings)
    assert (sent.status, sent.problem["type"], sent.body) == (status, f"urn:gateway:problem:{slug}", None)


def test_multipart_texts_are_cleaned_and_files_are_not() -> None:
    body = (
        b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n<b>x</b>\r\n'
        b'--b\r\nContent-Disposition: form-data; name="f"; filename="a.html"\r\n\r\n<b>x</b>\r\n--b--\r\n'
    )
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    assert Sent(post(body, headers), "strip").body == body.replace(b"<b>x</b>", b"x", 1)
    assert Sent(post(body.replace(b"a.html", b"<svg onload=1>"), headers), "strip").status == 422
    assert Sent(post(body, headers)).body == body


def test_what_is_refused_is_told_by_place_and_reason_alone() -> None:
    sent = Sent(post(b'{"name":"<script>secret</script>","list":["ok","\\u0000"],"<b>":{"$gt":"secret"}}'))
    assert sent.problem["violations"] == [
        {"in": "body", "pointer": "/name", "reason": "holds active HTML"},
        {"in": "body", "pointer": "/list/1", "reason": "holds a control character"},
        {"in": "body", "pointer": "/*/$gt", "reason": "its name is an operator of a database"},
    ]
    assert isinstance(sent.ex.failure, Exception)
    assert "secret" not in str(sent.problem) + repr(sent.ex.failure.__dict__)
    where = Sent(post(LIVE_JSON, target="/?q=%3Cscript%3E", params={"id": "<script>"})).problem["violations"]
    assert [(one["in"], one["pointer"]) for one in where] == [("params", "/id"), ("query", "/q"), ("body", "/a")]


def would(request: str) -> tuple[str, dict[str, str]]:
    return "observe", {"plugin": "sanitize", "request": request}


@pytest.mark.parametrize(
    ("ex", "settings", "notes"),
    [
        (
            post(LIVE_JSON),
            None,
            [("sanitize", {"would_refuse": "/a holds active HTML"}), ("observe", {"plugin": "sanitize", "status": 422})],
        ),
        (post(b'["<b>x"]'), "strip", [("sanitize", {"would_change": "/0 holds HTML"}), would("body")]),
        (post(None, {}, "/?a=%3Cb%3E"), "strip", [("sanitize", {"would_change": "/a holds HTML"}), would("target")]),
        (
            post(b"\xff", FORM),
            None,
            [("sanitize", {"would_refuse": "The form is not UTF-8."}), ("observe", {"plugin": "sanitize", "status": 400})],
        ),
        (post(gzip.compress(b"[]"), {**JSON, "Content-Encoding": "gzip"}), None, [would("removes Content-Encoding; body")]),
        (post(b"[]"), None, None),
    ],
)
def test_observe_changes_nothing_and_says_what_it_would_have_done(ex: Exchange, settings: object, notes: object) -> None:
    target, body, encoding = ex.target, ex.body_at_hand, ex.headers.get("Content-Encoding")
    sent = Sent(ex, settings, "observe")
    assert (sent.status, sent.target, sent.body or None, ex.headers.get("Content-Encoding")) == (200, target, body, encoding)
    assert ex.notes == notes


def test_what_was_found_is_counted() -> None:
    metrics = Measured()
    plugin = load("sanitize", {"html": "strip", "nfc": True}, host=host(metrics=metrics))
    for body in (b'["<b>x","<b>y"]', '["e\u0301"]'.encode(), b'{"$gt":1}'):
        run(pipeline(plugin, upstream=FakeUpstream()), post(body))
    assert metrics.value("sanitize.findings", kind="html", action="changed") == 2
    assert metrics.value("sanitize.findings", kind="nfc", action="changed") == 1
    assert metrics.value("sanitize.findings", kind="name", action="refused") == 1


class Gate:
    """In place of the threads: counts what it is given, and lets it through when it is open."""

    def __init__(self) -> None:
        self.calls = 0
        self.open = asyncio.Event()

    async def run_blocking(self, call: Callable[[], Any]) -> Any:
        self.calls += 1
        await self.open.wait()
        return call()


def watched(monkeypatch: pytest.MonkeyPatch) -> Gate:
    gate = Gate()
    monkeypatch.setattr(Host, "run_blocking", lambda self, call: gate.run_blocking(call))
    return gate


@pytest.mark.parametrize(("rest", "calls"), [(b"", 0), (b',"' + b"z" * 20_000 + b'"', 1)])
async def test_a_body_that_streams_is_read_and_a_large_one_is_looked_at_in_a_thread(
    rest: bytes, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = watched(monkeypatch)
    gate.open.set()
    ex = exchange("POST", "/", JSON)
    ex.stream = streamed(b'["<b', b'>x"' + rest, b"]")
    upstream = FakeUpstream()
    assert (await pipeline(load("sanitize", "strip"), upstream=upstream).answer(ex)).status == 200
    assert (gate.calls, upstream.requests[0][3]) == (calls, b'["x"' + rest + b"]")


async def test_only_so_many_large_bodies_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = watched(monkeypatch)
    made = pipeline(load("sanitize"), upstream=FakeUpstream())
    body = orjson.dumps(["x" * 99] * 1000)
    waiting = [asyncio.create_task(made.answer(post(body))) for _ in range(40)]
    await asyncio.sleep(0)
    assert gate.calls == 1  # one at a time
    gate.open.set()
    assert sorted([reply.status for reply in await asyncio.gather(*waiting)]) == [200] * 32 + [503] * 8
    assert (await made.answer(post(body))).status == 200


@pytest.mark.parametrize(
    ("ex", "settings", "said"),
    [
        (post(b"[]"), None, "finds nothing to refuse or change"),
        (post(b'["<b>x"]'), "strip", "changes /0 holds HTML"),
    ],
)
async def test_explain(ex: Exchange, settings: object, said: str) -> None:
    metrics = Measured()
    plugin = load("sanitize", settings, host=host(metrics=metrics))
    assert plugin.explain(ex) == said
    assert metrics.value("sanitize.findings") == 0


@pytest.mark.parametrize(
    "settings",
    [
        "clean",
        {"html": "no"},
        {"fields": {"": "keep"}},
        {"fields": {"a..b": "keep"}},
        {"fields": {"a": "x"}},
        {"longest": 0},
        {"limits": {"depth": 0}},
        {"names": True},
    ],
)
def test_mistakes_are_refused(settings: object) -> None:
    with pytest.raises(ValidationError):
        load("sanitize", settings)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | st.text("<>\"'=& abon\u0301é/;\x00", max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab$_<", max_size=4), inner, max_size=3),
    max_leaves=10,
)


@settings(deadline=None)  # each example makes two plugins and two event loops
@given(VALUES, st.sampled_from(["reject", "strip", "escape", "allow"]))
def test_what_has_passed_once_passes_again_untouched(value: Any, html: str) -> None:
    lenient = {"html": html, "control": "drop", "names": "drop"}
    once = Sent(post(orjson.dumps(value)), lenient)
    if once.status == 200:
        again = Sent(post(once.body), lenient)
        assert (again.status, again.body) == (200, once.body)
