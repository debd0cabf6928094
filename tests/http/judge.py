"""What must hold of everything that reaches an upstream, and of every refusal that reaches a client."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tests.http.client import Answer
from tests.http.recording import Received

_NEVER = {
    b"keep-alive", b"proxy-connection", b"proxy-authorization", b"proxy-authenticate", b"trailer", b"http2-settings", b"expect",
    b"x-original-url", b"x-rewrite-url", b"x-forwarded-port", b"x-forwarded-prefix", b"x-forwarded-server",
}  # fmt: skip
_ONCE = (b"host", b"x-forwarded-for", b"x-forwarded-proto", b"x-real-ip", b"forwarded", b"via", b"x-request-id")
_AT_MOST_ONCE = (b"authorization", b"content-type", b"origin", b"x-forwarded-host")
_PROBLEM = {"type", "title", "status", "detail", "request_id", "limit"}
_INSIDES = re.compile(
    rb"Traceback|File \"|\.py\b|aiohttp|httptools|llhttp|multidict|Exception|Errno|127\.0\.0\.1|object at 0x", re.IGNORECASE
)
_WITH_CONTENT = (b"POST", b"PUT", b"PATCH")


def is_unambiguous(request: Received) -> None:
    """The recording reader has found one request in the bytes; here is what it may not hold besides."""
    names = [name.lower() for name, _ in request.fields]
    assert not _NEVER & set(names), names
    assert not [name for name in names if b"_" in name], names
    for name in _ONCE:
        assert names.count(name) == 1, (name, request.raw)
    for name in _AT_MOST_ONCE:
        assert names.count(name) <= 1, (name, request.raw)
    assert request.all(b"connection") in ([], [b"TE"], [b"Upgrade"]), request.raw
    assert bool(request.all(b"te")) == (request.all(b"connection") == [b"TE"]), request.raw
    assert bool(request.all(b"upgrade")) == (request.all(b"connection") == [b"Upgrade"]), request.raw
    framed = len(request.all(b"content-length")) + len(request.all(b"transfer-encoding"))
    assert framed <= 1 and (framed == 1 or request.method not in _WITH_CONTENT), request.raw
    assert not opens(request.target), request.target


def opens(target: bytes) -> bool:
    """Might a lax upstream take this for /admin? It decodes thrice, takes a backslash for a slash, drops parameters and case."""
    path = target.partition(b"?")[0].partition(b"#")[0]
    for _ in range(3):
        path = re.sub(rb"%([0-9A-Fa-f]{2})", lambda found: bytes([int(found[1], 16)]), path)
    kept: list[bytes] = []
    for segment in path.replace(b"\\", b"/").partition(b"\0")[0].split(b"/"):
        name = segment.partition(b";")[0].strip().lower()
        if name == b"..":
            del kept[-1:]
        elif name not in (b"", b"."):
            kept.append(name)
    return kept[:1] == [b"admin"]


def is_problem(answer: Answer) -> None:
    """RFC 9457, and nothing of our insides."""
    assert answer.get(b"content-type") == b"application/problem+json", answer
    content = answer.json
    assert {"type", "title", "status", "request_id"} <= set(content) <= _PROBLEM, content
    assert content["status"] == answer.status
    assert content["type"].startswith("urn:gateway:problem:")
    assert answer.get(b"x-request-id").decode() == content["request_id"]
    assert answer.get(b"cache-control") == b"no-store"
    assert not _INSIDES.search(answer.body), answer.body
    assert len(answer.body) < 1000


def dated(found: Sequence[Answer]) -> None:
    for answer in found:
        if answer.status >= 200:
            answer.get(b"date")
