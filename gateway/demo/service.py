"""The application: its routes, and what opens and closes with it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

from aiohttp import web

from gateway.demo import accounts, leads, trials
from gateway.demo.answers import answer, json_errors
from gateway.demo.database import DATABASE, Database

ONE = r"/api/v1/leads/{id:\d{1,18}}"


def application(path: str = ":memory:") -> web.Application:
    """The leads service on the SQLite database at `path`."""
    app = web.Application(middlewares=[json_errors], client_max_size=1 << 20)
    app[accounts.SECRET] = os.environ.get("JWT_SECRET", "a-secret-for-the-demo-alone").encode()
    app[trials.SOCKETS] = trials.Sockets()

    async def database(app: web.Application) -> AsyncIterator[None]:
        app[DATABASE] = opened = Database(path)
        yield
        opened.close()

    app.cleanup_ctx.append(database)
    app.on_shutdown.append(trials.close_sockets)
    app.add_routes(
        [
            web.get("/health", health),
            web.get("/api/v1/leads", leads.list_leads),
            web.post("/api/v1/leads", leads.create_lead),
            web.get(ONE, leads.read_lead),
            web.put(ONE, leads.replace_lead),
            web.patch(ONE, leads.change_lead),
            web.delete(ONE, leads.delete_lead),
            web.post("/api/v1/login", accounts.login),
            web.post("/api/v1/register", accounts.register),
            web.get("/api/v1/slow", trials.slow),
            web.get("/api/v1/fail", trials.fail, allow_head=False),
            web.get("/api/v1/events", trials.events, allow_head=False),
            web.get("/api/v1/ws", trials.websocket, allow_head=False),
        ]
    )
    return app


async def health(request: web.Request) -> web.Response:
    return answer({"status": "ok"})
