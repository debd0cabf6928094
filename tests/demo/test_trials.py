"""The endpoints made for trying a gateway: each misbehaves exactly as told."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestClient

Leads = TestClient[Any, Any]


async def test_slow_sleeps_and_says_how_long(leads: Leads) -> None:
    response = await leads.get("/api/v1/slow?seconds=0.01")
    assert (response.status, await response.json()) == (200, {"slept": 0.01})


@pytest.mark.parametrize(
    "path",
    ["slow?seconds=61", "slow?seconds=-1", "slow?seconds=nan", "fail?status=200", "fail?how=x", "events?count=0", "events?every=99"],
)
async def test_bounds(leads: Leads, path: str) -> None:
    assert (await leads.get(f"/api/v1/{path}")).status == 400


@pytest.mark.parametrize(("query", "status"), [("", 500), ("?status=503", 503), ("?status=418", 418)])
async def test_fail_shows_its_insides_as_html(leads: Leads, query: str, status: int) -> None:
    response = await leads.get(f"/api/v1/fail{query}")
    assert response.status == status and response.content_type == "text/html"
    page = await response.text()
    assert "Traceback" in page and "trials.py" in page and "hunter2" in page


async def test_fail_resets_before_a_head(leads: Leads) -> None:
    with pytest.raises(aiohttp.ClientConnectionError):
        await leads.get("/api/v1/fail?how=reset")


async def test_fail_truncates_after_a_head(leads: Leads) -> None:
    response = await leads.get("/api/v1/fail?how=truncate")
    assert response.status == 200
    with pytest.raises(aiohttp.ClientError):
        await response.read()


async def test_events(leads: Leads) -> None:
    response = await leads.get("/api/v1/events?count=3&every=0")
    assert response.content_type == "text/event-stream"
    assert await response.text() == "".join(f'id: {n}\ndata: {{"event":{n},"of":3}}\n\n' for n in (1, 2, 3))


async def test_each_event_leaves_at_once(leads: Leads) -> None:
    response = await leads.get("/api/v1/events?count=2&every=60")
    assert await response.content.readline() == b"id: 1\n"
    response.close()


async def test_the_websocket_echoes_text_and_bytes(leads: Leads) -> None:
    async with leads.ws_connect("/api/v1/ws") as socket:
        await socket.send_str("grüezi")
        await socket.send_bytes(b"\x00\xff")
        assert await socket.receive_str() == "grüezi"
        assert await socket.receive_bytes() == b"\x00\xff"
