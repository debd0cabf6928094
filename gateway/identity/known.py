"""What is known of API keys, by their ids: from a file, or from the store that gateways share. Looked up in memory."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from pydantic import ValidationError

from gateway.identity import keyfile
from gateway.identity.method import Identity, Refusal
from gateway.store.contract import Member, SharedSet, StoreAway

if TYPE_CHECKING:
    from gateway.plugin import Host

UNKNOWN = Refusal("unknown API key")
UNHEARD = Refusal("the store, which has the API keys, was away since the start", is_outage=True)


class Known(NamedTuple):
    digest: bytes
    identity: Identity
    expires: float  # seconds since 1970


class KnownKeys(Protocol):
    def get(self, id_: str) -> Known | None:
        """Of the key with this id; at once, whatever else is away."""

    def lacking(self) -> Refusal:
        """What to say of a key that `get` does not know."""

    async def start(self) -> None:
        """Before the first request: follow what changes. Never raises."""


class FileKeys:
    """Those of a file, which is read again when it changes."""

    def __init__(self, file: Path, host: Host) -> None:
        """Raises ValueError when the file is not right."""
        self._file = file
        self._host = host
        self._load(file.read_bytes())

    def get(self, id_: str) -> Known | None:
        return self._keys.get(id_)

    def lacking(self) -> Refusal:
        return UNKNOWN

    async def start(self) -> None:
        self._host.watch(self._file, self._load)

    def _load(self, content: bytes) -> None:
        self._keys = {key.id: _known(key) for key in keyfile.parse(content, self._file.name)}


class StoreKeys:
    """Those of the shared set, each under its id, as `keyfile.note` writes it. While the store is away, those that were heard of last."""

    def __init__(self, shared: SharedSet, log: logging.Logger) -> None:
        self._shared = shared
        self._log = log
        self._version = shared.version
        self._members: Mapping[str, Member] = {}
        self._keys: dict[str, Known] = {}
        self._take()

    def get(self, id_: str) -> Known | None:
        if self._version != self._shared.version:
            self._take()
        return self._keys.get(id_)

    def lacking(self) -> Refusal:
        return UNKNOWN if self._shared.is_known else UNHEARD

    async def start(self) -> None:
        with suppress(StoreAway):
            await self._shared.load()
        self._take()

    def _take(self) -> None:
        """Only what is new is read: of thousands, one changes."""
        before, known = self._members, self._keys
        self._version = self._shared.version
        self._members, self._keys = dict(self._shared.members), {}
        for id_, member in self._members.items():
            found = known.get(id_) if before.get(id_) == member else self._read(id_, member.note)
            if found is not None:
                self._keys[id_] = found

    def _read(self, id_: str, note: str) -> Known | None:
        try:
            return _known(keyfile.noted(id_, note))
        except ValidationError as error:
            self._log.warning("the store has something under the id %r that is no API key: %s", id_, keyfile.mistakes(error))
            return None


def _known(key: keyfile.Key) -> Known:
    expires = inf if key.expires is None else key.expires.timestamp()
    return Known(bytes.fromhex(key.sha256), Identity(key.consumer, key.groups, key.labels), expires)
