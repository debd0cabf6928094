"""What an operator may ask of the API keys in a store: to list, to add and to revoke them. The keys themselves never come here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import ValidationError

from gateway.control import Arguments, Control, ControlError
from gateway.identity import keyfile
from gateway.store.contract import SharedSet, Store, StoreAway

KEYS = "keys"
"""The shared set of API keys."""
MOST = 5000
"""Keys in a store: every gateway holds them all, and reads them all when one changes."""


class KeyOperations:
    """Each public method is an operation of its name; answers are JSON values."""

    def __init__(self, store: Callable[[], Store]) -> None:
        """`store` gives the one of now: a reload may replace it."""
        self._store = store

    def offer(self, control: Control) -> None:
        for operation in (self.keys_list, self.keys_add, self.keys_revoke):
            control.offer(operation.__name__, operation)

    async def keys_list(self, arguments: Arguments) -> Any:
        """All that is kept of each key but its hash."""
        shared = await self._loaded()
        return {"keys": [keyfile.shown(key) for key in _keys(shared)]}

    async def keys_add(self, arguments: Arguments) -> Any:
        """Keep a `key`: its id, consumer and sha256, and whatever else a file of keys may say of it; and in which `store` it is then."""
        try:
            key = keyfile.Key.model_validate(arguments.get("key"))
        except ValidationError as error:
            raise ControlError(422, f"key: {keyfile.mistakes(error)}") from None
        shared = await self._loaded()
        if key.id in shared.members:
            raise ControlError(422, f"the store has a key {key.id} already")
        if len(shared.members) >= MOST:
            raise ControlError(422, f"the store has {MOST} keys, which is the most; revoke some, or use tokens")
        try:
            await shared.add(key.id, keyfile.note(key))
        except StoreAway as error:
            raise _away(error) from None
        return {**keyfile.shown(key), "store": self._store().state().address}

    async def keys_revoke(self, arguments: Arguments) -> Any:
        """Forget the key with this `id`; a whole key is taken for its own."""
        given = arguments.get("id")
        if not isinstance(given, str) or not given:
            raise ControlError(422, "id is missing")
        id_ = keyfile.id_of(given) or given
        try:
            if not await self._store().shared_set(KEYS).remove(id_):
                raise ControlError(404, f"the store has no key {id_}; gateway keys list --store shows them")
        except StoreAway as error:
            raise _away(error) from None
        return {"id": id_}

    async def _loaded(self) -> SharedSet:
        """As it is now: a copy may lack what another gateway did within the last second."""
        shared = self._store().shared_set(KEYS)
        try:
            await shared.load()
        except StoreAway as error:
            raise _away(error) from None
        return shared


def _keys(shared: SharedSet) -> list[keyfile.Key]:
    """In the order in which they were made."""
    found = []
    for id_, member in shared.members.items():
        try:
            found.append(keyfile.noted(id_, member.note))
        except ValidationError:
            continue  # nothing of ours; the gateways that read it say so
    return sorted(found, key=lambda key: (str(key.created), key.id))


def _away(error: StoreAway) -> ControlError:
    return ControlError(503, f"the store is away: {error}")
