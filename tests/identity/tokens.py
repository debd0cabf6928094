"""Tokens as an issuer makes them, and as an attacker would: put together by hand, so that nothing is too wrong to be made."""

from __future__ import annotations

import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from functools import cache
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

SECRET = "kPq8wN3vXzkPq8wN3vXzkPq8wN3vXzkP"
NOW = 1_800_000_000.0  # seconds since 1970
CLAIMS: dict[str, Any] = {"sub": "ada", "exp": NOW + 60}


def b64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def part(value: Any) -> str:
    """A value as JSON, text as it is."""
    return b64((value if isinstance(value, str) else json.dumps(value)).encode())


def hs(claims: Any = CLAIMS, header: Mapping[str, Any] | None = None, secret: bytes = SECRET.encode(), bits: int = 256) -> str:
    signed = f"{part({'alg': f'HS{bits}', 'typ': 'JWT'} if header is None else header)}.{part(claims)}"
    return f"{signed}.{b64(hmac.digest(secret, signed.encode(), f'sha{bits}'))}"


@cache
def rsa_key(n: int = 0, bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


@cache
def ec_key(curve: str = "P-256") -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key({"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}[curve])


@cache
def ed_key() -> ed25519.Ed25519PrivateKey:
    return ed25519.Ed25519PrivateKey.generate()


def pem(key: Any) -> bytes:
    public: bytes = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return public


def private_pem(key: Any) -> bytes:
    private: bytes = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return private


HASHES = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}
SIZES = {"P-256": 32, "P-384": 48, "P-521": 66}


def signed(algorithm: str, key: Any, claims: Any = CLAIMS, **header: Any) -> str:
    """One with a public key, by any of the algorithms."""
    text = f"{part({'alg': algorithm, **header})}.{part(claims)}"
    data = text.encode()
    digest = HASHES.get(algorithm[2:], HASHES["256"])
    match algorithm[:2]:
        case "RS":
            signature = key.sign(data, padding.PKCS1v15(), digest)
        case "PS":
            signature = key.sign(data, padding.PSS(padding.MGF1(digest), padding.PSS.DIGEST_LENGTH), digest)
        case "ES":
            size = SIZES[{"256": "P-256", "384": "P-384", "512": "P-521"}[algorithm[2:]]]
            signature = b"".join(n.to_bytes(size) for n in decode_dss_signature(key.sign(data, ec.ECDSA(digest))))
        case _:
            signature = key.sign(data)
    return f"{text}.{b64(signature)}"


def number(value: int, size: int | None = None) -> str:
    return b64(value.to_bytes(size or (value.bit_length() + 7) // 8))


def jwk(key: Any, **more: Any) -> dict[str, Any]:
    """The public half, as an issuer publishes it."""
    if isinstance(key, rsa.RSAPrivateKey):
        numbers = key.public_key().public_numbers()
        return {"kty": "RSA", "n": number(numbers.n), "e": number(numbers.e), **more}
    if isinstance(key, ec.EllipticCurvePrivateKey):
        point = key.public_key().public_numbers()
        curve = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}[key.curve.name]
        return {"kty": "EC", "crv": curve, "x": number(point.x, SIZES[curve]), "y": number(point.y, SIZES[curve]), **more}
    raw = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return {"kty": "OKP", "crv": "Ed25519", "x": b64(raw), **more}


def jwks(*keys: dict[str, Any]) -> bytes:
    return json.dumps({"keys": keys}).encode()
