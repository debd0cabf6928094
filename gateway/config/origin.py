"""An origin as a policy may write it: where a page comes from, as browsers say it."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator

_HOST = r"(?:[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])"
_ORIGIN = re.compile(rf"[a-z][a-z0-9+.-]*://{_HOST}(?::[1-9][0-9]{{0,4}})?")
_DEFAULT_PORT = re.compile(r"http://.*:80|https://.*:443")


def valid_origin(value: str) -> str:
    """One as a browser serializes it (RFC 6454, section 6.2), for it is compared byte for byte. Raises ValueError."""
    if value == "null":
        raise ValueError("null is the origin of every sandboxed frame and file, so it names nobody")
    if _ORIGIN.fullmatch(value) is None:
        raise ValueError(f'"{value}" is no origin; {_meant(value)}')
    if _DEFAULT_PORT.fullmatch(value):
        raise ValueError(f'"{value}" names the own port of its scheme, which browsers leave out')
    return value


def _meant(value: str) -> str:
    """What to write for what is no origin."""
    found = value.lower() if "://" in value else f"https://{value.lower()}"
    without_path = "/".join(found.split("/")[:3])
    if _ORIGIN.fullmatch(without_path):
        return f"write {without_path}, as browsers send it"
    return "write scheme://host[:port] as browsers send it: lower case, no path, a non-ASCII host in its xn-- form"


Origin = Annotated[str, AfterValidator(valid_origin)]
