"""The engine that schemas are compiled by: jsonschema-rs, and where it cannot be had the package jsonschema, held within bounds."""

from __future__ import annotations

from gateway.content.engines.contract import DIALECT, Compiled, Engine, Fault, NoSchema

__all__ = ["DIALECT", "Compiled", "Engine", "Fault", "NoSchema", "chosen", "notice"]


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
