"""Calls of the gateway's own against a real service: what comes back, and that none takes longer or more than it may."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web

from gateway.errors import CallFailed, GatewayError
from gateway.exchange import Reply
from gateway.outbound import Outbound
from gateway.testing import FakeService, host
from tests.http.recording import closed_port

Call = Callable[..., Awaitable[Reply]]


async def echo(request: web.Request) -> web.Response:
    return web.Response(status=207, text=f"{request.method} {await request.text()} {request.headers.get('X-Key')}", headers={"X-A": "b"})


async def redirect(request: web.Request) -> web.Response:
    raise web.HTTPFound("/echo")


async def hang(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"a beginning")
    await asyncio.Event().wait()
    return response


async def cookie(request: web.Request) -> web.Response:
    response = web.Response(text=request.headers.get("Cookie", "none"))
    response.set_cookie("session", "1")
    return response


async def bomb(request: web.Request) -> web.Response:
    return web.Response(body=gzip.compress(bytes(1 << 20)), headers={"Content-Encoding": "gzip"})


@pytest.fixture
async def url() -> AsyncIterator[str]:
    app = web.Application()
    for handler in (echo, redirect, hang, cookie, bomb):
        app.router.add_route("*", f"/{handler.__name__}", handler)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest.fixture
async def call() -> AsyncIterator[Call]:
    """`Host.http` over a real session."""
    outbound = Outbound()
    given = host()
    given.outbound = outbound.call
    yield given.http
    await outbound.close()


async def test_the_answer_is_whole_and_says_nothing_of_its_connection(url: str, call: Call) -> None:
    reply = await call("POST", f"{url}/echo", headers={"X-Key": "k"}, body=b"body")
    assert reply.entity is not None
    assert (reply.status, reply.entity.data, reply.headers["X-A"]) == (207, b"POST body k", "b")
    assert not {"Content-Length", "Connection", "Transfer-Encoding", "Content-Encoding"} & set(reply.headers)


async def test_a_redirect_is_an_answer(url: str, call: Call) -> None:
    reply = await call("GET", f"{url}/redirect")
    assert (reply.status, reply.headers["Location"]) == (302, "/echo")


async def test_no_cookies_are_kept_from_call_to_call(url: str, call: Call) -> None:
    answers = [await call("GET", f"{url}/cookie") for _ in range(2)]
    assert [reply.entity and reply.entity.data for reply in answers] == [b"none", b"none"]


@pytest.mark.parametrize(
    ("path", "arguments", "why"),
    [
        ("/hang", {"within": 0.05}, "no whole answer within 0.05 s"),
        ("/bomb", {"limit": 1000}, "longer than 1000 bytes"),
        ("/echo", {"limit": 3}, "longer than 3 bytes"),
    ],
)
async def test_what_is_late_or_too_long_is_no_answer(url: str, call: Call, path: str, arguments: dict[str, float], why: str) -> None:
    with pytest.raises(CallFailed) as failure:
        await call("GET", url + path, **arguments)
    assert why in failure.value.reason
    assert (failure.value.status, failure.value.detail) == (503, "")


@pytest.mark.parametrize("target", ["http://127.0.0.1:{port}/", "http://no-such-host.invalid/", "nonsense", "ftp://127.0.0.1/"])
async def test_who_cannot_be_reached_is_named_in_the_reason_alone(call: Call, target: str) -> None:
    async with closed_port() as port:
        target = target.format(port=port)
        with pytest.raises(CallFailed) as failure:
            await call("GET", target)
    assert target in failure.value.reason
    assert target not in str(failure.value)


async def test_the_connection_is_kept(url: str, call: Call) -> None:
    seen: set[object] = set()

    async def who(request: web.Request) -> web.Response:
        seen.add(request.transport)
        return web.Response()

    app = web.Application()
    app.router.add_get("/", who)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    for _ in range(3):
        await call("GET", f"http://127.0.0.1:{runner.addresses[0][1]}/")
    assert len(seen) == 1
    await runner.cleanup()


@pytest.mark.parametrize("answer", [Reply(204), lambda method, url: Reply(204 if url.endswith("/known") else 404)])
async def test_its_twin_answers_as_told(answer: Reply) -> None:
    service = FakeService(answer)
    assert (await host(service=service).http("PUT", "http://keys.test/known", headers={"A": "b"}, body=b"c")).status == 204
    assert service.requests == [("PUT", "http://keys.test/known", {"A": "b"}, b"c")]


async def test_its_twin_fails_as_told() -> None:
    with pytest.raises(GatewayError):
        await host(service=FakeService(CallFailed())).http("GET", "http://keys.test/")
