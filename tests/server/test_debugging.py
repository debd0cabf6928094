"""Answers that tell what was decided about them: for whoever has a token, and without a trace for all others."""

from __future__ import annotations

import json
import time
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.recalled import recalled
from gateway.server.debug_token import mint
from gateway.server.debugging import LONGEST
from gateway.server.recall import recall
from tests.support import Answer, RawUpstream, gateway, raw

SECRET = "0123456789abcdef0123456789abcdef"
POLICY = """
version: 1
server: {debug: {secret: "${SECRET}"}}
upstreams: {a: {targets: "URL"}, nobody: {targets: "http://127.0.0.1:1"}}
plugins:
  - request_id
  - cors: [https://app.example.com]
  - rate_limit: {limit: 100, window: 1m, algorithm: log}
routes:
  - {name: leads, match: /leads/**, upstream: a}
  - {name: made, match: /made, plugins: [{respond: {json: {}, headers: {Cache-Control: "max-age=60", CDN-Cache-Control: "max-age=60"}}}]}
  - {name: noted, match: /noted, plugins: [noting: {text: "${TEXT:-}"}, respond: {status: 204}]}
  - {name: closed, match: /closed, upstream: nobody}
"""
NOTING = """
from gateway.plugin import Exchange, Plugin, Settings
class NotingSettings(Settings):
    text: str = ""
class Noting(Plugin[NotingSettings]):
    def __init__(self, settings, host):
        super().__init__(settings, host)
        self.text = settings.text
    def on_request(self, ex: Exchange) -> None:
        ex.note("noting", text=self.text, evil="a\\r\\nSet-Cookie: x=1\\u2028\\x00\\x7f", object=self)
        for n in range(9 if self.text == "much" else 0):
            ex.note("noting", text="€" * 300)
    def explain(self, ex: Exchange) -> str:
        return f"notes {self.text}"
"""
GOOD = mint(SECRET, 1 << 40)


def policy(url: str) -> str:
    return POLICY.replace("URL", url)


def get(path: str, *fields: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: gateway.test", *fields, "", ""]).encode()


def told(answer: Answer) -> Any:
    field = answer.get(b"Gateway-Debug")
    assert len(field) <= LONGEST and answer.all(b"Cache-Control") == [b"no-store"]
    return json.loads(field)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins/noting.py").write_text(NOTING)
    return tmp_path / "gateway.yaml"


async def asked(folder: Path, *requests: bytes, env: dict[str, str] | None = None, count: int = 1) -> tuple[list[Answer], list[bytes]]:
    """The answers, and the heads that reached the upstream."""
    async with RawUpstream() as upstream, gateway(policy(upstream.url), path=folder, env={"SECRET": SECRET, **(env or {})}) as running:
        found = [answer for request in requests for answer in await raw(running.port, request, count=count)]
    return found, [request.raw for request in upstream.received]


async def test_the_answer_tells_plugins_attempts_and_times(folder: Path) -> None:
    (answer,), (head,) = await asked(folder, get("/leads/7", f"Gateway-Debug: {GOOD}", "X-Request-Id: tour-1"))
    it = told(answer)
    assert (answer.status, it["request_id"], it["route"]) == (200, "tour-1", "leads")
    assert [plugin["name"] for plugin in it["plugins"]] == ["request_id", "cors", "rate_limit"]
    assert it["plugins"][0]["says"] == "keeps the client's id, tour-1"
    assert all(plugin["down_ms"] >= 0 and plugin["up_ms"] >= 0 for plugin in it["plugins"])
    ((attempt),) = it["attempts"]
    assert attempt["status"] == 200 and 0 < attempt["duration_ms"] <= it["total_ms"]
    assert b"debug" not in head.lower()


@pytest.mark.parametrize(
    ("path", "status", "route", "error"),
    [("/nowhere", 404, None, None), ("/closed", 502, "closed", "upstream-unreachable"), ("/made", 200, "made", None)],
)
async def test_errors_and_answers_of_the_gateway_s_own_tell_too(folder: Path, path: str, status: int, route: str, error: str) -> None:
    (answer,), _ = await asked(folder, get(path, f"Gateway-Debug: {GOOD}"))
    it = told(answer)
    assert (answer.status, it.get("route"), it.get("error", error)) == (status, route, error or it.get("error"))
    assert not answer.all(b"CDN-Cache-Control")


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x",
        "x" * 8000,
        GOOD + "x",
        mint(SECRET, int(time.time()) - 1),
        mint("another secret of sufficient length", 1 << 40),
        mint(SECRET, 1 << 40, route="made"),
        mint(SECRET, 1 << 40, path="/other"),
    ],
    ids=count(),
)
async def test_without_a_good_token_nothing_differs(folder: Path, token: str) -> None:
    requests = get("/leads/7", f"Gateway-Debug: {token}", "X-Request-Id: a"), get("/leads/7", "X-Request-Id: a")
    (first, second), (one, other) = await asked(folder, *requests)
    assert one == other
    assert (first.status, first.body) == (second.status, second.body)
    without = [[field for field in answer.fields if field[0] not in (b"RateLimit", b"Date")] for answer in (first, second)]
    assert without[0] == without[1] and not first.all(b"Gateway-Debug")


async def test_two_tokens_are_none(folder: Path) -> None:
    (answer,), (head,) = await asked(folder, get("/leads/7", f"Gateway-Debug: {GOOD}", f"gateway-debug: {GOOD}"))
    assert not answer.all(b"Gateway-Debug") and b"debug" not in head.lower()


async def test_an_answer_is_no_pattern_for_the_next(folder: Path) -> None:
    """Of a client that repeats its head, each token is looked at; and what follows on the connection tells nothing."""
    one, other = get("/made", f"Gateway-Debug: {GOOD}"), get("/made")
    answers, _ = await asked(folder, one + other + one + one + other + other, count=6)
    assert [bool(answer.all(b"Gateway-Debug")) for answer in answers] == [True, False, True, True, False, False]
    assert [answer.get(b"Cache-Control") for answer in answers if not answer.all(b"Gateway-Debug")] == [b"max-age=60"] * 3


async def test_each_counts_once_like_any_other(folder: Path) -> None:
    answers, _ = await asked(folder, *[get("/leads/7", f"Gateway-Debug: {GOOD}")] * 2, get("/leads/7"))
    assert [answer.get(b"RateLimit").split(b";")[1] for answer in answers] == [b"r=99", b"r=98", b"r=97"]


async def test_without_a_secret_there_are_no_such_answers(folder: Path) -> None:
    (answer,), _ = await asked(folder, get("/leads/7", f"Gateway-Debug: {mint('', 1 << 40)}"), env={"SECRET": ""})
    assert not answer.all(b"Gateway-Debug")


async def test_notes_cannot_leave_their_field_and_secrets_are_named(folder: Path) -> None:
    (answer,), _ = await asked(folder, get("/noted", f"Gateway-Debug: {GOOD}"), env={"TEXT": "hunt"})
    it = told(answer)
    assert not answer.all(b"Set-Cookie")
    (noting,) = [plugin for plugin in it["plugins"] if plugin["name"] == "noting"]
    assert noting["says"] == "notes ${TEXT}"
    assert noting["notes"][0] == {"kind": "noting", "text": "${TEXT}", "evil": "a\r\nSet-Cookie: x=1\u2028\x00\x7f", "object": "<Noting>"}
    assert b"hunt" not in answer.get(b"Gateway-Debug")


async def test_what_is_too_long_is_left_out_and_that_is_said(folder: Path) -> None:
    (answer,), _ = await asked(folder, get("/noted", f"Gateway-Debug: {GOOD}"), env={"TEXT": "much"})
    it = told(answer)
    assert it["cut"] is True and it["route"] == "noted" and [plugin["name"] for plugin in it["plugins"]][-1] == "respond"


async def test_a_secret_that_was_cut_is_none_the_less_one(folder: Path) -> None:
    (answer,), _ = await asked(folder, get("/noted", f"Gateway-Debug: {GOOD}"), env={"TEXT": "hunter2-" * 100})
    assert told(answer)["plugins"][3]["notes"][0]["text"] == "${TEXT}..."


async def test_a_body_is_the_upstream_s_as_ever(folder: Path) -> None:
    body = b"x" * 70_000
    head = f"POST /leads/7 HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\nGateway-Debug: {GOOD}\r\n\r\n".encode()
    (answer,), _ = await asked(folder, head + body)
    assert answer.status == 200 and told(answer)["attempts"][0]["status"] == 200


SAYING = """
from __future__ import annotations
import asyncio
from gateway.plugin import Exchange, NoSettings, Plugin
class Saying(Plugin[NoSettings]):
    async def explain(self, ex: Exchange) -> str:
        await asyncio.sleep(3600 if "never" in ex.path else 0)
        return "so many are left"
"""


@pytest.mark.parametrize(("path", "says"), [("/leads", "so many are left"), ("/leads/never", None)])
async def test_what_must_be_asked_for_is_waited_for_a_little(folder: Path, path: str, says: str | None) -> None:
    """As limits in Redis must be."""
    (folder.parent / "plugins/saying.py").write_text(SAYING)
    text = policy("http://127.0.0.1:1").replace("plugins:\n", "plugins:\n  - saying\n", 1)
    async with gateway(text, path=folder, env={"SECRET": SECRET}) as running:
        (answer,) = await raw(running.port, get(path, f"Gateway-Debug: {GOOD}"))
    it = told(answer)
    assert [plugin.get("says") for plugin in it["plugins"] if plugin["name"] == "saying"] == [says]
    assert it["total_ms"] < 1000


async def test_what_was_timed_is_remembered(folder: Path) -> None:
    async with gateway(policy("http://127.0.0.1:1"), path=folder, env={"SECRET": SECRET}) as running:
        for name, token in (("timed", GOOD), ("plain", "none")):
            await raw(running.port, get("/made", f"Gateway-Debug: {token}", f"X-Request-Id: {name}"))
        ((timed,), (plain,)) = [await recall(running.front, name) for name in ("timed", "plain")]
    assert all(plugin["down_ms"] >= 0 for plugin in timed["plugins"] if plugin["reached"])
    assert "ms down" in "\n".join(recalled(timed))
    assert "ms down" not in "\n".join(recalled(plain))
