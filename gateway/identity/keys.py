"""Keys that verify tokens, each bound to the algorithms that its type allows: what a token's header says can only choose among these.

The signatures are joserfc's business, and cryptography's below it. Imported when a policy has tokens, for that takes 50 ms.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, get_args

import orjson
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from cryptography.x509 import load_pem_x509_certificate
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, OctKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from gateway.identity.token import Algorithm

LEAST_RSA = 2048
"""Bits (RFC 7518, section 3.3)."""
SHORT = 14
"""Bytes, below which joserfc complains of a secret at each import; `gateway check` does so of any below 32, once."""
SMALLEST = {"RSA": ("n", LEAST_RSA // 6), "oct": ("k", 43)}
"""Of a JWK, the member that holds its number or secret, and the least length of that in base64: 2048 bits, and 256 (section 3.2)."""
NATIVE: tuple[tuple[type, Any], ...] = ((RSAPublicKey, RSAKey), (EllipticCurvePublicKey, ECKey), (Ed25519PublicKey, OKPKey))
MOST = 100
"""Keys in a set."""
UNNAMED = 8
"""Keys that are tried for a token that names none."""

MODELS = {name: JWSRegistry.algorithms[name] for name in get_args(Algorithm)}


class VerifyingKey(NamedTuple):
    kid: str | None
    key: Any
    algorithms: frozenset[str]

    def verify(self, algorithm: str, signed: bytes, signature: bytes) -> bool:
        return MODELS[algorithm].verify(signed, signature, self.key)


class Keys:
    """All that may have signed a token. Immutable."""

    def __init__(self, keys: Iterable[VerifyingKey]) -> None:
        self._all = tuple(keys)
        self._named: dict[str, list[VerifyingKey]] = {}
        for key in self._all:
            if key.kid is not None:
                self._named.setdefault(key.kid, []).append(key)
        self._unnamed = tuple(key for key in self._all if key.kid is None)

    def candidates(self, kid: str | None, algorithm: str) -> Sequence[VerifyingKey]:
        """Those that may have signed a token of this `kid`, by this algorithm; few, for each costs a verification."""
        keys = self._all if kid is None else (*self._named.get(kid, ()), *self._unnamed)
        return [key for key in keys if algorithm in key.algorithms][:UNNAMED]


def secret(value: str, algorithms: Collection[str]) -> Keys:
    """One key for HMAC. Raises ValueError when it is a public key, which everybody has."""
    raw = value.encode()
    key = OctKey(raw, raw) if len(raw) < SHORT else OctKey.import_key(raw)
    return Keys([_bound(key, algorithms)])


def pem(content: bytes, algorithms: Collection[str]) -> Keys:
    """The public key in a PEM file, or of the certificate there. Raises ValueError when there is none that fits the algorithms."""
    if b"PRIVATE KEY-----" in content:
        raise ValueError("this is a private key, which only the issuer may have; openssl pkey -in FILE -pubout writes the public one")
    try:
        is_certificate = b"BEGIN CERTIFICATE-----" in content
        raw: Any = load_pem_x509_certificate(content).public_key() if is_certificate else load_pem_public_key(content)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError(f"no public key in PEM: {str(error).partition('.')[0]}") from None
    kind = next((kind for native, kind in NATIVE if isinstance(raw, native)), None)
    if kind is None:
        raise ValueError("its key is neither RSA, EC nor Ed25519")
    return Keys([_bound(kind(raw, raw), algorithms)])


def published(content: bytes, algorithms: Collection[str]) -> Keys:
    """The keys of a JWKS (RFC 7517, section 5) that fit the algorithms. Raises ValueError when there are none.

    Keys of other kinds, for other uses or malformed are passed over, as section 5 has it.
    """
    try:
        listed = orjson.loads(content)["keys"]
    except (orjson.JSONDecodeError, KeyError, TypeError, IndexError):
        raise ValueError("it is no JWKS: a JSON object with a list of keys") from None
    if not isinstance(listed, list) or len(listed) > MOST:
        raise ValueError(f"its keys are no list of at most {MOST}")
    found = [key for one in listed if (key := _published(one, algorithms)) is not None]
    if not found:
        raise ValueError(f"none of its keys is for {', '.join(algorithms)}")
    return Keys(found)


def _published(one: Any, algorithms: Collection[str]) -> VerifyingKey | None:
    kinds = {MODELS[name].key_type for name in algorithms}
    if not isinstance(one, Mapping) or one.get("kty") not in kinds:
        return None
    member, length = SMALLEST.get(one["kty"], ("", 0))
    if len(str(one.get(member))) < length:
        return None
    try:
        return _bound(JWKRegistry.import_key(dict(one)), algorithms, one.get("kid"))
    except (JoseError, ValueError, TypeError, KeyError):
        return None


def _bound(key: OctKey | RSAKey | ECKey | OKPKey, algorithms: Collection[str], kid: Any = None) -> VerifyingKey:
    """The key with those of the algorithms that are for its type, curve, use and alg. Raises ValueError when there are none."""
    if isinstance(key, RSAKey) and key.raw_value.key_size < LEAST_RSA:
        raise ValueError(f"an RSA key has {LEAST_RSA} bits or more")
    fitting = frozenset(name for name in algorithms if _fits(key, name))
    if not fitting:
        raise ValueError(f"a key of type {key.key_type} is not for {', '.join(algorithms)}")
    return VerifyingKey(kid if isinstance(kid, str) else None, key, fitting)


def _fits(key: OctKey | RSAKey | ECKey | OKPKey, algorithm: str) -> bool:
    try:
        MODELS[algorithm].check_key(key)
        key.check_key_op("verify")
    except JoseError:
        return False
    return not isinstance(key, OKPKey) or key.curve_name == "Ed25519"
