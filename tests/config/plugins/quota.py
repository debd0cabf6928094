"""Settings of many kinds, one hook on each way."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import field_validator

from gateway.plugin import Duration, Exchange, Field, Host, Many, OneOrMany, Plugin, Reply, Settings


class Key(Settings):
    header: str = Field(min_length=1, max_length=5, pattern="^X-")
    fold: bool = False


class Quota(Settings):
    limit: int = Field(100, ge=1, le=1000)
    window: Duration = Field(60.0, gt=0)
    factor: float = Field(1.0, gt=0, lt=10)
    by: str | Many[str] | Key = "client"
    algorithm: Literal["sliding", "log"] = "sliding"
    keys: dict[str, Key] = Field(default_factory=dict)
    tags: OneOrMany[str] = ()
    never: Literal["a"] = "a"

    @field_validator("never", mode="before")
    @classmethod
    def _refuse(cls, value: Any) -> Any:
        raise ValueError(f"{value!r} is never right; remove it")


class Plugins(Plugin[Quota]):
    def __init__(self, settings: Quota, host: Host) -> None:
        super().__init__(settings, host)
        if settings.tags == ("late",):
            raise ValueError(f"the tag {settings.tags[0]} is refused late; write early")

    def on_request(self, ex: Exchange) -> Reply | None:
        return None
