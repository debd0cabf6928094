"""Cut in two at every byte, a message means what it means whole: requests on their way in, answers on theirs."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.http import judge
from tests.http.case import SMUGGLED, get, lines, post
from tests.http.client import RawClient
from tests.http.recording import Received, Step
from tests.support import RawUpstream, gateway

POLICY = """
version: 1
upstreams:
  service: {{targets: ["{url}"]}}
plugins: [request_id, problem_details]
routes: [{{name: all, match: "/**", upstream: service}}]
"""

REQUESTS: dict[str, tuple[bytes, tuple[int, ...], bytes]] = {
    "two requests": (get() + get(b"X-A: b"), (200, 200), b""),
    "a length": (post(b"Content-Length: 5", body=b"hello") + get(), (200, 200), b"hello"),
    "chunks": (post(b"Transfer-Encoding: chunked", body=b"2;a\r\nhe\r\n003\r\nllo\r\n0\r\nX-Sum: 1\r\n\r\n") + get(), (200, 200), b"hello"),
    "chunk size bad": (post(b"Transfer-Encoding: chunked", body=b"2\r\nhe\r\n+3\r\nllo\r\n0\r\n\r\n"), (400,), b""),
    "chunk end bad": (post(b"Transfer-Encoding: chunked", body=b"2\r\nhe\n3\r\nllo\r\n0\r\n\r\n"), (400,), b""),
    "trailer bad": (post(b"Transfer-Encoding: chunked", body=b"2\r\nhe\r\n0\r\n" + SMUGGLED), (400,), b""),
    "both framings": (post(b"Content-Length: 5", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n" + SMUGGLED), (400,), b""),
    "good before bad": (get() + lines(b"GET /t HTTP/1.1", b"Host: h", b"X : y"), (200, 400), b""),
    "bare line feed": (b"GET /t HTTP/1.1\r\nHost: h\r\nX: y\n\r\n", (400,), b""),
    "an empty line in front": (b"\r\n" + get(), (200,), b""),
}


@pytest.mark.parametrize("name", REQUESTS)
async def test_request_cut_in_two(name: str) -> None:
    sent, status, body = REQUESTS[name]
    for at in range(1, len(sent)):
        async with RawUpstream() as upstream, gateway(POLICY.format(url=upstream.url)) as running, RawClient(running.port) as client:
            await client.send_segments([sent[:at], sent[at:]])
            found = await client.read(len(status))
            assert tuple(answer.status for answer in found) == status, at
            assert upstream.targets == [b"/t"] * status.count(200), at
            assert not upstream.violations
            for request in upstream.received:
                judge.is_unambiguous(request)
            if upstream.received:
                assert upstream.received[0].body == body, at


_HEAD = b"HTTP/1.1 200 OK\r\n"
ANSWERS: dict[str, tuple[bytes, bool]] = {
    "a length": (_HEAD + b"Content-Length: 5\r\n\r\nhello", True),
    "chunks": (
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
        + _HEAD
        + b"Transfer-Encoding: chunked\r\n\r\n2;a\r\nhe\r\n3\r\nllo\r\n0\r\nX: y\r\n\r\n",
        True,
    ),
    "chunk size bad": (_HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n+3\r\nllo\r\n0\r\n\r\n", False),
    "length bad": (_HEAD + b"Content-Length: 05\r\n\r\nhello", False),
}


@pytest.mark.parametrize("name", ANSWERS)
async def test_answer_cut_in_two(name: str) -> None:
    data, is_good = ANSWERS[name]

    def script(request: Received) -> Sequence[Step]:
        at = int(request.target[1:])
        return [data[:at], 0.001, data[at:]]

    async with RawUpstream(script) as upstream, gateway(POLICY.format(url=upstream.url)) as running:
        for at in range(1, len(data)):
            async with RawClient(running.port) as client:
                client.send(get(target=b"/%d" % at))
                if is_good:
                    *_, answer = await client.read(1)
                    assert (answer.status, answer.body) == (200, b"hello"), at
                else:
                    whole = [answer for answer in await client.read(1) if answer.status < 500]
                    assert not whole, at
        assert len(upstream.received) == len(data) - 1
