"""One port: a socket of its own, and a table of what it answers, each within a deadline."""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import Any

import orjson
from aiohttp import web

from gateway.control import Arguments, Control, ControlError
from gateway.errors import BadRequest, GatewayError, MethodNotAllowed, NotFound, PayloadTooLarge, PluginError, RequestTimeout, Unavailable
from gateway.exchange import Reply, new_id, problem
from gateway.ports.connections import Connections, response
from gateway.ports.endpoint import Endpoint, Endpoints, refused
from gateway.ports.guard import Guard

log = logging.getLogger("gateway.ports")

BODY = 5.0
"""Seconds for a request's body."""
SEND = 10.0
"""Seconds to take the reply."""
BODY_LIMIT = 64 << 10
GRACE = 0.05
"""Seconds, at the end, for a reply under way, and as long again for an operation that is cancelled."""


class Port:
    """Bound at once, so that an address in use is found before anything starts; `start` answers, `stop` waits for nobody."""

    def __init__(self, name: str, address: tuple[str, int], endpoints: Endpoints, guard: Guard, control: Control) -> None:
        """Raises OSError when the address cannot be bound."""
        host, port = address
        self.name = name
        self._socket = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.host, self.port = host, int(self._socket.getsockname()[1])
        self._endpoints = endpoints
        self._guard = guard
        self._control = control
        self._connections: Connections | None = None
        self._server: asyncio.Server | None = None

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    async def start(self) -> None:
        self._connections = Connections(self._respond)
        self._server = await asyncio.get_running_loop().create_server(self._connections, sock=self._socket)
        log.info("%s port on http://%s", self.name, self)

    def close(self) -> None:
        """Give the address back; of a port that was never started."""
        self._socket.close()

    async def stop(self) -> None:
        """No more is accepted, and what is still under way in an instant is cut."""
        if self._server is not None and self._connections is not None:
            self._server.close()
            await self._connections.shutdown(GRACE)
        self._socket.close()

    async def _respond(self, request: web.BaseRequest) -> web.StreamResponse:
        request_id = new_id()
        try:
            reply = await self._reply(request)
        except GatewayError as error:
            reply = problem(error, request_id)
            if error.status == 401:
                log.warning("%s port: a request of %s has not the right token", self.name, request.remote)
        except Exception as error:
            reply = problem(PluginError(), request_id)
            log.error("%s port: %s %s failed: request_id=%s", self.name, request.method, request.path, request_id, exc_info=error)
        return response(reply, request_id)

    async def _reply(self, request: web.BaseRequest) -> Reply:
        assert self._connections is not None
        self._guard.check(request.headers)
        endpoint = self._endpoint(request.method, request.path)
        self._connections.allow(request, BODY + endpoint.deadline + SEND)
        arguments = await _arguments(request, endpoint)
        if request.method not in ("GET", "HEAD"):
            log.info("%s port: %s %s by %s", self.name, request.method, request.path, request.remote)
        try:
            async with asyncio.timeout(endpoint.deadline):
                answer = await self._control.call(endpoint.operation, arguments)
        except TimeoutError:
            raise Unavailable(f"No answer within {endpoint.deadline:g} s.") from None
        except ControlError as refusal:
            raise refused(refusal) from refusal
        return endpoint.reply(answer)

    def _endpoint(self, method: str, path: str) -> Endpoint:
        methods = self._endpoints.get(path.rstrip("/"))
        if methods is None:
            raise NotFound(f"Here are {', '.join(self._endpoints)}.")
        endpoint = methods.get("GET" if method == "HEAD" else method)
        if endpoint is None:
            raise MethodNotAllowed([*methods, *(["HEAD"] if "GET" in methods else [])])
        return endpoint


async def _arguments(request: web.BaseRequest, endpoint: Endpoint) -> Arguments:
    """Raises BadRequest, PayloadTooLarge and RequestTimeout."""
    arguments: dict[str, Any] = {name: request.headers[name] for name in endpoint.headers if name in request.headers}
    for name, value in request.query.items():
        if name in arguments:
            raise BadRequest(f'"{name}" stands twice in the query.')
        arguments[name] = value
    if data := await _body(request):
        try:
            body = orjson.loads(data)
        except orjson.JSONDecodeError:
            body = None
        if not isinstance(body, dict):
            raise BadRequest("The body is no JSON object.")
        arguments |= body
    return arguments


async def _body(request: web.BaseRequest) -> bytes:
    data = bytearray()
    try:
        async with asyncio.timeout(BODY):
            async for piece in request.content.iter_any():
                data += piece
                if len(data) > BODY_LIMIT:
                    raise PayloadTooLarge(BODY_LIMIT)
    except TimeoutError:
        raise RequestTimeout from None
    return bytes(data)
