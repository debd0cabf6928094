"""Shared sets in Redis: a hash for each, and one of when each last changed, at which every beat looks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from gateway.store.contract import Member
from gateway.store.redis.link import MICRO, SETS, Link
from gateway.store.redis.scripts import MEMBER

Found = dict[bytes, bytes]


class Sets:
    """All that were asked for by name."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._sets: dict[str, RedisSet] = {}
        self._changed: Found = {}
        link.on_beat.append(self._beat)

    def named(self, name: str) -> RedisSet:
        if name not in self._sets:
            self._sets[name] = RedisSet(name, self._link)
        return self._sets[name]

    def _beat(self, changed: Found) -> None:
        for name, found in self._sets.items():
            found.look(changed.get(name.encode()))


class RedisSet:
    """A copy of one; while Redis is away, the last one."""

    def __init__(self, name: str, link: Link) -> None:
        self._name = name
        self._key = f"gw:set:{name}"
        self._link = link
        self._changed: bytes | None = b""  # when it last did, as Redis said; b"": never looked
        self._found: Found = {}
        self._members: Mapping[str, Member] = {}
        self._version = 0
        self._is_known = False

    @property
    def members(self) -> Mapping[str, Member]:
        return self._members

    @property
    def version(self) -> int:
        return self._version

    @property
    def is_known(self) -> bool:
        return self._is_known

    async def add(self, member: str, note: str = "", seconds: float | None = None) -> None:
        await self.load()
        now = self._link.now() / MICRO
        for name, found in self._members.items():
            if found.until is not None and found.until <= now:
                await self._link.ask("HDEL", self._key, name)
        until = None if seconds is None else now + seconds
        await self._change(member, json.dumps({"note": note, "until": until}))

    async def remove(self, member: str) -> bool:
        return bool(await self._change(member))

    async def load(self) -> None:
        """Look now. Raises StoreAway."""
        self._take(await self._link.ask("HGETALL", self._key))

    async def _change(self, *arguments: str) -> Any:
        was = await self._link.ask("EVALSHA", MEMBER.sha, 2, self._key, SETS, self._name, *arguments)
        await self.load()
        return was

    def look(self, changed: bytes | None) -> None:
        """Once in a beat."""
        if changed != self._changed:

            def done(reply: Any) -> None:
                if isinstance(reply, list):
                    self._changed = changed
                    self._take(reply)
                else:
                    self._link.failure(reply)

            self._link.call(("HGETALL", self._key), done)

    def _take(self, flat: list[bytes]) -> None:
        self._is_known = True
        found = dict(zip(flat[::2], flat[1::2], strict=True))
        if found == self._found:
            return
        members = {}
        for name, value in found.items():
            with suppress(ValueError, KeyError, TypeError):  # nothing of ours
                text = name.decode()
                members[text] = self._members[text] if self._found.get(name) == value else _member(value)  # of thousands, one changes
        self._found, self._members = found, members
        self._version += 1


def _member(value: bytes) -> Member:
    known = json.loads(value)
    return Member(str(known["note"]), None if known["until"] is None else float(known["until"]))
