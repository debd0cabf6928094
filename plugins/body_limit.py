"""The largest request body a route takes: a longer one is refused as 413 before it is read, or while it streams."""

from __future__ import annotations

from typing import ClassVar

from gateway.plugin import Exchange, Field, Host, Plugin, Settings, Size


class BodyLimitSettings(Settings):
    shorthand: ClassVar[str] = "max"

    max: Size = Field(description="The most bytes a request body may have, as in 10MiB; above or below the default in server.limits.body.")


class BodyLimit(Plugin[BodyLimitSettings]):
    once = True

    def __init__(self, settings: BodyLimitSettings, host: Host) -> None:
        super().__init__(settings, host)
        self._max = settings.max

    def on_request(self, ex: Exchange) -> None:
        ex.limit_body(self._max)
