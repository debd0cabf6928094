"""The leads: a page of them, one of them, and their coming, changing and going."""

from __future__ import annotations

import re
import sqlite3
from datetime import UTC, datetime
from functools import partial
from typing import Any

from aiohttp import web

from gateway.demo.answers import Refused, answer, number, sent
from gateway.demo.database import DATABASE
from gateway.demo.seed import STATUSES

EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s.]+(\.[^@\s.]+)+")
DEFAULTS = {"phone": "", "company": "", "source": "web", "status": "new", "notes_html": ""}
FIELDS = ("name", "email", *DEFAULTS)
LONGEST = 2000  # characters of any field


async def list_leads(request: web.Request) -> web.Response:
    page, limit = number(request, "page", 1, 1, 1_000_000), number(request, "limit", 20, 1, 100)
    status = request.query.get("status")
    if status is not None and status not in STATUSES:
        raise Refused(400, "the query is invalid", {"status": f"must be one of {', '.join(STATUSES)}"})
    data, total = await request.app[DATABASE].run(partial(_page, status=status, limit=limit, offset=(page - 1) * limit))
    return answer({"data": data, "page": page, "limit": limit, "total": total})


async def read_lead(request: web.Request) -> web.Response:
    return answer(await request.app[DATABASE].run(partial(_one, key=_key(request))))


async def create_lead(request: web.Request) -> web.Response:
    fields = checked({**DEFAULTS, **await sent(request)})
    lead = await request.app[DATABASE].run(partial(_insert, fields=fields))
    return answer(lead, 201, {"Location": f"/api/v1/leads/{lead['id']}"})


async def replace_lead(request: web.Request) -> web.Response:
    fields = checked({**DEFAULTS, **await sent(request)})
    return answer(await request.app[DATABASE].run(partial(_update, key=_key(request), fields=fields)))


async def change_lead(request: web.Request) -> web.Response:
    fields = checked(await sent(request), partial=True)
    return answer(await request.app[DATABASE].run(partial(_update, key=_key(request), fields=fields)))


async def delete_lead(request: web.Request) -> web.Response:
    await request.app[DATABASE].run(partial(_delete, key=_key(request)))
    return web.Response(status=204)


def checked(content: dict[str, Any], *, partial: bool = False) -> dict[str, str]:
    """The fields of a lead, trimmed. Raises Refused, 422, naming every field that is wrong, missing or unknown."""
    wrong = {name: "is unknown" for name in content if name not in FIELDS}
    wrong |= {name: "is required" for name in ("name", "email") if not partial and name not in content}
    fields = {name: content[name] for name in FIELDS if name in content}
    for name, value in fields.items():
        if not isinstance(value, str):
            wrong[name] = "must be a string"
        elif why := _fault(name, value.strip()):
            wrong[name] = why
    if wrong:
        raise Refused(422, "the lead is invalid", wrong)
    return {name: value.strip() for name, value in fields.items()}


def _fault(name: str, value: str) -> str | None:
    if len(value) > LONGEST:
        return f"must be at most {LONGEST} characters"
    if name == "name" and not value:
        return "must not be empty"
    if name == "email" and not EMAIL.fullmatch(value):
        return "must be an e-mail address"
    if name == "status" and value not in STATUSES:
        return f"must be one of {', '.join(STATUSES)}"
    return None


def _key(request: web.Request) -> int:
    return int(request.match_info["id"])


def _page(db: sqlite3.Connection, status: str | None, limit: int, offset: int) -> tuple[list[dict[str, Any]], int]:
    where, given = ("WHERE status = ?", (status,)) if status else ("", ())
    rows = db.execute(f"SELECT * FROM leads {where} ORDER BY id LIMIT ? OFFSET ?", (*given, limit, offset))  # noqa: S608 - a constant
    data = [dict(row) for row in rows]
    return data, db.execute(f"SELECT count(*) FROM leads {where}", given).fetchone()[0]  # noqa: S608 - a constant


def _one(db: sqlite3.Connection, key: int) -> dict[str, Any]:
    row = db.execute("SELECT * FROM leads WHERE id = ?", (key,)).fetchone()
    if row is None:
        raise Refused(404, "there is no such lead")
    return dict(row)


def _insert(db: sqlite3.Connection, fields: dict[str, str]) -> dict[str, Any]:
    fields = {**fields, "created_at": _now(), "updated_at": _now()}
    names = ", ".join(fields)
    marks = ", ".join(f":{name}" for name in fields)
    try:
        cursor = db.execute(f"INSERT INTO leads ({names}) VALUES ({marks})", fields)  # noqa: S608 - names are checked
    except sqlite3.IntegrityError:
        raise Refused(409, "a lead with this e-mail address exists") from None
    return _one(db, cursor.lastrowid or 0)


def _update(db: sqlite3.Connection, key: int, fields: dict[str, str]) -> dict[str, Any]:
    fields = {**fields, "updated_at": _now()}
    changes = ", ".join(f"{name} = :{name}" for name in fields)
    try:
        db.execute(f"UPDATE leads SET {changes} WHERE id = :id", {**fields, "id": key})  # noqa: S608 - names are checked
    except sqlite3.IntegrityError:
        raise Refused(409, "a lead with this e-mail address exists") from None
    return _one(db, key)


def _delete(db: sqlite3.Connection, key: int) -> None:
    if db.execute("DELETE FROM leads WHERE id = ?", (key,)).rowcount == 0:
        raise Refused(404, "there is no such lead")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
