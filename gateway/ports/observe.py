"""The port to read from: health in detail, the workers, and metrics."""

from __future__ import annotations

from typing import Any

from gateway.exchange import Headers, Reply
from gateway.ports.endpoint import Endpoint, Endpoints

EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"
"""Prometheus's text format, where the operation names no other."""


def _health(answer: Any) -> Reply:
    """503 keeps traffic away; what is merely degraded says so with 200."""
    return Reply.json(200 if answer["ready"] else 503, answer)


def _exposition(answer: Any) -> Reply:
    """Text, or `{"content_type": ..., "text": ...}`."""
    text, kind = (answer["text"], answer["content_type"]) if isinstance(answer, dict) else (answer, EXPOSITION)
    return Reply(200, Headers([("Content-Type", kind)]), text.encode())


_READINESS = {"GET": Endpoint("health", _health)}

ENDPOINTS: Endpoints = {
    "/health": _READINESS,
    "/health/readiness": _READINESS,
    "/health/liveness": {"GET": Endpoint("liveness")},
    "/health/workers": {"GET": Endpoint("workers")},
    "/health/metrics": {"GET": Endpoint("metrics_json")},
    "/metrics": {"GET": Endpoint("metrics", _exposition, headers=("accept",))},
}
