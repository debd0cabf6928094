"""Whether the gateway lives, and whether it should be sent requests: for load balancers, and for Kubernetes' probes."""

from __future__ import annotations

import re
from typing import Annotated

import orjson
from pydantic import AfterValidator
from pydantic.json_schema import WithJsonSchema

from gateway.plugin import Answers, Exchange, Field, Headers, Host, NotFound, Plugin, Reply, Settings, errors

RETRY_AFTER = "1"
"""Seconds. A gateway that drains does not come back, but another stands behind the same name."""

_OK = orjson.dumps({"status": "ok"})
_STALE = orjson.dumps({"status": "ok", "policy": "stale"})
_DRAINING = orjson.dumps({"status": "draining"})


_PATH = re.compile(r"(/[^/?#]+)*/?")


def _path(value: str) -> str:
    if _PATH.fullmatch(value) is None:
        raise ValueError(f'"{value}" is no path; it begins with a slash, and has no query and no empty segments')
    return value


class HealthSettings(Settings):
    path: Annotated[str, AfterValidator(_path), WithJsonSchema({"type": "string", "pattern": f"^{_PATH.pattern}$"})] = Field(
        "/health",
        description="Where the answers begin, for a route that matches all below it. The path itself and PATH/readiness say 200, or 503 "
        "while the gateway drains, and `policy: stale` while a newer policy is refused; PATH/liveness says 200 as long as the gateway's "
        "loop turns.",
    )


class Health(Plugin[HealthSettings]):
    """Answers application/json: application/health+json (draft-inadarei-api-health-check) has expired, and knows no draining."""

    def __init__(self, settings: HealthSettings, host: Host) -> None:
        super().__init__(settings, host)
        base = _loose(settings.path)
        self._liveness = f"{base}/liveness"
        # The summary says what readiness says, for whoever asks only there is a load balancer.
        self._readiness = frozenset({base, f"{base}/readiness"})

    def on_request(self, ex: Exchange) -> Reply:
        path = _loose(ex.path)
        is_liveness = path == self._liveness
        if not is_liveness and path not in self._readiness:
            raise NotFound("There is no such check.")
        if ex.method not in ("GET", "HEAD"):
            raise errors.MethodNotAllowed(("GET", "HEAD"))
        headers = Headers([("Content-Type", "application/json"), ("Cache-Control", "no-store")])
        if is_liveness:
            return Reply(200, headers, _OK)
        if self.host.is_ready():
            return Reply(200, headers, _STALE if self.host.has_stale_policy() else _OK)
        headers["Retry-After"] = RETRY_AFTER
        return Reply(503, headers, _DRAINING)

    def explain(self, ex: Exchange) -> str:
        return Answers(f"answers {self.on_request(ex).status}")


def _loose(path: str) -> str:
    """Case and a trailing slash make no other path, as in the routes."""
    return path.rstrip("/").lower()
