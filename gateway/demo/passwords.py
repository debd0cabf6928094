"""Passwords are kept as salted scrypt (RFC 7914); a login gets a JSON Web Token (RFC 7519) signed with HS256."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os


def hashed(password: str) -> str:
    salt = os.urandom(16)
    return f"{salt.hex()}${_scrypt(password, salt).hex()}"


def matches(password: str, kept: str) -> bool:
    salt, _, digest = kept.partition("$")
    return hmac.compare_digest(_scrypt(password, bytes.fromhex(salt)).hex(), digest)


def _scrypt(password: str, salt: bytes) -> bytes:
    # 4 MiB and some 10 ms: a demo's price, well below what real accounts deserve (RFC 7914, section 2).
    return hashlib.scrypt(password.encode(), salt=salt, n=1 << 12, r=8, p=1)


def token(claims: dict[str, object], secret: bytes) -> str:
    """The compact form (RFC 7515, section 3.1): three base64url parts with dots between."""
    signed = f"{_part(json.dumps({'alg': 'HS256', 'typ': 'JWT'}).encode())}.{_part(json.dumps(claims).encode())}"
    return f"{signed}.{_part(hmac.digest(secret, signed.encode(), 'sha256'))}"


def _part(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
