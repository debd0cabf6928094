"""Logging in and registering, and what is kept of a password."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import pytest
from aiohttp.test_utils import TestClient

from gateway.demo.accounts import SECRET
from gateway.demo.database import DEMO_ACCOUNT
from gateway.demo.passwords import hashed, matches

Leads = TestClient[Any, Any]
RIGHT = {"email": DEMO_ACCOUNT["email"], "password": DEMO_ACCOUNT["password"]}
NEW = {"name": "Grace", "email": "grace@example.com", "password": "nanoseconds"}


async def test_a_login_gets_a_token_that_verifies(leads: Leads) -> None:
    response = await leads.post("/api/v1/login", json=RIGHT)
    content = await response.json()
    assert response.status == 200 and content["expires_in"] == 3600
    signed, _, signature = content["token"].rpartition(".")
    assert leads.app is not None
    assert _decoded(signature) == hmac.new(leads.app[SECRET], signed.encode(), hashlib.sha256).digest()
    header, claims = (json.loads(_decoded(part)) for part in signed.split("."))
    assert header == {"alg": "HS256", "typ": "JWT"}
    assert claims["sub"] == "demo@example.com" and claims["exp"] == claims["iat"] + 3600
    assert abs(claims["iat"] - time.time()) < 60


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (RIGHT | {"password": "wrong"}, 401),
        (RIGHT | {"email": "nobody@example.com"}, 401),
        (RIGHT | {"email": "' OR 1=1 --"}, 401),
        ({"email": "demo@example.com"}, 422),
        (RIGHT | {"password": {"$ne": ""}}, 422),
        ([], 400),
    ],
)
async def test_a_wrong_login_is_refused(leads: Leads, content: object, status: int) -> None:
    response = await leads.post("/api/v1/login", json=content)
    assert response.status == status
    assert "token" not in await response.json()


async def test_who_registers_can_log_in(leads: Leads) -> None:
    response = await leads.post("/api/v1/register", json=NEW)
    assert (response.status, await response.json()) == (201, {"id": 2, "email": "grace@example.com", "name": "Grace"})
    assert (await leads.post("/api/v1/login", json=NEW)).status == 200


@pytest.mark.parametrize(
    ("change", "status", "field"),
    [
        ({"email": "demo@example.com"}, 409, None),
        ({"email": "DEMO@example.com"}, 409, None),
        ({"email": "x"}, 422, "email"),
        ({"name": " "}, 422, "name"),
        ({"password": "seven77"}, 422, "password"),
        ({"password": 12345678}, 422, "password"),
    ],
)
async def test_who_cannot_register(leads: Leads, change: dict[str, object], status: int, field: str | None) -> None:
    response = await leads.post("/api/v1/register", json=NEW | change)
    assert response.status == status
    assert list((await response.json()).get("fields", ())) == ([field] if field else [])


def test_a_password_is_kept_salted() -> None:
    kept = hashed("secret")
    assert kept != hashed("secret") and "secret" not in kept
    assert matches("secret", kept) and not matches("Secret", kept)


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
