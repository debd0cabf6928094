"""Records made for tests."""

from __future__ import annotations

import time
from typing import Any

from gateway.caching.record import Record
from gateway.exchange import Entity


def record(body: bytes = b"hello", *, marks: tuple[str, ...] = ("all", "tag:leads"), **more: Any) -> Record:
    """Fresh for a minute from now on, unless it says otherwise."""
    now = time.time()
    values: dict[str, Any] = {"made": now, "stored": now, "fresh_until": now + 60}
    return Record(200, (("Content-Type", "text/plain"),), Entity(body), marks=marks, **(values | more))
