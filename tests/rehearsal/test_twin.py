"""The stage beside the real thing: the same bytes through sockets, the same reply, the same request to the service."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.config.policy import loads
from gateway.rehearsal.answer import Answer
from gateway.rehearsal.request import Request
from gateway.rehearsal.stage import staged
from tests.support import RawUpstream, gateway, ok, raw

ROOT = Path(__file__).parents[2]
POLICY = (ROOT / "gateway.yaml").read_text()
ID = re.compile(
    r"\b[0-9a-f]{32}\b(-[0-9a-f]{16}-0[0-3])?|;t=\d+"
)  # ids, whether a trace is sampled, and how long a limit's window still is: it began with the clock
BODY = b'{"a":1}'
SEEN_OTHERWISE = {"content-length", "connection", "transfer-encoding", "date"}
"""Framing, which is no part of a rehearsal's outcome; and its day is another one."""

REQUESTS = [
    Request("GET", "/api/v1/leads?page=2", client="127.0.0.1"),
    Request("HEAD", "/api/v1/leads", client="127.0.0.1"),
    Request(
        "POST", "/API//v1/Login/", (("Content-Type", "application/json"), ("Cookie", "a=b"), ("X-Request-Id", "r-1")), BODY, "127.0.0.1"
    ),
    Request("POST", "/api/v1/leads", (("Transfer-Encoding", "chunked"),), b"7\r\n" + BODY + b"\r\n0\r\n\r\n", "127.0.0.1"),
    Request("POST", "/api/v1/login", (("Content-Length", "16385"), ("Expect", "100-continue")), b"", "127.0.0.1"),
    Request(
        "OPTIONS", "/api/v1/leads", (("Origin", "https://app.example.com"), ("Access-Control-Request-Method", "PUT")), None, "127.0.0.1"
    ),
    Request("GET", "/api/v1/leads", (("Origin", "https://evil.example"), ("X-Forwarded-For", "10.0.0.1")), None, "127.0.0.1"),
    Request("GET", "/health/readiness", client="127.0.0.1"),
    Request("POST", "/health", client="127.0.0.1"),
    Request("GET", "/nowhere", client="127.0.0.1"),
    Request("GET", "/api/v1/%2e%2e/%2fx", client="127.0.0.1"),
    Request("BREW", "/api/v1/leads", client="127.0.0.1"),
    Request("GET", "/api/v1/leads", (("Host", "a b"),), None, "127.0.0.1"),
    Request("GET", "/api/v1/leads", (("Upgrade", "h2c"), ("Connection", "Upgrade, X-Gone"), ("X-Gone", "1")), None, "127.0.0.1"),
]


def told(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Header fields without what differs, in one order; ids are alike."""
    return sorted((name.lower(), ID.sub("ID", value)) for name, value in pairs if name.lower() not in SEEN_OTHERWISE)


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda one: f"{one.method} {one.url}")
async def test_the_stage_is_true(request_: Request) -> None:
    fields = (("X-Powered-By", "Express"), ("Content-Type", "application/json"))
    async with staged(loads(POLICY, env={}, path=ROOT / "gateway.yaml"), lambda sent: Answer(201, fields, BODY)) as stage:
        outcome = await stage.perform(request_)
    answer = ok(b"" if request_.method == "HEAD" else BODY, *(f"{name}: {value}".encode() for name, value in fields), status=b"201 Created")
    async with RawUpstream([answer]) as upstream, gateway(POLICY, env={"LEADS_URL": upstream.url}, path=ROOT / "gateway.yaml") as running:
        (real,) = await raw(running.port, request_.head + (request_.body or b""), methods=[request_.method])
    assert outcome.status == real.status
    assert told(list(outcome.headers.items())) == told([(name.decode(), value.decode()) for name, value in real.fields])
    assert ID.sub("ID", outcome.body.decode()) == ID.sub("ID", real.body.decode())
    assert [(sent.method.encode(), sent.target.encode(), sent.body) for sent in outcome.sent] == [
        (received.method, received.target, received.body) for received in upstream.received
    ]
    for sent, received in zip(outcome.sent, upstream.received, strict=True):
        assert told(list(sent.headers.items())) == told([(name.decode(), value.decode()) for name, value in received.fields])
