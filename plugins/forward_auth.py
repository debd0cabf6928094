"""Ask an HTTP service whether a request may pass, as oauth2-proxy, Authelia and their like expect to be asked.

2xx lets it pass; a redirect or another 4xx is the client's answer; all else, and silence, is a failure of the service.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Literal, NamedTuple

from multidict import istr
from pydantic import AfterValidator

from gateway.plugin import BadRequest, CallFailed, Duration, Exchange, Field, HeaderName, Headers, Host, OneOrMany, Plugin, Reply, Settings

REMEMBERED = 4096
"""Answers; the one that came first makes room."""
LARGEST = 64 << 10
"""Bytes of an answer."""

_URL = re.compile(r"https?://[^\s/?#@]+(?:[/?][^\s#]*)?")


def _url(value: str) -> str:
    if _URL.fullmatch(value) is None:
        raise ValueError("expected the URL that answers, as in http://127.0.0.1:4180/oauth2/auth")
    return value


class ForwardAuthSettings(Settings):
    url: Annotated[str, AfterValidator(_url)] = Field(description="What is asked, with GET.")
    within: Duration = Field(2.0, gt=0, le=30, description="How long an answer is waited for.")
    request_headers: OneOrMany[HeaderName] = Field(
        ("Authorization", "Cookie", "Accept"),
        description="Headers of the request that the service is shown, beside X-Forwarded-Method, -Proto, -Host, -Uri and -For.",
    )
    response_headers: OneOrMany[HeaderName] = Field(
        (), description="Headers of its answer that the upstream is shown, as in Remote-User. Those that a client sends are taken off."
    )
    consumer: HeaderName | None = Field(None, description="The header of its answer that names the consumer, as in Remote-User.")
    groups: HeaderName | None = Field(None, description="The header of its answer that lists groups, with commas between.")
    cache: Duration = Field(
        2.0,
        ge=0,
        le=300,
        description="How long a yes holds for the same method, URL, client and shown headers; 0s: for this request alone.",
    )
    on_failure: Literal["closed", "open"] = Field(
        "closed", description="While the service does not answer: closed refuses with 503, open lets everybody pass, as nobody."
    )


class _Yes(NamedTuple):
    fields: Headers
    consumer: str | None
    groups: tuple[str, ...]


class ForwardAuth(Plugin[ForwardAuthSettings]):
    def __init__(self, settings: ForwardAuthSettings, host: Host) -> None:
        super().__init__(settings, host)
        self._url = settings.url
        self._within = settings.within
        self._shown = tuple(istr(name) for name in settings.request_headers)
        self._told = tuple(istr(name) for name in settings.response_headers)
        self._consumer = settings.consumer
        self._groups = settings.groups
        self._cache = settings.cache
        self._is_open = settings.on_failure == "open"
        self._yes: dict[tuple[str, ...], tuple[_Yes, float]] = {}

    async def on_request(self, ex: Exchange) -> Reply | None:
        for name in self._told:
            ex.headers.popall(name, None)
        asked = self._question(ex)
        key = tuple(part for pair in asked for part in pair)
        found = self._yes.get(key)
        if found is not None and self.host.clock() < found[1]:
            self._pass(ex, found[0])
            return None
        try:
            reply = await self.host.http("GET", self._url, headers=_joined(asked), within=self._within, limit=LARGEST)
            if not (200 <= reply.status < 500):
                raise CallFailed(reason=f"{self._url} answers {reply.status}")
        except CallFailed as failure:
            if self._is_open:
                ex.note("forward_auth", outcome="open", why=failure.reason)
                return None
            raise
        if reply.status >= 300:
            reply.headers.setdefault("Cache-Control", "no-store")
            return reply
        yes = self._read(reply)
        self._keep(key, yes)
        self._pass(ex, yes)
        return None

    def explain(self, ex: Exchange) -> str:
        for name in self._told:
            ex.headers.popall(name, None)
        return f"would ask {self._url}"

    def _question(self, ex: Exchange) -> list[tuple[str, str]]:
        """The header fields of the question: all that an answer may depend on."""
        asked = [
            ("X-Forwarded-Method", ex.method), ("X-Forwarded-Proto", ex.scheme), ("X-Forwarded-Host", ex.host),
            ("X-Forwarded-Uri", ex.target), ("X-Forwarded-For", ex.client),
        ]  # fmt: skip
        asked += [(name, value) for name in self._shown for value in ex.headers.getall(name, ())]
        if not all(value.replace("\t", " ").isprintable() for _, value in asked):
            raise BadRequest("A header that decides on access holds bytes that are not text.")  # else the call fails, and might open
        return asked

    def _read(self, reply: Reply) -> _Yes:
        fields = Headers((name, value) for name in self._told for value in reply.headers.getall(name, ()))
        consumer = reply.headers.get(self._consumer) if self._consumer else None
        listed = reply.headers.get(self._groups, "") if self._groups else ""
        return _Yes(fields, consumer or None, tuple(group for one in listed.split(",") if (group := one.strip())))

    def _keep(self, key: tuple[str, ...], yes: _Yes) -> None:
        if self._cache:
            self._yes.pop(key, None)
            while len(self._yes) >= REMEMBERED:
                del self._yes[next(iter(self._yes))]
            self._yes[key] = (yes, self.host.clock() + self._cache)

    def _pass(self, ex: Exchange, yes: _Yes) -> None:
        ex.headers.extend(yes.fields)
        ex.consumer, ex.groups = yes.consumer, yes.groups


def _joined(fields: Iterable[tuple[str, str]]) -> dict[str, str]:
    """One value for each name: repeated fields are one list (RFC 9110, section 5.3), and cookies one line (RFC 6265, section 5.4)."""
    joined: dict[str, str] = {}
    for name, value in fields:
        joined[name] = value if name not in joined else f"{joined[name]}{'; ' if name.lower() == 'cookie' else ', '}{value}"
    return joined
