"""Whether the gateway lives, and whether it should be sent requests: for load balancers, and for Kubernetes' probes."""

from __future__ import annotations

import asyncio
import re
from typing import Annotated, ClassVar

import orjson
from pydantic import AfterValidator
from pydantic.json_schema import WithJsonSchema

from gateway.plugin import (
    CHALLENGE,
    Answers,
    ControlError,
    Exchange,
    Field,
    Headers,
    Host,
    NotFound,
    Plugin,
    Reply,
    Settings,
    Token,
    Unauthorized,
    Unavailable,
    errors,
    has_token,
)

RETRY_AFTER = "1"
"""Seconds. A gateway that drains does not come back, but another stands behind the same name."""

_OK = orjson.dumps({"status": "ok"})
_STALE = orjson.dumps({"status": "ok", "policy": "stale"})
_DRAINING = orjson.dumps({"status": "draining"})
_UNREADY = orjson.dumps({"status": "unready"})

PATIENCE = 5.0
"""Seconds for what the gateway says of itself, which may be asked of many processes."""


_PATH = re.compile(r"(/[^/?#*{}]+)*/?")


def _path(value: str) -> str:
    if _PATH.fullmatch(value) is None:
        raise ValueError(f'"{value}" is no path; write where the answers begin, as in /health, without /**')
    return value


class HealthSettings(Settings):
    example: ClassVar[str] = "path: /health"

    path: Annotated[str, AfterValidator(_path), WithJsonSchema({"type": "string", "pattern": f"^{_PATH.pattern}$"})] = Field(
        "/health",
        description="Where the answers begin, for a route that matches all below it. The path itself and PATH/readiness say 200, or 503 "
        "while the gateway drains or a required check fails, and `policy: stale` while a newer policy is refused; PATH/liveness says 200 "
        "as long as the gateway's loop turns.",
    )
    token: Token | None = Field(
        None,
        description="Who sends `Authorization: Bearer TOKEN` is shown the insides: readiness in detail, PATH/metrics, PATH/workers. "
        "Without one here these two do not exist; `server.observe` has them, too.",
    )


class Health(Plugin[HealthSettings]):
    """Answers application/json: application/health+json (draft-inadarei-api-health-check) has expired, and knows no draining.

    The insides are kept for whoever has the token. Another one is told 401, for that the paths exist is no secret, and a probe with
    yesterday's token must not be taken for a gateway that has no metrics.
    """

    is_vital = True
    unobservable = "it is what its route answers"

    def __init__(self, settings: HealthSettings, host: Host) -> None:
        super().__init__(settings, host)
        base = _loose(settings.path)
        self._token = settings.token
        # The summary says what readiness says, for whoever asks only there is a load balancer.
        self._operations = {base: "health", f"{base}/readiness": "health", f"{base}/liveness": "liveness"}
        if self._token is not None:
            self._operations |= {f"{base}/metrics": "metrics_json", f"{base}/workers": "workers"}

    async def on_request(self, ex: Exchange) -> Reply:
        operation, is_inside = self._asked(ex)
        if operation == "liveness":
            return _reply(200, _OK)
        if not is_inside:
            return self._summary()
        try:
            async with asyncio.timeout(PATIENCE):
                answer = await self.host.ask(operation)
        except TimeoutError:
            raise Unavailable(reason=f"{operation}: no answer within {PATIENCE:g} s") from None
        except ControlError as refusal:
            kind = errors.Unimplemented if refusal.status == 501 else Unavailable
            raise kind(reason=refusal.why) from None
        return _reply(200 if operation != "health" or answer["ready"] else 503, orjson.dumps(answer))

    def _asked(self, ex: Exchange) -> tuple[str, bool]:
        """The operation, and whether the client may see what it answers. Raises NotFound, MethodNotAllowed and Unauthorized."""
        operation = self._operations.get(_loose(ex.path))
        if operation is None:
            raise NotFound("There is no such check.")
        if ex.method not in ("GET", "HEAD"):
            raise errors.MethodNotAllowed(("GET", "HEAD"))
        is_inside = self._token is not None and operation != "liveness" and has_token(ex.headers.getall("Authorization", ()), self._token)
        if operation in ("metrics_json", "workers") and not is_inside:
            raise Unauthorized("Send the token of the health plugin as Authorization: Bearer TOKEN.", headers=[CHALLENGE])
        return operation, is_inside

    def _summary(self) -> Reply:
        if self.host.is_ready():
            return _reply(200, _STALE if self.host.has_stale_policy() else _OK)
        return _reply(503, _DRAINING if self.host.is_draining() else _UNREADY)

    def explain(self, ex: Exchange) -> str:
        operation, is_inside = self._asked(ex)
        if is_inside:
            return Answers(f"answers what the gateway says of its {operation.removesuffix('_json')}")
        return Answers(f"answers {200 if operation == 'liveness' else self._summary().status}")


def _reply(status: int, body: bytes) -> Reply:
    reply = Reply(status, Headers([("Content-Type", "application/json"), ("Cache-Control", "no-store")]), body)
    if status == 503:
        reply.headers["Retry-After"] = RETRY_AFTER
    return reply


def _loose(path: str) -> str:
    """Case and a trailing slash make no other path, as in the routes."""
    return path.rstrip("/").lower()
