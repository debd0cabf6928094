"""How much the cache may keep."""

from __future__ import annotations

from pydantic import Field

from gateway.config.settings import Settings, Size


class CacheSettings(Settings):
    """The memory of all `cache` entries together."""

    memory: Size = Field(
        64 << 20, gt=0, description="Bytes of stored answers that each worker keeps in its memory; what is used least goes first."
    )
