"""Accounts: who registers may log in, and gets a token for an hour."""

from __future__ import annotations

import sqlite3
import time
from functools import partial
from typing import Any

from aiohttp import web

from gateway.demo.answers import Refused, answer, sent
from gateway.demo.database import DATABASE
from gateway.demo.leads import EMAIL
from gateway.demo.passwords import hashed, matches, token

SECRET = web.AppKey("secret", bytes)
LIFETIME = 3600  # seconds
SHORTEST, LONGEST = 8, 200  # characters of a password
NOBODY = hashed("")
"""Compared with when there is no such account, so that the answer's time does not tell."""


async def login(request: web.Request) -> web.Response:
    content = await sent(request)
    if missing := {field: "is required" for field in ("email", "password") if not _text(content, field)}:
        raise Refused(422, "the login is invalid", missing)
    account = await request.app[DATABASE].run(partial(_verified, email=_text(content, "email"), password=_text(content, "password")))
    if account is None:
        raise Refused(401, "the e-mail address or the password is wrong")
    now = int(time.time())
    claims: dict[str, object] = {"sub": account["email"], "name": account["name"], "iat": now, "exp": now + LIFETIME}
    return answer({"token": token(claims, request.app[SECRET]), "expires_in": LIFETIME})


async def register(request: web.Request) -> web.Response:
    content = await sent(request)
    email, name, password = _text(content, "email"), _text(content, "name").strip(), _text(content, "password")
    wrong: dict[str, str] = {}
    if not EMAIL.fullmatch(email):
        wrong["email"] = "must be an e-mail address"
    if not name:
        wrong["name"] = "must not be empty"
    if not SHORTEST <= len(password) <= LONGEST:
        wrong["password"] = f"must have {SHORTEST} to {LONGEST} characters"
    if wrong:
        raise Refused(422, "the account is invalid", wrong)
    return answer(await request.app[DATABASE].run(partial(_insert, email=email, name=name, password=password)), 201)


def _text(content: dict[str, Any], field: str) -> str:
    value = content.get(field)
    return value if isinstance(value, str) else ""


def _verified(db: sqlite3.Connection, email: str, password: str) -> dict[str, Any] | None:
    row = db.execute("SELECT * FROM accounts WHERE email = ?", (email,)).fetchone()
    is_right = matches(password, row["password"] if row else NOBODY)
    return dict(row) if row and is_right else None


def _insert(db: sqlite3.Connection, email: str, name: str, password: str) -> dict[str, Any]:
    try:
        cursor = db.execute("INSERT INTO accounts (email, name, password) VALUES (?, ?, ?)", (email, name, hashed(password)))
    except sqlite3.IntegrityError:
        raise Refused(409, "an account with this e-mail address exists") from None
    return {"id": cursor.lastrowid, "email": email, "name": name}
