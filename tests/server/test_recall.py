"""Recent requests as the running gateway tells of them: by the id of the answer, whatever became of it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from gateway.app import App
from gateway.config.policy import loads
from gateway.control import ControlError
from gateway.server.recall import MOST, recall
from tests.http.recording import SILENCE
from tests.support import RawClient, RawUpstream, Running, gateway, raw

POLICY = """
version: 1
server: {debug: {recent: SIZE}}
upstreams: {a: {targets: "URL"}, nobody: {targets: "http://127.0.0.1:1"}}
plugins:
  - request_id
  - rate_limit: {limit: 2, window: 1m, algorithm: log}
    mode: MODE
  - body_limit: 10B
routes:
  - {name: lead, match: "GET /leads/{id}", upstream: a}
  - {name: versioned, match: {path: "/leads/{id}", headers: {X-Version: "2"}}, upstream: a}
  - {name: all, match: /leads/**, upstream: a}
  - {name: closed, match: /closed, upstream: nobody}
"""


def policy(url: str, *, size: int = 16, mode: str = "enforce") -> str:
    return POLICY.replace("URL", url).replace("SIZE", str(size)).replace("MODE", mode)


def get(path: str, name: str, *fields: str, method: str = "GET") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: gateway.test", f"X-Request-Id: {name}", "Authorization: Bearer hunter2", *fields, "", ""]
    return "\r\n".join(lines).encode()


async def one(running: Running, name: str) -> Any:
    (found,) = await recall(running.front, name)
    return found


async def test_what_became_of_a_request() -> None:
    async with RawUpstream() as upstream, gateway(policy(upstream.url)) as running:
        await raw(running.port, get("/leads/7?token=hunter2", "a"))
        it = await one(running, "a")
    assert "hunter2" not in str(it)
    assert it["request"] == {"method": "GET", "path": "/leads/7", "host": "gateway.test", "client": "127.0.0.1", "consumer": None}
    assert it["route"] == "lead" and it["replaced"] is False
    assert it["near"] == [
        {"route": "versioned", "reasons": ["it has conditions on headers or query, of which nothing is kept"]},
        {"route": "all", "reasons": ["it takes the request too; lead goes before it"]},
    ]
    assert [(plugin["name"], plugin["reached"], plugin["ended"]) for plugin in it["plugins"]] == [
        ("request_id", True, False), ("rate_limit", True, False), ("body_limit", True, False),
    ]  # fmt: skip
    (attempt,) = it["attempts"]
    assert attempt == {"target": upstream.url, "status": 200, "duration_ms": attempt["duration_ms"]}
    assert it["outcome"]["status"] == 200 and it["outcome"]["duration_ms"] >= attempt["duration_ms"] > 0


async def test_what_the_policy_calls_personal_is_not_told() -> None:
    async with RawUpstream() as upstream, gateway(policy(upstream.url) + "telemetry: {pii: [ID, policies]}\n") as running:
        for n in range(3):
            await raw(running.port, get("/leads/jane@example.org", str(n)))
        it = await one(running, "2")
    assert it["request"]["path"] == "/leads/REDACTED"
    assert it["plugins"][1]["notes"] == [{"kind": "rate_limit", "policies": "[redacted]", "outcome": "rejected"}]


@pytest.mark.parametrize(
    ("request_", "route", "ended", "status", "error"),
    [
        (get("/nowhere", "a"), None, None, 404, "not-found"),
        (get("/leads/7", "a", method="PUT"), "all", None, 200, None),
        (get("/closed", "a"), "closed", None, 502, "upstream-unreachable"),
        (get("/leads/7/x", "a", "Content-Length: 11") + b"x" * 11, "all", "body_limit", 413, "payload-too-large"),
    ],
)
async def test_how_it_ended(request_: bytes, route: str | None, ended: str | None, status: int, error: str | None) -> None:
    async with RawUpstream() as upstream, gateway(policy(upstream.url)) as running:
        await raw(running.port, request_)
        it = await one(running, "a")
    assert (it["route"], it["outcome"]["status"], it["outcome"].get("error")) == (route, status, error)
    assert [plugin["name"] for plugin in it["plugins"] if plugin["ended"]] == ([ended] if ended else [])


@pytest.mark.parametrize(
    ("mode", "status", "noted"),
    [
        ("enforce", 429, {"kind": "rate_limit", "policies": ["default"], "outcome": "rejected"}),
        ("observe", 200, {"kind": "observe", "plugin": "rate_limit", "status": 429, "policies": ["default"]}),
    ],
)
async def test_what_plugins_decided(mode: str, status: int, noted: dict[str, object]) -> None:
    async with RawUpstream() as upstream, gateway(policy(upstream.url, mode=mode)) as running:
        for name in ("a", "b", "c"):
            await raw(running.port, get("/leads/7", name))
        it = await one(running, "c")
    assert it["outcome"]["status"] == status
    assert it["plugins"][1]["notes"] == [noted]


async def test_a_client_that_left() -> None:
    async with RawUpstream([SILENCE]) as upstream, gateway(policy(upstream.url)) as running:
        async with RawClient(running.port) as client:
            client.send(get("/leads/7", "a"))
            while not upstream.received:
                await asyncio.sleep(0.01)
        while running.app.running.exchanges:
            await asyncio.sleep(0.01)
        it = await one(running, "a")
    assert it["outcome"]["status"] is None and it["outcome"]["error"] == "client-gone"


async def test_what_the_front_refused() -> None:
    async with RawUpstream() as upstream, gateway(policy(upstream.url)) as running:
        (answer,) = await raw(running.port, b"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: hunter2\x00\r\n\r\n")
        it = await one(running, answer.get(b"X-Request-Id").decode())
    assert it["route"] is None and it["outcome"]["status"] == 400 and it["outcome"]["error"] == "bad-request"
    assert it["request"]["client"] == "127.0.0.1" and it["outcome"]["reason"] and "hunter2" not in str(it)


async def test_an_id_that_is_not_known_any_more() -> None:
    async with RawUpstream() as upstream, gateway(policy(upstream.url, size=2)) as running:
        with pytest.raises(ControlError, match="among the last 2 that are remembered \\(none yet\\)"):
            await recall(running.front, "a")
        for name in ("a", "b", "c"):
            await raw(running.port, get("/closed", name))
        with pytest.raises(ControlError, match="among the last 2 that are remembered \\(back to 0 s ago\\)") as refused:
            await recall(running.front, "a")
        assert refused.value.status == 404
        assert len(await recall(running.front, "b")) == 1


async def test_nothing_is_remembered_if_the_policy_says_so() -> None:
    async with RawUpstream() as upstream, gateway(policy(upstream.url, size=0)) as running:
        await raw(running.port, get("/leads/7", "a"))
        await raw(running.port, b"GET / HTTP/1.1\r\nHost : a\r\n\r\n")
        with pytest.raises(ControlError, match=r"server\.debug\.recent of the policy is 0"):
            await recall(running.front, "a")


async def test_one_id_of_many_requests_is_told_to_an_end() -> None:
    async with RawUpstream() as upstream, gateway(policy(upstream.url)) as running:
        for _ in range(MOST + 2):
            await raw(running.port, get("/closed", "a"))
        assert len(await recall(running.front, "a")) == MOST


async def test_a_reload_in_between(tmp_path: Path) -> None:
    async with RawUpstream() as upstream, gateway(policy(upstream.url)) as running:
        await raw(running.port, get("/leads/7", "a"))
        after = App(loads(policy(upstream.url).replace("name: lead,", "name: other,")), running.lines.append, before=running.app)
        after.running.succeed(running.app.running)
        running.front.adopt(after)
        it = await one(running, "a")
        assert it["replaced"] is True and it["near"] == [] and it["route"] == "lead"
        assert [plugin["name"] for plugin in it["plugins"]] == ["request_id", "rate_limit", "body_limit"]
        await raw(running.port, get("/leads/7", "b"))
        assert (await one(running, "b"))["replaced"] is False
        smaller = loads(policy(upstream.url, size=1))
        running.front.adopt(App(smaller, running.lines.append, before=after))
        with pytest.raises(ControlError, match="last 1 "):
            await recall(running.front, "b")
