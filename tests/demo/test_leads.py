"""The leads API as its clients see it."""

from __future__ import annotations

import io
from typing import Any

import pytest
from aiohttp.test_utils import TestClient

from gateway.demo.seed import STATUSES

Leads = TestClient[Any, Any]
NEW = {"name": "Grace Hopper", "email": "grace@example.com"}


async def test_seeded_the_same_way_every_time(leads: Leads) -> None:
    page = await (await leads.get("/api/v1/leads?limit=1")).json()
    assert page["total"] == 300
    assert page["data"][0] | {"id": 1, "name": "Ada Adler", "email": "ada.adler@example.com", "status": "new"} == page["data"][0]


@pytest.mark.parametrize(
    ("query", "ids", "page", "limit"),
    [
        ("", range(1, 21), 1, 20),
        ("?page=2", range(21, 41), 2, 20),
        ("?page=3&limit=7", range(15, 22), 3, 7),
        ("?limit=100&page=3", range(201, 301), 3, 100),
        ("?page=4&limit=100", (), 4, 100),
    ],
)
async def test_pages(leads: Leads, query: str, ids: range, page: int, limit: int) -> None:
    response = await leads.get(f"/api/v1/leads{query}")
    content = await response.json()
    assert response.status == 200
    assert [lead["id"] for lead in content["data"]] == list(ids)
    assert (content["page"], content["limit"], content["total"]) == (page, limit, 300)


async def test_every_status_has_its_leads_and_together_they_are_all(leads: Leads) -> None:
    totals = []
    for status in STATUSES:
        content = await (await leads.get(f"/api/v1/leads?status={status}&limit=100")).json()
        assert {lead["status"] for lead in content["data"]} == {status}
        totals.append(content["total"])
    assert sum(totals) == 300 and min(totals) > 30


@pytest.mark.parametrize("query", ["page=0", "page=x", "page=1.5", "limit=0", "limit=101", "limit=", "status=won", "page=1000001"])
async def test_a_query_that_makes_no_sense_is_400_and_named(leads: Leads, query: str) -> None:
    response = await leads.get(f"/api/v1/leads?{query}")
    assert response.status == 400
    assert list((await response.json())["fields"]) == [query.partition("=")[0]]


async def test_created_then_read(leads: Leads) -> None:
    response = await leads.post("/api/v1/leads", json={**NEW, "name": "  Grace Hopper "})
    created = await response.json()
    assert response.status == 201
    assert response.headers["Location"] == f"/api/v1/leads/{created['id']}" == "/api/v1/leads/301"
    assert created | NEW | {"status": "new", "source": "web"} == created
    assert await (await leads.get(response.headers["Location"])).json() == created


@pytest.mark.parametrize(
    ("body", "status", "fields"),
    [
        (b"{", 400, None),
        (b"", 400, None),
        (b"[]", 400, None),
        (b"{}", 422, {"name", "email"}),
        (b'{"name": " ", "email": "a@b.example"}', 422, {"name"}),
        (b'{"name": "A", "email": "nobody"}', 422, {"email"}),
        (b'{"name": "A", "email": "a b@example.com"}', 422, {"email"}),
        (b'{"name": 1, "email": null}', 422, {"name", "email"}),
        (b'{"name": "A", "email": "a@b.example", "status": "won"}', 422, {"status"}),
        (b'{"name": "A", "email": "a@b.example", "id": "7"}', 422, {"id"}),
        (b'{"name": "A", "email": "a@b.example", "phone": "' + b"1" * 2001 + b'"}', 422, {"phone"}),
        (b'{"name": "A", "email": "ADA.adler@example.com"}', 409, None),
        (b'"' + b"x" * (1 << 20) + b'"', 413, None),
    ],
)
async def test_a_lead_that_is_no_lead_is_refused(leads: Leads, body: bytes, status: int, fields: set[str] | None) -> None:
    response = await leads.post("/api/v1/leads", data=io.BytesIO(body))
    content = await response.json()
    assert response.status == status
    assert set(content) == ({"error", "fields"} if fields else {"error"})
    assert set(content.get("fields", ())) == (fields or set())
    assert (await (await leads.get("/api/v1/leads")).json())["total"] == 300


async def test_patch_changes_what_it_names_and_put_replaces_all(leads: Leads) -> None:
    before = await (await leads.get("/api/v1/leads/7")).json()
    patched = await (await leads.patch("/api/v1/leads/7", json={"status": "lost"})).json()
    assert patched == before | {"status": "lost", "updated_at": patched["updated_at"]}
    assert patched["updated_at"] > before["updated_at"]
    put = await (await leads.put("/api/v1/leads/7", json=NEW)).json()
    assert put | NEW | {"id": 7, "company": "", "status": "new", "created_at": before["created_at"]} == put
    assert await (await leads.get("/api/v1/leads/7")).json() == put


@pytest.mark.parametrize(
    ("method", "path", "content", "status"),
    [
        ("PUT", "/api/v1/leads/7", {"name": "A"}, 422),
        ("PATCH", "/api/v1/leads/7", {"email": "x"}, 422),
        ("PATCH", "/api/v1/leads/7", {"email": "ada.adler@example.com"}, 409),
        ("PATCH", "/api/v1/leads/999", {"status": "lost"}, 404),
        ("PUT", "/api/v1/leads/999", NEW, 404),
        ("GET", "/api/v1/leads/999", None, 404),
        ("DELETE", "/api/v1/leads/999", None, 404),
        ("GET", "/api/v1/leads/x", None, 404),
        ("GET", "/api/v1/leads/9999999999999999999", None, 404),
        ("GET", "/nowhere", None, 404),
        ("PATCH", "/api/v1/leads", {}, 405),
    ],
)
async def test_what_cannot_be_done_says_so_in_json(
    leads: Leads, method: str, path: str, content: dict[str, str] | None, status: int
) -> None:
    response = await leads.request(method, path, json=content)
    assert response.status == status
    assert response.content_type == "application/json"
    assert (await response.json())["error"]
    if status == 405:
        assert "POST" in response.headers["Allow"]


async def test_deleted_is_gone_and_its_number_is_not_used_again(leads: Leads) -> None:
    assert (await leads.delete("/api/v1/leads/300")).status == 204
    assert (await leads.get("/api/v1/leads/300")).status == 404
    assert (await (await leads.post("/api/v1/leads", json=NEW)).json())["id"] == 301


async def test_head_has_no_body(leads: Leads) -> None:
    response = await leads.head("/api/v1/leads/1")
    assert response.status == 200 and int(response.headers["Content-Length"]) > 100
    assert await response.read() == b""


async def test_health(leads: Leads) -> None:
    response = await leads.get("/health")
    assert (response.status, await response.json()) == (200, {"status": "ok"})
