"""The `checks` block of a policy: what stands behind the services, and whether the gateway is of use without it."""

from __future__ import annotations

import re
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, model_validator
from pydantic.json_schema import WithJsonSchema

from gateway.authority import hostname, is_name_or_ipv4, valid_host
from gateway.config.address import SHAPE, address
from gateway.config.settings import Duration, Settings, kind
from gateway.errors import BadRequest

_PRINTABLE = re.compile(r"[!-\"$-~]+")


def _place(value: Any) -> Any:
    if address(value)[1] == 0:
        raise ValueError(f"{kind(value)} is no address; a port is from 1 to 65535")
    return value


def _url(value: Any) -> Any:
    try:
        parts = urlsplit(value) if isinstance(value, str) and _PRINTABLE.fullmatch(value) else None
        authority = "" if parts is None or parts.scheme not in ("http", "https") else valid_host(parts.netloc)
        is_url = (
            parts is not None
            and authority != ""
            and parts.port != 0
            and (authority.startswith("[") or is_name_or_ipv4(hostname(authority)))
        )
    except (BadRequest, ValueError):  # a bracket that is not closed, a user before the host
        is_url = False
    if not is_url:
        raise ValueError(f"{kind(value)} is no URL to ask; write http://host:port/path or https://host/path")
    return value


class CheckSettings(Settings):
    """One thing that is looked at again and again, apart from traffic."""

    tcp: Annotated[str, BeforeValidator(_place), WithJsonSchema({"type": "string", "pattern": SHAPE})] | None = Field(
        None, description="`host:port`: it passes when it can be connected to."
    )
    http: Annotated[str, BeforeValidator(_url), WithJsonSchema({"type": "string", "pattern": "^https?://[^@#\\s]+$"})] | None = Field(
        None, description="`http://host:port/path`: it passes when a GET is answered with a status below 400."
    )
    interval: Duration = Field(10.0, ge=0.1, description="From one look to the next.")
    timeout: Duration = Field(1.0, gt=0, le=10, description="What takes longer has failed.")
    required: bool = Field(
        False,
        description="`true`: while it fails readiness says no, and no traffic comes. `false`: it only shows, as `degraded`.",
    )

    @model_validator(mode="after")
    def _has_one_way(self) -> Self:
        if (self.tcp is None) == (self.http is None):
            raise ValueError("a check is made in one way; write tcp: host:port or http: URL")
        return self
