"""Cross-origin requests from browsers: which origins may read replies, decided here and nowhere behind (Fetch, section 3.3)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Annotated, ClassVar

from multidict import istr
from pydantic import AfterValidator, model_validator

from gateway.plugin import (
    Answers,
    BadRequest,
    Duration,
    End,
    Exchange,
    Field,
    HeaderName,
    Headers,
    Host,
    Many,
    OneOrMany,
    Plugin,
    Reply,
    Settings,
    valid_origin,
)

_METHOD = re.compile(r"[A-Z]+|\*")
_DAY = 86400.0

ORIGIN, VARY, REQUEST_METHOD = istr("Origin"), istr("Vary"), istr("Access-Control-Request-Method")
# All that a reply can grant (Fetch, section 3.3.3; the last two of drafts for private networks): an upstream's are dropped.
GRANTS = tuple(
    istr(f"Access-Control-{name}")
    for name in (
        "Allow-Origin", "Allow-Credentials", "Allow-Methods", "Allow-Headers", "Expose-Headers", "Max-Age",
        "Allow-Private-Network", "Allow-Local-Network",
    )
)  # fmt: skip


def _allowed(value: str) -> str:
    """An origin, all sub-domains of a domain as https://*.example.com, or all. Raises ValueError."""
    if value == "*":
        return value
    scheme, star, domain = value.partition("://*.")
    if not star:
        return valid_origin(value)
    if "." not in domain or domain.endswith("."):
        raise ValueError(f'"{value}" lets in whoever buys a name there; name a domain of your own, as in https://*.example.com')
    valid_origin(f"{scheme}://{domain}")
    return value


def _method(value: str) -> str:
    if _METHOD.fullmatch(value) is None:
        meant = value.upper() if _METHOD.fullmatch(value.upper()) else "its name in capitals, as in PATCH"
        raise ValueError(f'"{value}" is no method; write {meant}')
    return value


def _at_most_a_day(value: float) -> float:
    if value > _DAY:
        raise ValueError("at most 24h: no browser keeps a preflight's answer for longer")
    return value


class CorsSettings(Settings):
    shorthand: ClassVar[str] = "origins"

    origins: OneOrMany[Annotated[str, AfterValidator(_allowed)]] = Field(
        description="The origins whose scripts may read replies, each as scheme://host[:port]: exact, or all below a domain, as "
        'https://*.example.com. "*" alone: any, without credentials. An empty list: none, and what the upstream grants is taken off.',
    )
    credentials: bool = Field(False, description="Let these origins send cookies and Authorization, and read what comes back.")
    methods: Many[Annotated[str, AfterValidator(_method)]] = Field(
        ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"), description="The methods a preflight is told."
    )
    allowed_headers: Many[HeaderName] = Field(
        ("Authorization", "Content-Type", "X-Api-Key", "X-Request-Id"), description="The request headers a preflight is told."
    )
    exposed_headers: Many[HeaderName] = Field(
        ("X-Request-Id", "Retry-After", "RateLimit", "RateLimit-Policy"),
        description="The reply's headers that scripts may read, beside the safelisted ones (Cache-Control, Content-Type, Expires, ...).",
    )
    max_age: Annotated[Duration, AfterValidator(_at_most_a_day)] = Field(
        600.0, description="For how long a browser may remember a preflight's answer; at most 24h (Chrome keeps it for 2h)."
    )

    @model_validator(mode="after")
    def _wildcards_stand_alone(self) -> CorsSettings:
        for setting in ("origins", "methods", "allowed_headers", "exposed_headers"):
            values = getattr(self, setting)
            if "*" not in values:
                continue
            if len(values) > 1:
                raise ValueError(f'{setting}: "*" covers the others; write it alone')
            if self.credentials:
                raise ValueError(f'{setting}: "*" means nothing with credentials (Fetch, section 3.3.5); list them')
        return self


class Cors(Plugin[CorsSettings]):
    once = True

    def __init__(self, settings: CorsSettings, host: Host) -> None:
        super().__init__(settings, host)
        self._any_origin = settings.origins == ("*",)
        exact = [origin for origin in settings.origins if "://*." not in origin]
        self._grants = {origin: _grant(settings, origin) for origin in exact}
        self._preflights = {origin: _preflight(settings, origin) for origin in exact}
        self._is_subdomain = _subdomains([origin for origin in settings.origins if "://*." in origin])
        self._settings = settings
        self._granted: dict[Exchange, Headers] = {}  # noted on the way down: a plugin below may take Origin off what goes upstream

    def on_request(self, ex: Exchange) -> Reply | None:
        origins = ex.headers.getall(ORIGIN, ())
        if not origins:
            return None
        if len(origins) > 1:
            raise BadRequest("There is more than one Origin field.")
        origin = "*" if self._any_origin else origins[0]
        if ex.method == "OPTIONS" and REQUEST_METHOD in ex.headers:
            return Reply(204, self._preflight(origin))
        grant = self._grants.get(origin)
        if grant is None and self._is_subdomain(origin):
            grant = _grant(self._settings, origin)
        if grant is not None:
            self._granted[ex] = grant
        return None

    def _preflight(self, origin: str) -> Headers:
        if (found := self._preflights.get(origin)) is not None:
            return found.copy()
        return _preflight(self._settings, origin) if self._is_subdomain(origin) else _DENIED.copy()

    def on_response(self, ex: Exchange, reply: Reply) -> None:
        headers = reply.headers
        if not headers.keys().isdisjoint(GRANTS):
            for name in GRANTS:
                headers.popall(name, None)
        if self._any_origin:
            headers.update(self._grants["*"])  # also when no origin was sent: a cache may give this reply to one that sends it
            return
        if (grant := self._granted.get(ex)) is not None:
            headers.update(grant)
        vary = headers.getall(VARY, ())
        headers[VARY] = with_origin(", ".join(vary)) if vary else "Origin"

    def explain(self, ex: Exchange) -> str:
        origins = ex.headers.getall(ORIGIN, ())
        if len(origins) != 1:
            self.on_request(ex)
            return "no Origin: not a browser's request across origins"
        is_known = self._any_origin or origins[0] in self._grants or self._is_subdomain(origins[0])
        if ex.method == "OPTIONS" and REQUEST_METHOD in ex.headers:
            return Answers(f"answers the preflight of {origins[0]} with 204, {'granted' if is_known else 'granting nothing'}")
        return f"scripts of {origins[0]} {'may' if is_known else 'may not'} read the reply"

    def on_end(self, ex: Exchange, end: End) -> None:
        self._granted.pop(ex, None)


def _subdomains(patterns: Iterable[str]) -> Callable[[str], bool]:
    """Whether an origin is below one of these domains: labels and dots stand where the star does, and nothing else."""
    forms = [re.escape(pattern).replace(r"\*", r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*") for pattern in patterns]
    if not forms:
        return lambda origin: False
    matches = re.compile("|".join(forms)).fullmatch
    return lambda origin: matches(origin) is not None


_DENIED = Headers([(VARY, "Origin")])


def _grant(settings: CorsSettings, origin: str) -> Headers:
    """The fields that let `origin` read a reply."""
    headers = Headers([(GRANTS[0], origin)])
    if settings.credentials:
        headers[GRANTS[1]] = "true"
    _list(headers, "Access-Control-Expose-Headers", settings.exposed_headers)
    return headers


def _preflight(settings: CorsSettings, origin: str) -> Headers:
    """The whole answer to a preflight: what is allowed, never what was asked."""
    headers = Headers([(GRANTS[0], origin)])
    if settings.credentials:
        headers[GRANTS[1]] = "true"
    _list(headers, "Access-Control-Allow-Methods", settings.methods)
    _list(headers, "Access-Control-Allow-Headers", settings.allowed_headers)
    headers["Access-Control-Max-Age"] = str(int(settings.max_age))
    if origin != "*":
        headers[VARY] = "Origin"
    return headers


def _list(headers: Headers, name: str, values: Iterable[str]) -> None:
    if text := ", ".join(values):
        headers[name] = text


@lru_cache(maxsize=256)
def with_origin(vary: str) -> str:
    """A Vary that has Origin among its names (RFC 9110, section 12.5.5). An upstream has few of them: they are kept."""
    names = {name.strip().lower() for name in vary.split(",")}
    return vary if "origin" in names or "*" in names else f"{vary}, Origin"
