"""The base of every block of settings, and the units an operator writes: 250ms, 15m, 16KiB."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict
from pydantic.json_schema import WithJsonSchema

DURATIONS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
SIZES = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "kB": 1000, "MB": 10**6, "GB": 10**9}
_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)\s?([A-Za-z]*)")


class Settings(BaseModel):
    """Frozen, and nothing unknown gets in: a misspelt key is a mistake that is told, never ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def _quantity(value: Any, units: dict[str, Any], kind: str, example: str) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise ValueError(f"a bare number is no {kind}; write the unit, as in {value}{example}")
    match = _QUANTITY.fullmatch(value) if isinstance(value, str) else None
    if match is None or match[2] not in units:
        written = value if isinstance(value, str) else type(value).__name__
        raise ValueError(f"{written!r} is no {kind}; write a number and one of {', '.join(units)}, as in 15{example}")
    return float(match[1]) * units[match[2]]


def duration(value: Any) -> float:
    """Seconds from `250ms`, `15s`, `15m`, `1h` or `7d`. Raises ValueError with what to write instead."""
    return float(_quantity(value, DURATIONS, "duration", "s"))


def size(value: Any) -> int:
    """Bytes from `16KiB`, `1MiB` or `100B`. Raises ValueError with what to write instead."""
    return int(_quantity(value, SIZES, "size", "KiB"))


Duration = Annotated[float, BeforeValidator(duration), WithJsonSchema({"type": "string", "pattern": r"^\d+(\.\d+)? ?(ms|s|m|h|d)$"})]
"""Seconds; written with its unit."""
Size = Annotated[int, BeforeValidator(size), WithJsonSchema({"type": "string", "pattern": r"^\d+(\.\d+)? ?(B|KiB|MiB|GiB|kB|MB|GB)$"})]
"""Bytes; written with its unit."""
