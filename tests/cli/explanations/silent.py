"""A plugin that explains nothing, and must not run when it is asked to."""

from __future__ import annotations

from gateway.plugin import Exchange, NoSettings, Plugin


class Silent(Plugin[NoSettings]):
    async def start(self) -> None:
        raise AssertionError("started")

    def on_request(self, ex: Exchange) -> None:
        raise AssertionError("run")
