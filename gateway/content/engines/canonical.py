"""Equality as JSON Schema means it (Core, section 4.2.2): 1 is 1.0 and not true, and objects have no order."""

from __future__ import annotations

import json
from typing import Any


def canonical(value: Any) -> str:
    """The same text for equal values, and for no others. Takes as long as the value is large; sets of texts cannot be made to collide."""
    return json.dumps(_with_integers(value), sort_keys=True, separators=(",", ":"))


def _with_integers(value: Any) -> Any:
    """Numbers without a fraction as integers."""
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, list):
        return [_with_integers(one) for one in value]
    if isinstance(value, dict):
        return {name: _with_integers(one) for name, one in value.items()}
    return value
