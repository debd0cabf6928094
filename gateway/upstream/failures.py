"""What a target did wrong, in one word, by the error that tells of it."""

from __future__ import annotations

from typing import Literal

from gateway.errors import BadGateway, GatewayError, UpstreamTimeout, UpstreamUnreachable

Failure = Literal["connect", "reset", "timeout", "invalid"]
"""No connection; one that broke before the head of the answer was whole; no head in time; what is no answer."""


class NoConnection(UpstreamUnreachable):
    """Refused, not to be found, or not to be trusted: nothing of the request was sent."""


class ConnectTimeout(UpstreamTimeout):
    """No connection in time: nothing of the request was sent."""


class Stale(UpstreamUnreachable):
    """The connection closed before a byte of the answer: with a reused one that is nobody's fault, and safe requests go again."""


class Broken(BadGateway):
    """The connection closed in the middle of an answer."""


def failure(error: GatewayError) -> Failure | None:
    """None: the target had no part in it."""
    match error:
        case NoConnection() | ConnectTimeout():
            return "connect"
        case Stale() | Broken():
            return "reset"
        case UpstreamTimeout():
            return "timeout"
        case BadGateway():
            return "invalid"
    return None
