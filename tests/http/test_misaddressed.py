"""A target that cannot be understood: refused by the common plugins' pipeline, as a path that no route takes."""

from __future__ import annotations

import json

import pytest

from tests.support import RawClient, RawUpstream, gateway, raw

POLICY = """
version: 1
upstreams: {{leads: {{targets: "{url}"}}}}
plugins:
  - request_id
  - access_log
  - security_headers
  - cors: {{origins: [https://app.example.com], credentials: true}}
  - rate_limit: {{limit: 2, window: 1h}}
routes: [{{match: "/**", upstream: leads}}]
"""
FIELDS = "Host: gateway.test\r\nOrigin: https://app.example.com\r\n\r\n"
TARGETS = ["/leads/a%2Fb", "/leads/100%", "/leads/%00", "/../x", "/leads/%zz?q=1", "/%252e", "/%c3", "http://other.test/"]


@pytest.mark.parametrize("is_known", [False, True], ids=["first", "known head"])
@pytest.mark.parametrize("target", TARGETS)
async def test_the_refusal_is_a_reply_like_all(target: str, is_known: bool) -> None:
    """A page's script may read why (without the grant it learns of a network error), the log and the limits know of it, nothing is sent
    on, and no more is heard from this connection."""
    before = f"GET /leads HTTP/1.1\r\n{FIELDS}".encode()
    asked = f"GET {target} HTTP/1.1\r\n{FIELDS}".encode()
    async with RawUpstream() as upstream, gateway(POLICY.format(url=upstream.url)) as running:
        async with RawClient(running.port) as client:
            if is_known:
                client.send(before)
                await client.read(1)
            client.send(asked + before)
            answer = (await client.read(3))[-1]
            assert client.closed
        for _ in range(2):
            (last,) = await raw(running.port, asked)
    assert answer.status == 400
    assert answer.get(b"access-control-allow-origin") == b"https://app.example.com"
    assert answer.get(b"x-content-type-options") == b"nosniff" and answer.get(b"strict-transport-security")
    assert answer.get(b"cache-control") == b"no-store" and answer.get(b"connection") == b"close"
    assert json.loads(answer.body)["type"] == "urn:gateway:problem:bad-request"
    assert [received.target for received in upstream.received] == [b"/leads"] * is_known
    assert last.status == 429
    line = json.loads(running.lines[is_known])
    assert (line["path"], line["status"], "route" in line) == (target.partition("?")[0], 400, False)
