"""What load balancers and probes are told, in each state of the gateway."""

from __future__ import annotations

import hmac
from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from gateway.exchange import Reply
from gateway.plugin import Answers
from gateway.testing import exchange, host, load, pipeline, run

OK, DRAINING = b'{"status":"ok"}', b'{"status":"draining"}'


def ask(target: str, method: str = "GET", *, settings: dict[str, str] | None = None, ready: bool = True) -> Reply:
    return run(pipeline(load("health", settings or {}, host=host(ready=ready))), exchange(method, target))


def body(reply: Reply) -> bytes:
    assert reply.entity is not None
    return reply.entity.data


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("target", "ready", "status", "content"),
    [
        ("/health", True, 200, OK),
        ("/health/readiness", True, 200, OK),
        ("/health/liveness", True, 200, OK),
        ("/health", False, 503, DRAINING),
        ("/health/readiness", False, 503, DRAINING),
        ("/health/liveness", False, 200, OK),  # a container that drains must not be restarted
        # As loose as the routes, so that no probe falls through to a 404.
        ("/health/", True, 200, OK),
        ("/Health/Liveness/", True, 200, OK),
        ("/HEALTH/READINESS", False, 503, DRAINING),
        ("/health?verbose=1", True, 200, OK),
    ],
)
def test_checks(method: str, target: str, ready: bool, status: int, content: bytes) -> None:
    reply = ask(target, method, ready=ready)
    assert (reply.status, body(reply)) == (status, content)
    assert reply.headers["Content-Type"] == "application/json"
    assert reply.headers["Cache-Control"] == "no-store"
    assert reply.headers.get("Retry-After") == (None if status == 200 else "1")


@pytest.mark.parametrize("target", ["/health/metrics", "/health/workers", "/health/liveness/x", "/healthy", "/", "/liveness"])
def test_there_is_nothing_else(target: str) -> None:
    reply = ask(target)
    assert reply.status == 404
    assert reply.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_other_methods(method: str) -> None:
    reply = ask("/health", method)
    assert (reply.status, reply.headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    ("path", "target", "status"),
    [
        ("/internal/state", "/internal/state", 200),
        ("/internal/state/", "/internal/state/readiness", 200),
        ("/Internal", "/internal/liveness", 200),
        ("/internal", "/health", 404),
        ("/", "/", 200),
        ("/", "/readiness", 200),
    ],
)
def test_elsewhere(path: str, target: str, status: int) -> None:
    assert ask(target, settings={"path": path}).status == status


def test_each_reply_has_headers_of_its_own() -> None:
    """Plugins above change them in place."""
    plugin = load("health")
    first, second = (run(pipeline(plugin), exchange("GET", "/health")) for _ in range(2))
    first.headers["X-Mark"] = "1"
    assert "X-Mark" not in second.headers


@pytest.mark.parametrize("path", ["health", "//", "/a?b", "/a#b", "/a//b"])
def test_refused_at_load(path: str) -> None:
    with pytest.raises(ValidationError):
        load("health", {"path": path})


@pytest.mark.parametrize(
    ("target", "ready", "content"),
    [
        ("/health", True, b'{"status":"ok","policy":"stale"}'),
        ("/health/readiness", True, b'{"status":"ok","policy":"stale"}'),
        ("/health/readiness", False, DRAINING),
        ("/health/liveness", True, OK),
    ],
)
def test_readiness_tells_that_a_newer_policy_was_refused(target: str, ready: bool, content: bytes) -> None:
    """And nothing more: the old policy serves as well as ever."""
    assert body(run(pipeline(load("health", {}, host=host(ready=ready, stale=True))), exchange("GET", target))) == content


TOKEN = "kPq8wN3vXzkPq8wN3vXz"
INSIDES = {
    "health": {"status": "degraded", "ready": True, "checks": {"database": {"status": "failing"}}},
    "workers": [{"pid": 7}],
    "metrics_json": {"requests": 1},
}


def inside(target: str, *sent: str, answers: dict[str, Any] = INSIDES, token: str | None = TOKEN, ready: bool = True) -> Reply:
    plugin = load("health", {} if token is None else {"token": token}, host=host(answers=answers, ready=ready))
    return run(pipeline(plugin), exchange("GET", target, [("Authorization", value) for value in sent]))


@pytest.mark.parametrize(
    ("target", "content"),
    [
        ("/health", INSIDES["health"]),
        ("/health/readiness/", INSIDES["health"]),
        ("/health/workers", INSIDES["workers"]),
        ("/Health/Metrics", INSIDES["metrics_json"]),
        ("/health/liveness", {"status": "ok"}),
    ],
)
def test_the_insides_are_shown_to_whoever_has_the_token(target: str, content: object) -> None:
    reply = inside(target, f"Bearer {TOKEN}")
    assert (reply.status, orjson.loads(body(reply))) == (200, content)


@pytest.mark.parametrize(
    "sent", [(), ("Bearer",), ("Bearer x",), (f"Basic {TOKEN}",), (f"Bearer {TOKEN}x",), (f"Bearer {TOKEN}",) * 2, (TOKEN,)]
)
def test_and_to_nobody_else(sent: tuple[str, ...]) -> None:
    for target in ("/health/workers", "/health/metrics"):
        reply = inside(target, *sent)
        assert (reply.status, reply.headers["WWW-Authenticate"]) == (401, 'Bearer realm="gateway"')
    for target in ("/health", "/health/readiness"):
        assert body(inside(target, *sent)) == OK
        assert (inside(target, *sent, ready=False)).status == 503


@pytest.mark.parametrize("sent", [(), ("Bearer ",), ("Bearer None",), (f"Bearer {TOKEN}",)])
def test_without_a_token_in_the_policy_there_are_no_insides(sent: tuple[str, ...]) -> None:
    assert [inside(target, *sent, token=None).status for target in ("/health/workers", "/health/metrics")] == [404, 404]
    assert body(inside("/health", *sent, token=None)) == OK


def test_a_short_token_is_refused_at_load() -> None:
    for token in ("", "short"):
        with pytest.raises(ValidationError):
            load("health", {"token": token})


def test_the_token_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[bytes] = []

    def digest(sent: bytes, right: bytes) -> bool:
        compared.append(sent)
        return sent == right

    monkeypatch.setattr(hmac, "compare_digest", digest)
    inside("/health/workers", f"Bearer {TOKEN}")
    inside("/health/workers", "Basic x")
    assert compared == [TOKEN.encode(), b"x"]


def test_in_detail_as_in_short_503_keeps_traffic_away() -> None:
    reply = inside("/health", f"Bearer {TOKEN}", answers={"health": {"status": "unready", "ready": False}})
    assert (reply.status, reply.headers["Retry-After"]) == (503, "1")


def test_what_this_gateway_does_not_offer() -> None:
    reply = inside("/health/metrics", f"Bearer {TOKEN}", answers={})
    assert (reply.status, reply.headers["Content-Type"]) == (501, "application/problem+json")


def test_one_that_is_not_ready_and_does_not_drain() -> None:
    reply = run(pipeline(load("health", {}, host=host(ready=False, draining=False))), exchange("GET", "/health"))
    assert (reply.status, body(reply)) == (503, b'{"status":"unready"}')


@pytest.mark.parametrize(
    ("target", "sent", "told"),
    [
        ("/health", None, "answers 200"),
        ("/health/liveness", None, "answers 200"),
        ("/health", f"Bearer {TOKEN}", "answers what the gateway says of its health"),
        ("/health/metrics", f"Bearer {TOKEN}", "answers what the gateway says of its metrics"),
    ],
)
def test_explained(target: str, sent: str | None, told: str) -> None:
    ex = exchange("GET", target, [] if sent is None else [("Authorization", sent)])
    explanation = load("health", {"token": TOKEN}).explain(ex)
    assert isinstance(explanation, Answers) and explanation == told
