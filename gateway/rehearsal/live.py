"""`explain` as an operation of a running gateway: by its own plugins and counters, none of which it moves."""

from __future__ import annotations

import os
from base64 import b64decode
from binascii import Error
from collections.abc import Mapping
from typing import Any

from gateway.control import Arguments, ControlError
from gateway.rehearsal.explanation import explain_by, plain
from gateway.rehearsal.request import CLIENT, Request
from gateway.server.front import Front


def offer(front: Front) -> None:
    """Make `explain` one of the operations of the gateway that `front` serves."""

    async def explain(arguments: Arguments) -> Any:
        """The explanation of `method` and `url`, with `headers` (pairs, or an object), `body` in base64 and `client`."""
        request = requested(arguments)
        app = front.app
        return {**plain(app.policy, await explain_by(app, request)), "process": os.getpid()}

    front.app.control.offer("explain", explain)


def requested(arguments: Arguments) -> Request:
    """Raises ControlError for what is no request."""
    try:
        method, url, client = (_text(arguments, *field) for field in (("method", "GET"), ("url", ""), ("client", CLIENT)))
        body = arguments.get("body")
        return Request(
            method, url, _headers(arguments.get("headers") or ()), None if body is None else b64decode(body, validate=True), client
        )
    except (Error, TypeError) as error:
        raise ControlError(422, f"body is to be base64: {error}") from None
    except ValueError as error:
        raise ControlError(422, str(error)) from None


def _text(arguments: Arguments, name: str, default: str) -> str:
    value = arguments.get(name, default)
    if not isinstance(value, str):
        raise ValueError(f"{name} is to be text")
    return value


def _headers(value: object) -> tuple[tuple[str, str], ...]:
    pairs = list(value.items()) if isinstance(value, Mapping) else value
    if not isinstance(pairs, list | tuple):
        raise ValueError("headers is to be an object, or a list of [name, value]")
    for pair in pairs:
        if not (isinstance(pair, list | tuple) and len(pair) == 2 and all(isinstance(text, str) for text in pair)):
            raise ValueError("headers is to be an object, or a list of [name, value]")
    return tuple((name, value) for name, value in pairs)
