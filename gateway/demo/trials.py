"""Endpoints to try a gateway on: slow, failing, streaming, and a WebSocket."""

from __future__ import annotations

import asyncio
import html
import traceback
import weakref

import orjson
from aiohttp import WSCloseCode, WSMsgType, web

from gateway.demo.answers import Refused, answer, number

Sockets = weakref.WeakSet[web.WebSocketResponse]
SOCKETS: web.AppKey[Sockets] = web.AppKey("sockets", Sockets)
ANNOUNCED = 100_000  # bytes promised by /fail?how=truncate, which sends a tenth


async def slow(request: web.Request) -> web.Response:
    seconds = number(request, "seconds", 1.0, 0.0, 60.0)
    await asyncio.sleep(seconds)
    return answer({"slept": seconds})


async def fail(request: web.Request) -> web.StreamResponse:
    how = request.query.get("how", "status")
    if how == "status":
        return _stack_trace(number(request, "status", 500, 400, 599))
    if how not in ("reset", "truncate"):
        raise Refused(400, "the query is invalid", {"how": "must be one of status, reset, truncate"})
    response = web.StreamResponse(headers={"Content-Length": str(ANNOUNCED)})
    if how == "truncate":
        await response.prepare(request)
        await response.write(bytes(ANNOUNCED // 10))
    if request.transport is not None:
        request.transport.abort()
    return response


def _stack_trace(status: int) -> web.Response:
    """What a framework in development mode shows to the whole world."""
    try:
        raise RuntimeError("the database password is hunter2")
    except RuntimeError:
        page = f"<!doctype html><title>Error</title><pre>{html.escape(traceback.format_exc())}</pre>\n"
    return web.Response(text=page, status=status, content_type="text/html")


async def events(request: web.Request) -> web.StreamResponse:
    """Server-sent events (WHATWG HTML, section 9.2): `count` of them, one `every` so many seconds."""
    count, every = number(request, "count", 10, 1, 3600), number(request, "every", 1.0, 0.0, 60.0)
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
    await response.prepare(request)
    for n in range(1, count + 1):
        await response.write(b"id: %d\ndata: %s\n\n" % (n, orjson.dumps({"event": n, "of": count})))
        if n < count:
            await asyncio.sleep(every)
    return response


async def websocket(request: web.Request) -> web.WebSocketResponse:
    """Echoes each message."""
    socket = web.WebSocketResponse(max_msg_size=1 << 20)
    await socket.prepare(request)
    request.app[SOCKETS].add(socket)
    async for message in socket:
        if message.type is WSMsgType.TEXT:
            await socket.send_str(message.data)
        elif message.type is WSMsgType.BINARY:
            await socket.send_bytes(message.data)
    return socket


async def close_sockets(app: web.Application) -> None:
    sockets = app[SOCKETS]
    for socket in tuple(sockets):  # closing one takes it from the set
        await socket.close(code=WSCloseCode.GOING_AWAY, message=b"the service stops")
