"""Which client addresses are let through, by networks; the most specific network that an address is in decides."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from pydantic import model_validator

from gateway.plugin import Exchange, Field, File, Forbidden, Host, Network, OneOrMany, Plugin, Settings, identity


class IpFilterSettings(Settings):
    example: ClassVar[str] = "allow: 10.0.0.0/8"

    allow: OneOrMany[Network] = Field(
        (), description="Networks that are let through, as 10.0.0.0/8 or 2001:db8::/32, or single addresses. With any, all else is refused."
    )
    deny: OneOrMany[Network] = Field((), description="Networks that are refused.")
    allow_file: File | None = Field(None, description="More networks to let through: a file with one a line, read again when it changes.")
    deny_file: File | None = Field(None, description="More networks to refuse: a file with one a line, read again when it changes.")

    @model_validator(mode="after")
    def _says_something(self) -> IpFilterSettings:
        if not (self.allow or self.deny or self.allow_file or self.deny_file):
            raise ValueError("nothing is filtered; write allow or deny")
        return self


class IpFilter(Plugin[IpFilterSettings]):
    """A network that is in both lists is refused. A client without an address, on a unix socket, is in no network."""

    def __init__(self, settings: IpFilterSettings, host: Host) -> None:
        super().__init__(settings, host)
        self._lists: dict[bool, list[Any]] = {True: list(settings.allow), False: list(settings.deny)}
        self._files = {allows: path for allows, path in ((True, settings.allow_file), (False, settings.deny_file)) if path is not None}
        self._listed: dict[bool, list[Any]] = {
            allows: identity.listed(path.read_bytes(), path.name) for allows, path in self._files.items()
        }
        self._default = not (settings.allow or settings.allow_file)
        self._is_allowed = self._table()

    async def start(self) -> None:
        for allows, path in self._files.items():
            self.host.watch(path, partial(self._changed, allows, path))

    def _changed(self, allows: bool, path: Path, content: bytes) -> None:
        self._listed[allows] = identity.listed(content, path.name)
        self._is_allowed = self._table()

    def _table(self) -> Callable[[str], bool]:
        # Of two entries for one network the later counts: a refusal is put in last.
        entries = [(net, allows) for allows in (True, False) for net in (*self._lists[allows], *self._listed.get(allows, ()))]
        return identity.Networks(entries, self._default).find

    def on_request(self, ex: Exchange) -> None:
        if not self._is_allowed(ex.client):
            raise Forbidden("Your address is not let through here.", reason=f"the address {ex.client}")

    def explain(self, ex: Exchange) -> str:
        self.on_request(ex)
        return f"{ex.client} is let through"
