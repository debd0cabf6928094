"""API keys: 256 random bits each, found by their public part, compared as digests in constant time."""

from __future__ import annotations

import hmac
import secrets
from math import inf
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus

from multidict import istr
from pydantic import Field, model_validator

from gateway.config.header import HeaderName
from gateway.config.settings import File, Settings
from gateway.exchange import Exchange
from gateway.identity import keyfile
from gateway.identity.known import FileKeys, Known, KnownKeys, StoreKeys
from gateway.identity.method import REALM, Identity, Method, Refusal
from gateway.identity.operations import KEYS

if TYPE_CHECKING:
    from gateway.plugin import Host


class ApiKeySettings(Settings):
    """Keys that clients send in a header of their own."""

    file: File | None = Field(None, description="The keys, a YAML file that `gateway keys` writes; read again when it changes.")
    store: bool = Field(
        False, description="The keys are those in the policy's `store`, which all gateways share; `gateway keys --store` makes them."
    )
    header: HeaderName = Field("X-API-Key", description="The header that holds the key.")
    query: str | None = Field(
        None, min_length=1, description="A query parameter that may hold it, too. Discouraged: URLs end in logs, histories and Referer."
    )
    strip: bool = Field(True, description="Take the key off what goes upstream.")

    @model_validator(mode="after")
    def _has_one_place(self) -> ApiKeySettings:
        if (self.file is None) != self.store:
            raise ValueError("keys are in a file or in the store; write one of `file: policy/keys.yaml` and `store: true`")
        return self


class ApiKey(Method):
    def __init__(self, settings: ApiKeySettings, host: Host) -> None:
        """Raises ValueError when the file is not right."""
        self.challenge = self.challenge_again = f'ApiKey realm="{REALM}", header="{settings.header}"'
        self._now = host.time
        self._header = istr(settings.header)
        self._query = settings.query
        self._strips = settings.strip
        # What a key with an unknown id is compared to, so that it takes as long as a wrong one.
        self._nobody = Known(secrets.token_bytes(32), Identity(""), inf)
        self._keys: KnownKeys = StoreKeys(host.store.shared_set(KEYS), host.log) if settings.file is None else FileKeys(settings.file, host)

    async def start(self) -> None:
        await self._keys.start()

    def find(self, ex: Exchange) -> str | None:
        values = ex.headers.getall(self._header, None)
        if values is not None:
            return values[0] if len(values) == 1 else ""  # of two, the upstream might believe the other
        return None if self._query is None else self._in_query(ex.query)

    def check(self, credential: str) -> Identity | Refusal:
        known = self._keys.get(keyfile.id_of(credential)) or self._nobody
        if not hmac.compare_digest(keyfile.digest(credential), known.digest):
            return Refusal("wrong API key") if known is not self._nobody else self._keys.lacking()
        if self._now() >= known.expires:
            return Refusal(f"API key {keyfile.id_of(credential)} has expired")
        return known.identity

    def strip(self, ex: Exchange) -> None:
        if not self._strips:
            return
        ex.headers.popall(self._header, None)
        if self._query is not None and self._in_query(ex.query) is not None:
            path, _, query = ex.target.partition("?")
            ex.query = self._without(ex.query)
            query = self._without(query)
            ex.target = f"{path}?{query}" if query else path

    def _in_query(self, query: str) -> str | None:
        values = [unquote_plus(pair.partition("=")[2]) for pair in query.split("&") if self._is_key(pair)]
        return None if not values else values[0] if len(values) == 1 else ""

    def _without(self, query: str) -> str:
        return "&".join(pair for pair in query.split("&") if not self._is_key(pair))

    def _is_key(self, pair: str) -> bool:
        return unquote_plus(pair.partition("=")[0]) == self._query
