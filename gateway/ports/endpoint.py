"""What stands behind a path of a port: an operation, and how its answer is told in HTTP."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gateway import errors
from gateway.control import ControlError
from gateway.errors import GatewayError
from gateway.exchange import Reply


def as_json(answer: Any) -> Reply:
    return Reply.json(200, answer)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`operation` is called with the request's query and its JSON body, which is an object, as arguments."""

    operation: str
    reply: Callable[[Any], Reply] = as_json  # may raise a GatewayError
    deadline: float = 10.0  # seconds
    headers: tuple[str, ...] = ()  # of the request, that are arguments too


Endpoints = Mapping[str, Mapping[str, Endpoint]]
"""Path -> method -> endpoint. HEAD is GET without the body."""

_KINDS = {
    kind.status: kind
    for kind in (
        errors.BadRequest,
        errors.Unauthorized,
        errors.Forbidden,
        errors.NotFound,
        errors.Unprocessable,
        errors.Unimplemented,
        errors.Unavailable,
    )
}


def refused(refusal: ControlError) -> GatewayError:
    """An operation's refusal as an answer."""
    return _KINDS.get(refusal.status, GatewayError)(refusal.why)
