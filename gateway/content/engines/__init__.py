"""The engine that schemas are compiled by: jsonschema-rs, and where it cannot be had the package jsonschema, held within bounds."""

from __future__ import annotations

from gateway.content.engines.contract import DIALECT, Compiled, Engine, Fault, NoSchema

__all__ = ["DIALECT", "Compiled", "Engine", "Fault", "NoSchema", "chosen", "notice", "quick"]


def _engine() -> Engine:
    try:
        from gateway.content.engines import rust
    except ImportError:
        from gateway.content.engines import python

        return python
    return rust


chosen = _engine()


def notice() -> str:
    """What operators are told of it, if anything."""
    return chosen.notice


def quick() -> int:
    """Bytes of a body that it checks within a millisecond or so."""
    return chosen.quick
