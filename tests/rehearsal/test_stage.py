"""A policy on its stage: the replies that real sockets would carry, on a clock moved by hand."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from gateway.config.policy import Policy, load
from gateway.errors import ConfigError
from gateway.rehearsal import client
from gateway.rehearsal.answer import Answer, Sent
from gateway.rehearsal.request import Request
from gateway.rehearsal.stage import BEGIN, staged

POLICY = """
version: 1
server: {timeouts: {body: 7s}}
upstreams:
  leads: {targets: ["http://one:3000", "http://two:3000"], timeouts: {head: 2s}}
plugins: [request_id, access_log]
routes:
  - {name: leads, match: /leads/**, upstream: leads}
  - {name: loud, match: /loud, upstream: leads, plugins: [loud]}
  - {name: broken, match: /broken, upstream: leads, plugins: [broken]}
  - {name: waiting, match: /waiting, upstream: leads, plugins: [waiting]}
"""
HEAD = "from __future__ import annotations\nfrom gateway.plugin import Exchange, NoSettings, Plugin, Reply\n"
PLUGINS = {
    "loud": """
class Loud(Plugin[NoSettings]):
    def on_chunk(self, ex: Exchange, chunk: bytes) -> bytes:
        return chunk.upper()
    def on_body_end(self, ex: Exchange) -> bytes:
        return b"!"
""",
    "broken": """
class Broken(Plugin[NoSettings]):
    def on_chunk(self, ex: Exchange, chunk: bytes) -> bytes:
        raise RuntimeError("broken")
""",
    "waiting": """
import asyncio
class Waiting(Plugin[NoSettings]):
    async def on_request(self, ex: Exchange) -> Reply | None:
        if ex.query:
            await asyncio.get_running_loop().create_future()
        await asyncio.sleep(0)
        return None
""",
    "unstartable": """
class Unstartable(Plugin[NoSettings]):
    async def start(self) -> None:
        raise OSError("no disk")
""",
}


@pytest.fixture
def policy(tmp_path: Path) -> Policy:
    (tmp_path / "plugins").mkdir()
    for name, text in PLUGINS.items():
        (tmp_path / "plugins" / f"{name}.py").write_text(HEAD + text)
    (tmp_path / "gateway.yaml").write_text(POLICY)
    return load(tmp_path / "gateway.yaml", env={})


ANSWERS: list[tuple[str, Answer, int, bytes, float, int]] = [
    # request, answer of the upstream, status, body, seconds that pass, requests that reached the upstream
    ("GET /leads", Answer(body=b"one"), 200, b"one", 0.0, 1),
    ("HEAD /leads", Answer(body=b"one"), 200, b"", 0.0, 1),
    ("DELETE /leads/1", Answer(204), 204, b"", 0.0, 1),
    ("GET /leads", Answer(304, (("ETag", '"1"'),)), 304, b"", 0.0, 1),
    ("GET /leads", Answer(body=b"x" * 300_000), 200, b"x" * 300_000, 0.0, 1),
    ("GET /leads", Answer(body=b"late", delay=1.5), 200, b"late", 1.5, 1),
    ("GET /leads", Answer(delay=2.5), 504, b"upstream-timeout", 2.0, 1),
    ("GET /leads", Answer(fail="timeout"), 504, b"upstream-timeout", 2.0, 1),
    ("GET /leads", Answer(fail="refused"), 502, b"upstream-unreachable", 0.0, 0),
    ("GET /leads", Answer(fail="reset"), 502, b"upstream-unreachable", 0.0, 1),
    ("GET /leads", Answer(headers=(("Content-Length", "9"),), body=b"one"), 502, b"bad-gateway", 0.0, 1),
    ("GET /loud", Answer(body=b"one"), 200, b"ONE!", 0.0, 1),
    ("GET /waiting", Answer(body=b"one"), 200, b"one", 0.0, 1),
    ("GET /nowhere", Answer(), 404, b"not-found", 0.0, 0),
    ("TRACE /leads", Answer(), 501, b"not-implemented", 0.0, 0),
]


@pytest.mark.parametrize(("request_", "answer", "status", "body", "seconds", "reached"), ANSWERS)
async def test_replies(policy: Policy, request_: str, answer: Answer, status: int, body: bytes, seconds: float, reached: int) -> None:
    method, url = request_.split()
    async with staged(policy, lambda sent: answer) as stage:
        outcome = await stage.perform(Request(method, url))
    assert (outcome.status, len(outcome.sent), outcome.is_cut) == (status, reached, False)
    assert outcome.body == body if status < 400 else body in outcome.body
    assert stage.clock.now == BEGIN + seconds
    if outcome.lines:
        assert outcome.lines[0]["duration_ms"] == seconds * 1000


RETRIES: list[tuple[str, list[Answer], int, float, int, int]] = [
    # method, the answers one after another, status, how long it took, how many reached the upstream, attempts
    ("GET", [Answer(fail="reset"), Answer()], 200, 0.0, 2, 2),
    ("GET", [Answer(503), Answer()], 200, 0.0, 2, 2),
    ("GET", [Answer(503, delay=0.5), Answer(502, delay=0.25), Answer()], 502, 0.75, 2, 2),
    ("GET", [Answer(fail="refused"), Answer()], 200, 0.0, 1, 2),
    ("POST", [Answer(fail="refused"), Answer()], 200, 0.0, 1, 2),
    ("POST", [Answer(fail="reset"), Answer()], 502, 0.0, 1, 1),
    ("POST", [Answer(503), Answer()], 503, 0.0, 1, 1),
    ("GET", [Answer(fail="timeout"), Answer()], 504, 2.0, 1, 1),
    ("GET", [Answer(503, (("Retry-After", "1"),)), Answer()], 200, 1.0, 2, 2),
    ("GET", [Answer(503, (("Retry-After", "Thu, 01 Jan 2026 00:00:02 GMT"),)), Answer()], 200, 2.0, 2, 2),
    ("GET", [Answer(503, (("Retry-After", "3"),)), Answer()], 503, 0.0, 1, 1),
]


@pytest.mark.parametrize(("method", "answers", "status", "seconds", "reached", "attempts"), RETRIES)
async def test_retries(
    tmp_path: Path, method: str, answers: list[Answer], status: int, seconds: float, reached: int, attempts: int
) -> None:
    """As over sockets; who waits moves the clock, and nothing is left to chance."""
    path = tmp_path / "gateway.yaml"
    own = {"loud", "broken", "waiting"}
    text = "\n".join(line for line in POLICY.splitlines() if not any(f"name: {name}," in line for name in own))
    path.write_text(text.replace("timeouts: {head: 2s}", "timeouts: {head: 2s}, retry: {attempts: 2}, balance: least_request"))
    turns = iter(answers)
    async with staged(load(path), lambda sent: next(turns)) as stage:
        outcome = await stage.perform(Request(method, "/leads", body=b"x" if method == "POST" else None))
    assert (outcome.status, len(outcome.sent)) == (status, reached)
    assert stage.clock.now == BEGIN + seconds
    assert outcome.lines[0]["attempts"] == attempts
    assert [sent.body for sent in outcome.sent] == [b"x" if method == "POST" else b""] * reached


@pytest.mark.parametrize(
    ("headers", "body", "got"),
    [
        ((), b"a=1", b"a=1"),
        ((("Transfer-Encoding", "chunked"),), b"3\r\na=1\r\n0\r\n\r\n", b"a=1"),
        ((("Expect", "100-continue"),), b"a=1", b"a=1"),
        ((), b"x" * 500_000, b"x" * 500_000),
    ],
)
async def test_a_body_goes_through(policy: Policy, headers: tuple[tuple[str, str], ...], body: bytes, got: bytes) -> None:
    async with staged(policy) as stage:
        outcome = await stage.perform(Request("POST", "/leads", headers, body))
    assert outcome.status == 200
    assert [sent.body for sent in outcome.sent] == [got]
    assert outcome.lines[0]["bytes_in"] == len(got)


async def test_a_body_that_does_not_come_is_given_up(policy: Policy) -> None:
    async with staged(policy) as stage:
        outcome = await stage.perform(Request("POST", "/leads", (("Content-Length", "9"),), b"short"))
        assert (outcome.status, outcome.sent) == (408, ())
        assert (await stage.perform(Request("GET", "/leads"))).status == 200


async def test_a_reply_that_a_plugin_breaks(policy: Policy) -> None:
    async with staged(policy, lambda sent: Answer(body=b"one")) as stage:
        outcome = await stage.perform(Request("GET", "/broken"))
    assert outcome.status == 500 and b"one" not in outcome.body


async def test_targets_are_asked_in_turn_and_see_what_a_service_would(policy: Policy) -> None:
    asked: list[Sent] = []

    def ask(sent: Sent) -> Answer:
        asked.append(sent)
        return Answer()

    async with staged(policy, ask) as stage:
        outcomes = [await stage.perform(Request("GET", "https://api.test/leads", client="203.0.113.7")) for _ in range(3)]
    assert [outcome.lines[0]["upstream"] for outcome in outcomes] == ["http://one:3000", "http://two:3000", "http://one:3000"]
    assert asked[0].headers["Forwarded"] == 'for=203.0.113.7;proto=https;host="api.test"'
    assert "X-Request-Id" in asked[0].headers


async def test_a_plugin_that_waits_for_ever(policy: Policy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "LONGEST", 0.01)
    async with staged(policy) as stage:
        with pytest.raises(TimeoutError):
            await stage.perform(Request("GET", "/waiting?for=ever"))


async def test_a_plugin_that_does_not_start(policy: Policy) -> None:
    policy.path.write_text(POLICY.replace("[request_id, access_log]", "[unstartable]"))
    with pytest.raises(ConfigError, match=r"gateway\.yaml: a plugin does not start: OSError: no disk"):
        async with staged(load(policy.path, env={})):
            pass


async def test_no_socket_is_opened(policy: Policy, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a socket")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    async with staged(policy) as stage:
        assert (await stage.perform(Request("GET", "/leads"))).status == 200
