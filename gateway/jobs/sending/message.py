"""What a sender's job is about: `to` whom, with which `template`, filled with which `data`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from gateway.jobs.contract import Job, PayloadRefused

_PLAIN = re.compile(r"[A-Za-z0-9_-]{1,64}")
KEYS = ("to", "template", "data")


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


def plain_id(job: Job) -> str:
    """Its id for a header, or a file's name: an id is anything that somebody wrote, and these are not."""
    return job.id if _PLAIN.fullmatch(job.id) else sha256(job.id.encode(errors="replace")).hexdigest()[:32]
