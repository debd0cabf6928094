"""Requests that a page of another site has a browser make, with its user's cookies, are refused.

Browsers say where a request comes from, by Sec-Fetch-Site (Fetch Metadata) and Origin; what says neither is no browser of today. With
`token`, a page must also show that it can read what only pages of the site can: the signed double submit of OWASP's cheat sheet on CSRF.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Sequence
from typing import Annotated, Literal

from multidict import istr
from pydantic import model_validator

from gateway.plugin import (
    End,
    Exchange,
    Field,
    GatewayError,
    HeaderName,
    Host,
    OneOrMany,
    Origin,
    Plugin,
    Reply,
    Settings,
    Token,
)

ORIGIN, SITE, COOKIE, SET_COOKIE = istr("Origin"), istr("Sec-Fetch-Site"), istr("Cookie"), istr("Set-Cookie")
SAFE = frozenset(("GET", "HEAD", "OPTIONS"))
OWN = ("same-origin", "none")
"""What Sec-Fetch-Site says of a page of ours, and of what a user has typed or bookmarked."""
RANDOM = 16
"""Bytes of a token that nobody can guess; the rest is their signature."""

CookieName = Annotated[str, Field(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")]


class CrossSite(GatewayError):
    status, slug, title = 403, "cross-site-request", "A page of another site may not do this"


class BadToken(CrossSite):
    slug, title = "csrf-token-invalid", "The CSRF token is missing or wrong"


class TokenSettings(Settings):
    """The double submit: a cookie that pages of the site read and send back in a header."""

    secret: OneOrMany[Token] = Field(
        min_length=1, description="What signs tokens. Of several the first signs, and all count: so that one can be replaced."
    )
    session: CookieName = Field(description="The cookie of the session; a token counts for the session that it was made for.")
    name: CookieName = Field("__Host-csrf", description="The cookie that holds the token. Scripts can read it.")
    header: HeaderName = Field("X-CSRF-Token", description="The header in which a page sends it back.")


class CsrfSettings(Settings):
    origins: OneOrMany[Origin] = Field((), description="Origins of other sites whose pages may; the gateway's own may anyway.")
    sessions: OneOrMany[CookieName] = Field(
        (), description="Look only at requests with one of these cookies: what bears none acts for nobody. None: look at all."
    )
    unknown: Literal["pass", "refuse"] = Field(
        "pass", description="Requests that say neither where they come from: programs, and browsers from before 2020."
    )
    token: TokenSettings | None = Field(None, description="Ask for a token as well.")

    @model_validator(mode="after")
    def _looks_at_the_session(self) -> CsrfSettings:
        if self.token is not None and self.sessions and self.token.session not in self.sessions:
            raise ValueError(f"sessions: {self.token.session} is what a token is bound to, and is not among them")
        return self


class Csrf(Plugin[CsrfSettings]):
    """In `mode: observe` nobody is refused, and nobody is given a token: who would have to send one is counted as lacking it."""

    handles_mode = True

    def __init__(self, settings: CsrfSettings, host: Host) -> None:
        super().__init__(settings, host)
        self._origins = frozenset(settings.origins)
        self._sessions = frozenset(settings.sessions)
        self._passes_unknown = settings.unknown == "pass"
        self._tokens = None if settings.token is None else Tokens(settings.token)
        self._observes = host.mode == "observe"
        self._due: dict[Exchange, str] = {}  # exchanges whose reply brings a token, for this session
        refused = host.metrics.counter("csrf.refused", "Requests refused because of where they came from.", ("by",))
        self._by_origin, self._by_token = refused.bind(by="origin"), refused.bind(by="token")

    def on_request(self, ex: Exchange) -> None:
        cookies = _cookies(ex) if self._tokens is not None or self._sessions else {}
        if self._tokens is not None and (session := self._tokens.due(cookies)) is not None:
            self._due[ex] = session
        if (why := self._refusal(ex, cookies)) is None:
            return
        (self._by_token if isinstance(why, BadToken) else self._by_origin).add()
        if self._observes:
            ex.note("observe", plugin="csrf", status=CrossSite.status)
            return
        raise why

    def _refusal(self, ex: Exchange, cookies: dict[str, list[str]]) -> CrossSite | None:
        if ex.method in SAFE and not ex.upgrade:  # the handshake of a WebSocket is a GET that opens a door
            return None
        if self._sessions and self._sessions.isdisjoint(cookies):
            return None
        if not self._comes_from_us(ex):
            return CrossSite("This comes from another site.", reason=f"Origin {_all(ex, ORIGIN)}, Sec-Fetch-Site {_all(ex, SITE)}")
        if self._tokens is not None and not ex.upgrade and (why := self._tokens.wrong(ex, cookies)):
            return BadToken(f"Send the cookie {self._tokens.cookie} in the header {self._tokens.header}, too.", reason=why)
        return None

    def _comes_from_us(self, ex: Exchange) -> bool:
        """As Go's http.CrossOriginProtection decides it, and with the scheme, which we know."""
        sites, origins = _all(ex, SITE), _all(ex, ORIGIN)
        if len(sites) > 1 or len(origins) > 1:
            return False
        if origins and origins[0] in self._origins:
            return True
        if sites:
            return sites[0] in OWN
        if not origins:
            return self._passes_unknown
        scheme, _, host = origins[0].partition("://")
        return bool(host) and host == _without_port(ex.host, scheme) and scheme in ("https", ex.scheme)

    def on_response(self, ex: Exchange, reply: Reply) -> None:
        session = self._due.get(ex)
        if session is not None:
            assert self._tokens is not None
            reply.headers.add(SET_COOKIE, self._tokens.made(session, ex.scheme))
            reply.headers["Cache-Control"] = "no-store"  # it is of this session alone

    def on_end(self, ex: Exchange, end: End) -> None:
        self._due.pop(ex, None)

    def explain(self, ex: Exchange) -> str:
        cookies = _cookies(ex)
        if (why := self._refusal(ex, cookies)) is not None:
            raise why
        gives = self._tokens is not None and self._tokens.due(cookies) is not None
        return "passes" + (", and is given a token" if gives else "")


class Tokens:
    """A random value, and its signature for one session: who cannot read the cookie cannot make one either."""

    def __init__(self, settings: TokenSettings) -> None:
        self._secrets = tuple(secret.encode() for secret in settings.secret)
        self._session = settings.session
        self.cookie = settings.name
        self.header = istr(settings.header)
        self._is_bound = settings.name.startswith(("__Host-", "__Secure-"))

    def made(self, session: str, scheme: str) -> str:
        """A Set-Cookie. Not HttpOnly: that it can be read is the point."""
        random = secrets.token_urlsafe(RANDOM)
        secure = "; Secure" if self._is_bound or scheme == "https" else ""
        return f"{self.cookie}={random}.{_signature(self._secrets[0], session, random)}; Path=/; SameSite=Lax{secure}"

    def due(self, cookies: dict[str, list[str]]) -> str | None:
        """The session that has no good token yet."""
        session = _only(cookies.get(self._session, ()))
        return None if session is None or self._is_good(session, _only(cookies.get(self.cookie, ()))) else session

    def wrong(self, ex: Exchange, cookies: dict[str, list[str]]) -> str:
        """What is wrong with what was submitted, for the log; "" when nothing is."""
        session, cookie = _only(cookies.get(self._session, ())), _only(cookies.get(self.cookie, ()))
        sent = _only(ex.headers.getall(self.header, ()))
        if session is None:
            return "not one session cookie"
        if cookie is None or sent is None:
            return "the token is missing, in the cookie or in the header"
        if not hmac.compare_digest(_bytes(cookie), _bytes(sent)):
            return "cookie and header differ"
        return "" if self._is_good(session, cookie) else "the token is not of this session, or not ours"

    def _is_good(self, session: str, token: str | None) -> bool:
        random, _, signature = (token or "").partition(".")
        found = [hmac.compare_digest(_bytes(signature), _signature(secret, session, random).encode()) for secret in self._secrets]
        return bool(random) and any(found)


def _signature(secret: bytes, session: str, random: str) -> str:
    return hmac.digest(secret, _bytes(f"{len(session)}!{session}!{random}"), "sha256").hex()


def _cookies(ex: Exchange) -> dict[str, list[str]]:
    """Every value of each name, for two of one name are an attempt to hide one (RFC 6265, section 4.2.2)."""
    found: dict[str, list[str]] = {}
    for line in ex.headers.getall(COOKIE, ()):
        for pair in line.split(";"):
            name, _, value = pair.strip().partition("=")
            found.setdefault(name, []).append(value)
    return found


def _without_port(host: str, scheme: str) -> str:
    """Host as an origin of this scheme has it: its own port is left out."""
    return host.removesuffix(":443" if scheme == "https" else ":80")


def _all(ex: Exchange, name: str) -> Sequence[str]:
    return ex.headers.getall(name, ())


def _only(values: Sequence[str]) -> str | None:
    return values[0] if len(values) == 1 and values[0] else None


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
