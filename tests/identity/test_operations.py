"""What the admin port, and the commands, may ask of the keys in a store: and what is refused, without a word of any key."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest

from gateway.control import Control, ControlError
from gateway.identity import keyfile, operations
from gateway.identity.operations import KEYS, KeyOperations
from gateway.store.contract import Store
from gateway.store.memory import MemoryStore
from gateway.store.redis.address import Address
from gateway.store.redis.store import RedisStore
from gateway.testing import Clock

CRM = keyfile.new("crm", ["readers"], datetime(2026, 1, 2, tzinfo=UTC), None, {})
WEB = keyfile.new("web", [], datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC), {"team": "sales"})


def offered(store: Store) -> Control:
    control = Control()
    KeyOperations(lambda: store).offer(control)
    return control


def sent(key: keyfile.NewKey, **other: Any) -> dict[str, Any]:
    return {"key": {**key.kept.model_dump(mode="json"), **other}}


async def refused(control: Control, name: str, arguments: dict[str, Any]) -> tuple[int, str]:
    with pytest.raises(ControlError) as found:
        await control.call(name, arguments)
    return found.value.status, found.value.why


async def test_added_listed_and_revoked() -> None:
    control = offered(MemoryStore(Clock()))
    added = await control.call("keys_add", sent(CRM))
    assert (added["id"], added["consumer"], added["store"], "sha256" in added) == (CRM.kept.id, "crm", "memory://", False)
    await control.call("keys_add", sent(WEB))
    assert await control.call("keys_list") == {"keys": [keyfile.shown(WEB.kept), keyfile.shown(CRM.kept)]}  # the older one first
    assert await control.call("keys_revoke", {"id": CRM.text}) == {"id": CRM.kept.id}
    assert await control.call("keys_revoke", {"id": WEB.kept.id}) == {"id": WEB.kept.id}
    assert await control.call("keys_list") == {"keys": []}


@pytest.mark.parametrize(
    ("name", "arguments", "status", "why"),
    [
        ("keys_add", {}, 422, "expected a mapping"),
        ("keys_add", {"key": CRM.text}, 422, "expected a mapping"),
        ("keys_add", {"key": {"consumer": "crm"}}, 422, 'the key "sha256" is missing'),
        ("keys_add", sent(WEB, sha256=WEB.text), 422, "sha256: expected a SHA-256 in hex"),
        ("keys_add", sent(WEB, consumer="a\nb"), 422, "consumer: a name is"),
        ("keys_add", sent(WEB, id="../../x"), 422, "id: a key's id is"),
        ("keys_add", sent(WEB, text=WEB.text), 422, "unknown key"),
        ("keys_add", sent(CRM), 422, f"has a key {CRM.kept.id} already"),
        ("keys_revoke", {}, 422, "id is missing"),
        ("keys_revoke", {"id": WEB.text}, 404, f"has no key {WEB.kept.id};"),
    ],
    ids=count(),
)
async def test_what_is_refused_changes_nothing(name: str, arguments: dict[str, Any], status: int, why: str) -> None:
    store = MemoryStore(Clock())
    control = offered(store)
    await control.call("keys_add", sent(CRM))
    told = await refused(control, name, arguments)
    assert told[0] == status and why in told[1]
    assert WEB.text not in told[1] and CRM.text not in told[1]
    assert list(store.shared_set(KEYS).members) == [CRM.kept.id]


async def test_there_is_a_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "MOST", 1)
    control = offered(MemoryStore(Clock()))
    await control.call("keys_add", sent(CRM))
    assert await refused(control, "keys_add", sent(WEB)) == (422, "the store has 1 keys, which is the most; revoke some, or use tokens")


@pytest.mark.parametrize(("name", "arguments"), [("keys_list", {}), ("keys_add", sent(CRM)), ("keys_revoke", {"id": "abcd"})])
async def test_a_store_that_is_away_is_named(name: str, arguments: dict[str, Any]) -> None:
    status, why = await refused(offered(RedisStore(Address())), name, arguments)
    assert status == 503 and "the store is away" in why
