"""Tokens (JWT, RFC 7519) that a test's requests bring, signed with a key that is good for nothing else."""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import orjson
from pydantic import Field, model_validator

from gateway.config.settings import Settings, duration
from gateway.identity.token import Algorithm

ABSENT = "absent"
LIFE = 3600.0
"""Seconds that a token is good for of which nothing is said."""
KID = "tests"
TIMES = ("exp", "nbf", "iat")
_CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}
_SPAN = re.compile(r"([+-])(.+)")


class Signing(Settings):
    """Who signs the tokens of these tests. Without a secret a key is made for each run; `jwks: true` of a service publishes it."""

    algorithm: Algorithm = Field(description="The algorithm, as in HS256, RS256, ES256 or EdDSA.")
    secret: str | None = Field(None, min_length=1, description="Of HS256 and the like: the secret that `env` gives the policy.")
    claims: dict[str, Any] = Field({}, description="Claims of every token, as in iss and aud. A step's own are added, or take their place.")

    @model_validator(mode="after")
    def _has_what_it_signs_with(self) -> Signing:
        if self.algorithm.startswith("HS") and self.secret is None:
            raise ValueError(f"{self.algorithm} signs with a secret; write secret")
        if not self.algorithm.startswith("HS") and self.secret is not None:
            raise ValueError(f"{self.algorithm} signs with a key, which is made here; remove secret, or write algorithm: HS256")
        check(self.claims)
        return self


def check(claims: Mapping[str, Any]) -> None:
    """Raises ValueError for a time that is none."""
    for name in TIMES:
        value = claims.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float | str | None):
            raise ValueError(f"{name} is a time: write +15m or -1m, from when the request is sent, Unix time, or absent")
        if isinstance(value, str) and value != ABSENT:
            _seconds(name, value)


def _seconds(name: str, text: str) -> float:
    span = _SPAN.fullmatch(text)
    if span is None:
        raise ValueError(f'{name}: "{text}" is no time; write +15m or -1m, from when the request is sent, Unix time, or absent')
    return duration(span[2]) * (-1 if span[1] == "-" else 1)


def token(signing: Signing, claims: Mapping[str, Any], now: float) -> str:
    """The compact form of a token with these claims, sent at `now`, Unix time."""
    from gateway.identity.keys import MODELS

    parts = {"alg": signing.algorithm, "kid": KID}, _payload({**signing.claims, **claims}, now)
    signed = b".".join(_encoded(orjson.dumps(part)) for part in parts)
    signature = MODELS[signing.algorithm].sign(signed, _key(signing.algorithm, signing.secret))
    return b".".join((signed, _encoded(signature))).decode()


def _encoded(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")


def _payload(claims: Mapping[str, Any], now: float) -> dict[str, Any]:
    said = {"iat": int(now), "exp": int(now + LIFE), **claims}
    at = {name: int(now + _seconds(name, said[name])) for name in TIMES if isinstance(said.get(name), str) and said[name] != ABSENT}
    return {name: value for name, value in {**said, **at}.items() if value != ABSENT}


def jwks(signing: Signing) -> bytes:
    """The public key, as its issuer would publish it (RFC 7517, section 5)."""
    return orjson.dumps({"keys": [{**_key(signing.algorithm, None).as_dict(private=False), "kid": KID}]})


@lru_cache
def _key(algorithm: Algorithm, secret: str | None) -> Any:
    """One for each algorithm in a run: an RSA key takes its time."""
    from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

    if secret is not None:
        return OctKey.import_key(secret)
    if algorithm in _CURVES:
        return ECKey.generate_key(_CURVES[algorithm])
    return OKPKey.generate_key("Ed25519") if algorithm.startswith("Ed") else RSAKey.generate_key(2048)
