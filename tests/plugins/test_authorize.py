"""Who may pass of those that are known, and what the others are told."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from gateway.exchange import Exchange, Reply
from gateway.testing import FakeUpstream, exchange, load, pipeline, run

Who = tuple[str | None, tuple[str, ...], dict[str, Any]]
ADA: Who = ("ada", ("admin", "staff"), {"tenant": "acme", "verified": True, "level": 3, "roles": ["a", "b"], "realm": {"kind": "x"}})
BOB: Who = ("bob", ("staff",), {"tenant": "globex", "verified": False, "level": 1})
EVE: Who = ("eve", ("staff", "suspended"), {})
NOBODY: Who = (None, (), {})


def of(who: Who) -> Exchange:
    ex = exchange()
    ex.consumer, ex.groups, ex.claims = who
    return ex


def asked(settings: object, who: Who) -> Reply:
    return run(pipeline(load("authorize", settings), upstream=FakeUpstream()), of(who))


CASES: list[tuple[object, str]] = [
    # settings, and who of a(da), b(ob) and e(ve) may pass
    ("admin", "a"),
    (["admin", "suspended"], "ae"),
    ({"groups": "staff"}, "abe"),
    ({"groups": "Admin"}, ""),  # the case is part of a name
    ({"consumers": "ada"}, "a"),
    ({"consumers": ["bob", "eve"]}, "be"),
    ({"claims": {"tenant": "acme"}}, "a"),
    ({"claims": {"tenant": ["acme", "globex"]}}, "ab"),
    ({"claims": {"verified": True}}, "a"),
    ({"claims": {"level": 1}}, "b"),  # true is not 1
    ({"claims": {"level": "1"}}, ""),
    ({"claims": {"roles": "b"}}, "a"),
    ({"claims": {"realm.kind": "x"}}, "a"),
    ({"claims": {"tenant": "acme", "level": 1}}, ""),
    ({"groups": "staff", "consumers": ["ada", "bob"], "claims": {"level": [1, 3]}}, "ab"),
    ({"all": [{"groups": "admin"}, {"groups": "staff"}]}, "a"),
    ({"all": ["admin", "staff"]}, "a"),
    ({"all": [{"groups": "admin"}, {"consumers": "bob"}]}, ""),
    ({"any": [{"groups": "admin"}, {"consumers": "bob"}]}, "ab"),
    ({"any": ["suspended", {"claims": {"tenant": "globex"}, "groups": "staff"}]}, "be"),
    ({"any": [{"claims": {"tenant": "globex"}, "groups": "admin"}]}, ""),
    ({"groups": "staff", "any": [{"consumers": "bob"}, {"consumers": "eve"}]}, "be"),
    ({"not": "suspended"}, "ab"),
    ({"not": {"groups": "suspended"}}, "ab"),
    ({"not": [{"groups": "suspended"}, {"consumers": "bob"}]}, "a"),
    ({"not": {"groups": "staff", "claims": {"verified": False}}}, "ae"),  # all of one condition must hold
    ({"groups": "staff", "not": ["admin", "suspended"]}, "b"),
]


@pytest.mark.parametrize(("settings", "passing"), CASES)
def test_who_may_pass(settings: object, passing: str) -> None:
    for who in (ADA, BOB, EVE):
        assert asked(settings, who).status == (200 if who[0] and who[0][0] in passing else 403)
    reply = asked(settings, NOBODY)  # also where nothing but a `not` is asked
    assert (reply.status, reply.headers["WWW-Authenticate"]) == (401, 'Bearer realm="gateway"')


@pytest.mark.parametrize(
    ("settings", "detail", "fields"),
    [
        (["admin", "owner"], "This needs the group admin or owner.", {"groups": ["admin", "owner"]}),
        ({"claims": {"tenant": "acme"}}, "This needs another value of the claim tenant.", {"claim": "tenant"}),
        ({"consumers": ["ada"]}, "This needs another consumer.", {}),
        ({"all": ["staff", "admin"]}, "This needs the group admin.", {"groups": ["admin"]}),
        (
            {"any": [{"groups": "admin"}, {"groups": "owner", "claims": {"a": 1}}, {"consumers": "ada"}]},
            "This needs the group admin, or the group owner, or another consumer.",
            {"groups": ["admin", "owner"]},
        ),
        ({"not": {"consumers": "bob"}}, "This is not for you.", {}),
    ],
)
def test_what_is_missing_is_named(settings: object, detail: str, fields: dict[str, Any]) -> None:
    reply = asked(settings, BOB)
    assert reply.entity is not None
    told = json.loads(reply.entity.data)
    assert told.pop("detail") == detail
    for name in ("type", "title", "status", "request_id"):
        del told[name]
    assert told == fields


def test_several_entries_add_up() -> None:
    chain = pipeline(load("authorize", "staff"), load("authorize", {"claims": {"level": 3}}))
    assert [run(chain, of(who)).status for who in (ADA, BOB)] == [404, 403]


def test_observed() -> None:
    upstream, ex = FakeUpstream(), of(BOB)
    assert run(pipeline(load("authorize", "admin"), upstream=upstream, mode="observe"), ex).status == 200
    assert ex.notes == [("observe", {"plugin": "authorize", "status": 403})]


def test_below_authenticate() -> None:
    who = load("authenticate", {"jwt": {"secret": "", "algorithms": "HS256"}, "optional": True})
    assert run(pipeline(who, load("authorize", "admin")), exchange()).status == 401


@pytest.mark.parametrize(
    "settings",
    [
        {}, None, [], {"groups": []}, {"claims": {}}, {"any": []}, {"any": [{}]}, {"not": {}}, {"all": "admin"}, {"group": "admin"},
        {"claims": {"a": 1.5}}, {"claims": {"a": None}}, {"any": [{"any": ["a"]}]}, {"none": "a"}, 7,
    ],
)  # fmt: skip
def test_refused_at_load(settings: object) -> None:
    with pytest.raises(ValidationError):
        load("authorize", settings)
