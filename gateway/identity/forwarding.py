"""What the upstream is told of who asks, in header fields that no client can send."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from multidict import istr
from pydantic import Field, model_validator

from gateway.config.header import HeaderName
from gateway.config.settings import Settings
from gateway.exchange import Exchange, Headers
from gateway.identity.claims import claim
from gateway.identity.method import Identity

SAFE = " !\"#$&'()*+-./:;<=>?@[\\]^_`{|}~"
"""Passed as they are, beside letters and digits. A comma would make two groups of one, and % would make decoding ambiguous."""


class Forward(Settings):
    """Headers for the upstream. Those that a client sends by these names are taken off, whoever it is."""

    consumer: HeaderName | None = Field(None, description="The header that names the consumer, as in X-Consumer.")
    groups: HeaderName | None = Field(None, description="The header that lists the groups, with commas between, as in X-Consumer-Groups.")
    claims: dict[str, HeaderName] = Field({}, description="Headers for claims, as in {email: X-Email}.")

    @model_validator(mode="after")
    def _names_each_header_once(self) -> Forward:
        names = [name.lower() for name in (self.consumer, self.groups, *self.claims.values()) if name is not None]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"{', '.join(twice)} is named twice")
        return self


class Forwarding:
    """The settings made ready."""

    def __init__(self, settings: Forward) -> None:
        self._consumer = settings.consumer
        self._groups = settings.groups
        self._claims = tuple(settings.claims.items())
        named = (settings.consumer, settings.groups, *settings.claims.values())
        self.names = tuple(istr(name) for name in named if name is not None)

    def clean(self, ex: Exchange) -> None:
        """Take off what a client says of itself."""
        headers = ex.headers
        for name in self.names:
            if name in headers:
                headers.popall(name)

    def tell(self, ex: Exchange, identity: Identity) -> None:
        """Put on what is known. Made once for each identity: its fields are the same for every request."""
        if identity.fields is None:
            identity.fields = self._fields(identity)
        ex.headers.update(identity.fields)

    def _fields(self, identity: Identity) -> Headers:
        fields = Headers()
        if self._consumer is not None:
            fields[self._consumer] = encoded(identity.consumer)
        if self._groups is not None and identity.groups:
            fields[self._groups] = ",".join(map(encoded, identity.groups))
        for name, header in self._claims:
            if (value := _value(identity.claims, name)) is not None:
                fields[header] = value
        return fields


def encoded(text: str) -> str:
    """One line of ASCII: all else is percent-encoded, and so are commas, percent signs and blanks at the ends."""
    value = quote(text, safe=SAFE, errors="surrogatepass")
    if value.startswith(" "):
        value = "%20" + value[1:]
    return value[:-1] + "%20" if value.endswith(" ") else value


def _value(claims: Mapping[str, Any], name: str) -> str | None:
    value = claim(claims, name)
    if value is None:
        return None
    if isinstance(value, str):
        return encoded(value)
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return ",".join(map(encoded, value))
    return json.dumps(value, separators=(",", ":"))  # ASCII, without control characters
