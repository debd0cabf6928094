"""Header fields as an operator may write them: a name that is not the gateway's own business, a value of one line."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator
from pydantic.json_schema import WithJsonSchema

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")

# Fields that frame a message or belong to one connection (RFC 9110, section 7.6.1; RFC 9112, section 6), and Host.
_RESERVED = """
connection content-length expect host http2-settings keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer
transfer-encoding upgrade
"""
RESERVED = frozenset(_RESERVED.split())


def header_name(value: str) -> str:
    """A field name (RFC 9110, section 5.1). Raises ValueError when it is none, or one of those that no policy may touch."""
    if _TOKEN.fullmatch(value) is None:
        meant = re.sub(r"\s+", "-", value.strip().rstrip(":"))
        raise ValueError(f'"{value}" is no header name' + (f"; write {meant}" if _TOKEN.fullmatch(meant) else ""))
    if value.lower() == "host":
        raise ValueError("Host decides where a request goes; `rewrite: {host: ...}` says what the upstream sees of it")
    if value.lower() in RESERVED:
        raise ValueError(f"{value} belongs to the connection or frames the message; the gateway alone sets it")
    return value


def header_value(value: str) -> str:
    """A field value (RFC 9110, section 5.5). Raises ValueError for control bytes, and for space around it, which readers drop."""
    if _CONTROL.search(value):
        raise ValueError("a header value is one line, without control characters")
    if value != value.strip(" \t"):
        raise ValueError("a header value has no space around it")
    return value


HeaderName = Annotated[str, AfterValidator(header_name), WithJsonSchema({"type": "string", "pattern": f"^{_TOKEN.pattern}$"})]
HeaderValue = Annotated[str, AfterValidator(header_value)]
