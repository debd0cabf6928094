"""What a sender's job is about: `to` whom, with which `template`, filled with which `data`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gateway.jobs.contract import PayloadRefused

KEYS = ("to", "template", "data")


class Later:
    """Stands for a value that is known only when a request has been answered."""

    def __repr__(self) -> str:
        return "LATER"


LATER: Final = Later()


def read(payload: Any) -> tuple[Any, str, Mapping[str, Any]]:
    """`to`, `template` ("" when there is none) and `data` of a payload. Raises PayloadRefused."""
    if not isinstance(payload, Mapping):
        raise PayloadRefused("a message is an object with to, template and data")
    if strange := sorted(set(payload) - set(KEYS)):
        raise PayloadRefused(f"unknown key {strange[0]}; a message has {', '.join(KEYS)}")
    template, data = payload.get("template") or "", payload.get("data") or {}
    if not isinstance(template, str):
        raise PayloadRefused("template is the name of one")
    if not isinstance(data, Mapping):
        raise PayloadRefused("data is an object: what the template is filled with")
    if not payload.get("to"):
        raise PayloadRefused("to is missing: whom the message is for")
    return payload["to"], template, data
