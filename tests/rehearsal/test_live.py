"""The explanation of a running gateway: what it says is what would happen there now, and asking moves nothing."""

from __future__ import annotations

import logging
from base64 import b64encode
from typing import Any

import pytest

from gateway.control import ControlError
from gateway.rehearsal.live import offer
from tests.support import RawUpstream, Running, gateway, raw

POLICY = """
version: 1
upstreams: {a: {targets: "URL"}}
plugins:
  - rate_limit: {limit: 2, window: 1m, algorithm: log}
routes:
  - {name: lead, match: "GET /leads/{id}", upstream: a}
  - {name: upload, match: POST /upload, upstream: a, plugins: [{body_limit: 10B}]}
"""
GET = b"GET /leads/7 HTTP/1.1\r\nHost: gateway.test\r\n\r\n"


async def explained(running: Running, **arguments: Any) -> Any:
    return await running.app.control.call("explain", {"client": "127.0.0.1", **arguments})


async def test_the_counters_are_the_gateway_s_and_stay_as_they_are(caplog: pytest.LogCaptureFixture) -> None:
    async with RawUpstream() as upstream, gateway(POLICY.replace("URL", upstream.url)) as running:
        offer(running.front)
        caplog.set_level(logging.DEBUG, "gateway")
        for left in (2, 1):
            for _ in range(3):
                it = await explained(running, url="/leads/7", headers={"X-Forwarded-For": "192.0.2.9"})
                assert f"{left} left" in it["plugins"][0]["says"] and it["upstream"]["line"] == "GET /leads/7"
            (answer,) = await raw(running.port, GET)
            assert answer.status == 200
        it = await explained(running, method="GET", url="/leads/7")
        assert it["plugins"][0]["says"].startswith('"default";q=2;w=60 for 127.0.0.1: refuses, for ')
        assert it["upstream"] is None and it["plugins"][0]["ends"] is True
        (answer,) = await raw(running.port, GET)
        assert answer.status == 429
        assert len(upstream.received) == 2 and running.app.running.exchanges == 0 and not running.lines
    assert not [record for record in caplog.records if record.name == "gateway.server" and record.levelno > logging.INFO]


async def test_it_is_the_policy_that_runs_now() -> None:
    async with RawUpstream() as upstream, gateway(POLICY.replace("URL", upstream.url)) as running:
        offer(running.front)
        it = await explained(running, method="PUT", url="/leads/7")
        assert it["route"] is None and it["failure"]["status"] == 405
        assert it["near"] == [
            {"route": "lead", "at": {"match": "GET /leads/{id}", "file": "gateway.yaml", "line": 7}, "reasons": ["it takes GET, not PUT"]}
        ]
        it = await explained(running, method="POST", url="/upload", body=b64encode(b"x" * 11).decode())
        assert it["plugins"][1]["says"].startswith("refuses: 413")
        it = await explained(running, url="/leads/%2e%2e%2f")
        assert it["refusal"] is None and it["failure"]["status"] == 400
        it = await explained(running, method="TRACE", url="/leads/7")
        assert it["refusal"]["status"] == 501


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({}, "the URL is empty"),
        ({"url": 7}, "url is to be text"),
        ({"url": "/", "method": "G T"}, "is no method"),
        ({"url": "/", "client": "nobody"}, "is no IP address"),
        ({"url": "/a b"}, "without blanks"),
        ({"url": "/", "headers": "x"}, "headers is to be"),
        ({"url": "/", "headers": [["a"]]}, "headers is to be"),
        ({"url": "/", "headers": [["a", 1]]}, "headers is to be"),
        ({"url": "/", "headers": [["a", "b\r\nc: d"]]}, "no header of one line"),
        ({"url": "/", "body": "*"}, "base64"),
        ({"url": "/", "body": 7}, "base64"),
    ],
)
async def test_what_is_no_request(arguments: dict[str, Any], why: str) -> None:
    async with gateway("version: 1\nroutes: [{match: /**, plugins: [{respond: 204}]}]") as running:
        offer(running.front)
        with pytest.raises(ControlError, match=why) as refused:
            await running.app.control.call("explain", arguments)
        assert refused.value.status == 422
