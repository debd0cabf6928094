"""Tokens that somebody else has signed (JWT, RFC 7519), verified as RFC 8725 asks for."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from multidict import istr
from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from gateway.config.settings import Duration, File, Many, OneOrMany, Settings, Size
from gateway.exchange import Exchange
from gateway.identity.claims import Rules, claim, name_of, texts
from gateway.identity.method import REALM, Identity, Method, Refusal
from gateway.identity.token import Algorithm, Token, json_object, parse

if TYPE_CHECKING:
    from gateway.identity.jwks import Published
    from gateway.identity.keys import Keys
    from gateway.plugin import Host

REMEMBERED = 4096
"""Tokens that need not be verified again; the one that came first makes room."""
SCHEME = "bearer "
SOURCES = ("secret", "key", "jwks", "jwks_url")
AUTHORIZATION, COOKIE = istr("Authorization"), istr("Cookie")
_URL = re.compile(r"https?://[^\s/?#@]+(?:[/?][^\s#]*)?")


def _url(value: str) -> str:
    if _URL.fullmatch(value) is None:
        raise ValueError("expected the URL of a JWKS, as in https://issuer.example.com/.well-known/jwks.json")
    return value


def _text(value: Any) -> Any:
    """An unset `${JWT_SECRET:-}` without quotes is nothing, and no other than an empty one."""
    return "" if value is None else value


def _no_url(value: Any) -> Any:
    if isinstance(value, str) and _URL.fullmatch(value):
        raise ValueError(f"a file belongs here; write jwks_url: {value}")
    return value


def _claim(value: Any) -> Any:
    """Raises ValueError for groups themselves, which stand one level above."""
    if isinstance(value, list):
        raise ValueError(
            "this names the claim that lists groups, as in roles; groups that are asked for stand in authenticate: {groups: [...]}"
        )
    return value


class JwtSettings(Settings):
    """Signed tokens, in `Authorization: Bearer` or in a cookie. One of secret, key, jwks and jwks_url says how they are verified."""

    example: ClassVar[str] = 'algorithms: RS256, jwks_url: "https://issuer.example.com/jwks.json"'

    algorithms: OneOrMany[Algorithm] = Field(min_length=1, description="The algorithms that tokens may be signed with, and no others.")
    secret: Annotated[str | None, BeforeValidator(_text)] = Field(
        None,
        description="The secret shared with the issuer, for HS256 and the like: 32 random bytes or more. An empty one verifies nothing.",
    )
    key: File | None = Field(None, description="The issuer's public key, a PEM file; read again when it changes.")
    jwks: Annotated[File | None, BeforeValidator(_no_url)] = Field(
        None, description="The issuer's public keys, a JWKS file; read again when it changes."
    )
    jwks_url: Annotated[str, AfterValidator(_url)] | None = Field(
        None, description="Where the issuer publishes its keys. They are fetched beside the requests."
    )
    iss: OneOrMany[str] = Field((), description="The issuers that are believed; without one, whoever has signed with the key.")
    aud: OneOrMany[str] = Field((), description="The audiences that the gateway is; a token must name one. Without: it must name none.")
    require: Many[str] = Field(("exp",), description="Claims that a token must have.")
    leeway: Duration = Field(0.0, ge=0, le=300, description="By how much the issuer's clock may differ, as in 30s; at most 5m.")
    consumer: str = Field("sub", min_length=1, description="The claim that names the consumer; a token without it is refused.")
    groups: Annotated[str | None, BeforeValidator(_claim)] = Field(
        None,
        min_length=1,
        description="The claim that lists groups, as in roles, scope or realm_access.roles: a list, or one text of words.",
    )
    cookie: str | None = Field(None, min_length=1, description="A cookie that may hold the token, when there is no bearer token.")
    max_size: Size = Field(8 << 10, ge=64, le=64 << 10, description="Bytes of a token; a longer one is refused.")
    refresh: Duration = Field(600.0, ge=10, description="How often keys are fetched from jwks_url.")
    stale: Duration = Field(86400.0, ge=0, description="How long keys are used while jwks_url does not answer.")
    wait: Duration = Field(
        1.0, ge=0, le=10, description="How long a request may wait for a fetch from jwks_url when the key that it needs is not there."
    )

    @model_validator(mode="after")
    def _has_one_source_of_keys(self) -> JwtSettings:
        given = [name for name in SOURCES if getattr(self, name) is not None]
        if len(given) != 1:
            hint = f"keep one of {', '.join(given)}" if given else "write one"
            raise ValueError(f"tokens are verified by one of {', '.join(SOURCES)}; {hint}")
        symmetric = [name for name in self.algorithms if name.startswith("HS")]
        if given == ["secret"] and len(symmetric) < len(self.algorithms):
            raise ValueError(
                "a secret is for HS256, HS384 and HS512 alone; other algorithms have a public key: write key, jwks or jwks_url"
            )
        if given != ["secret"] and symmetric and given != ["jwks"]:
            raise ValueError(f"{symmetric[0]} needs a secret, and a public key is none: who has it could sign tokens; write secret")
        return self


class Jwt(Method):
    challenge = f'Bearer realm="{REALM}"'
    challenge_again = f'Bearer realm="{REALM}", error="invalid_token"'
    challenge_scope = f'Bearer realm="{REALM}", error="insufficient_scope"'  # RFC 6750, section 3.1

    def __init__(self, settings: JwtSettings, host: Host) -> None:
        """Raises ValueError when a key is not right."""
        from gateway.identity import jwks, keys

        self._host = host
        self._clock = host.clock
        self._now = host.time
        self._algorithms = settings.algorithms
        self._rules = Rules(frozenset(settings.iss), frozenset(settings.aud), settings.require, settings.leeway)
        self._consumer = settings.consumer
        self._groups = settings.groups
        self._cookie = settings.cookie
        self._max_size = settings.max_size
        self._verified: dict[bytes, tuple[Identity, float]] = {}  # by digest: tokens are not kept
        self._published: Published | None = None
        self._file: File | None = settings.key or settings.jwks
        self._read: Callable[[bytes, Any], Keys] = keys.pem if settings.key is not None else keys.published
        self._keys = keys.Keys(())
        if settings.jwks_url is not None:
            self._published = jwks.Published(settings.jwks_url, settings.algorithms, settings.refresh, settings.stale, settings.wait, host)
            self.later = f"would fetch keys from {settings.jwks_url}"
        elif self._file is not None:
            self._load(self._file.read_bytes())
        elif settings.secret:
            self._keys = keys.secret(settings.secret, settings.algorithms)

    async def start(self) -> None:
        if self._file is not None:
            self._host.watch(self._file, self._load)
        if self._published is not None:
            self._published.look()

    def _load(self, content: bytes) -> None:
        assert self._file is not None
        try:
            self._keys = self._read(content, self._algorithms)
        except ValueError as error:
            raise ValueError(f"{self._file.name}: {error}") from None
        self._verified.clear()

    def find(self, ex: Exchange) -> str | None:
        value = ex.headers.get(AUTHORIZATION)
        if value is not None:
            if value[:7].lower() == SCHEME:
                return value[7:].strip(" ")
            if value.lower() == "bearer":
                return ""
        return None if self._cookie is None else self._in_cookie(ex)

    def _in_cookie(self, ex: Exchange) -> str | None:
        pairs = [pair.strip().partition("=") for field in ex.headers.getall(COOKIE, ()) for pair in field.split(";")]
        values = [value for name, _, value in pairs if name == self._cookie]
        return None if not values else values[0] if len(values) == 1 else ""

    def check(self, credential: str) -> Identity | Refusal | None:
        if len(credential) > self._max_size:
            return Refusal(f"a token of {len(credential)} bytes")
        text = credential.encode(errors="surrogatepass")
        digest = hashlib.sha256(text).digest()
        found = self._verified.get(digest)
        if found is not None and self._clock() < found[1]:
            return found[0]
        self._verified.pop(digest, None)
        try:
            token = parse(text)
        except ValueError as error:
            return Refusal(f"not a token: {error}")
        if token.algorithm not in self._algorithms:
            return Refusal("its alg is not among the policy's algorithms")
        published = self._published
        if published is None:
            return self._verify(token, digest, self._keys, inf)
        keys = published.keys
        if published.is_due or keys is None or not keys.candidates(token.kid, token.algorithm):
            return None
        return self._verify(token, digest, keys, published.due)

    async def check_later(self, credential: str) -> Identity | Refusal:
        """Of a token that could not be verified by the keys that are published, as far as they were known."""
        published = self._published
        assert published is not None
        text = credential.encode(errors="surrogatepass")
        token = parse(text)
        published.look()
        if published.keys is None or not published.keys.candidates(token.kid, token.algorithm):
            await published.look_for_more()
        if (keys := published.keys) is None:
            return Refusal("no key is at hand to verify a token", is_outage=True)
        return self._verify(token, hashlib.sha256(text).digest(), keys, published.due)

    def _verify(self, token: Token, digest: bytes, keys: Keys, until: float) -> Identity | Refusal:
        candidates = keys.candidates(token.kid, token.algorithm)
        if not candidates:
            return Refusal("no key for its kid and alg")
        if not any(key.verify(token.algorithm, token.signed, token.signature) for key in candidates):
            return Refusal("its signature is wrong")
        try:
            claims = json_object(token.payload, "its payload")
        except ValueError as error:
            return Refusal(str(error))
        return self._identify(claims, digest, until)

    def _identify(self, claims: dict[str, Any], digest: bytes, until: float) -> Identity | Refusal:
        now = self._now()
        if why := self._rules.violated(claims, now):
            return Refusal(why)
        consumer = name_of(claim(claims, self._consumer))
        if not consumer:
            return Refusal(f"the token has no {self._consumer} to name the consumer")
        groups = () if self._groups is None else texts(claim(claims, self._groups))
        identity = Identity(consumer, groups, claims)
        if "exp" in claims:
            until = min(until, self._clock() + claims["exp"] + self._rules.leeway - now)
        if until > self._clock():
            while len(self._verified) >= REMEMBERED:
                del self._verified[next(iter(self._verified))]
            self._verified[digest] = (identity, until)
        return identity
