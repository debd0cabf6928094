"""What load balancers and probes are told, in each state of the gateway."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from gateway.exchange import Reply
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
