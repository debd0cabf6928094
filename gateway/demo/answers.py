"""How this service answers: JSON, errors too, and how it reads a JSON object from a request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import orjson
from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
N = TypeVar("N", int, float)


class Refused(Exception):
    """The request can't be met: `fields` says what is wrong with which."""

    def __init__(self, status: int, error: str, fields: dict[str, str] | None = None) -> None:
        super().__init__(error)
        self.status = status
        self.content: dict[str, object] = {"error": error}
        if fields:
            self.content["fields"] = fields


def answer(content: object, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(body=orjson.dumps(content), status=status, headers=headers, content_type="application/json")


async def sent(request: web.Request) -> dict[str, Any]:
    """The object in the request's body. Raises Refused, 400, when there is none."""
    try:
        content = orjson.loads(await request.read())
    except orjson.JSONDecodeError:
        raise Refused(400, "the body is not valid JSON") from None
    if not isinstance(content, dict):
        raise Refused(400, "the body is not a JSON object")
    return content


def number(request: web.Request, name: str, default: N, low: N, high: N) -> N:
    """A number of the query, of the kind of its default. Raises Refused, 400, when it is none or lies out of bounds."""
    text = request.query.get(name)
    if text is None:
        return default
    try:
        value = type(default)(text)
    except ValueError:
        value = None
    if value is None or not low <= value <= high:
        raise Refused(400, "the query is invalid", {name: f"must be a number from {low:g} to {high:g}"})
    return value


@web.middleware
async def json_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every refusal as JSON, the router's own 404 and 405 included."""
    try:
        return await handler(request)
    except Refused as refused:
        return answer(refused.content, refused.status)
    except web.HTTPException as error:
        allow = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else None
        return answer({"error": error.reason.lower()}, error.status, allow)
