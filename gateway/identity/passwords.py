"""Passwords as they are kept: slow hashes with a salt, of three kinds that others make too."""

from __future__ import annotations

import hashlib
import hmac
import importlib
import re
import secrets
from base64 import b64decode, b64encode
from collections.abc import Callable
from typing import Any

Check = Callable[[bytes], bool]
"""Whether a password is the one; takes tens of milliseconds."""

COST = 15  # ln: 2**15 blocks of 8 KiB / 8, 32 MiB and some 60 ms for one look
MEMORY = 256 << 20  # bytes that one look may take: a line in a file must not take the machine

_SCRYPT = re.compile(r"\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]{11,88})\$([A-Za-z0-9+/]{43,88})")
_BCRYPT = re.compile(r"\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}")
_ARGON2 = re.compile(r"\$argon2(?:id|i|d)\$v=\d+\$m=(\d{1,9}),t=\d{1,3},p=\d{1,3}\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+")


def hashed(password: str) -> str:
    """In the PHC form, by scrypt: the kind that needs nothing but Python."""
    salt = secrets.token_bytes(16)
    value = _scrypt(password.encode(), salt, COST, 8, 1, 32)
    return f"$scrypt$ln={COST},r=8,p=1${_base64(salt)}${_base64(value)}"


def check_of(kept: str) -> Check:
    """How to compare with what is kept. Raises ValueError, which does not repeat it, when it is none of the three."""
    if (form := _SCRYPT.fullmatch(kept)) is not None:
        ln, r, p = int(form[1]), int(form[2]), int(form[3])
        if not (ln >= 1 and r and p and 128 * r * (p + (1 << ln)) <= MEMORY):
            raise ValueError(f"its scrypt would take more than {MEMORY >> 20} MiB")
        return _check_scrypt(ln, r, p, _bytes(form[4]), _bytes(form[5]))
    if _BCRYPT.fullmatch(kept) is not None:
        bcrypt = _library("bcrypt")
        return lambda password: bool(len(password) <= 72 and bcrypt.checkpw(password, kept.encode()))  # bcrypt looks no further
    if (form := _ARGON2.fullmatch(kept)) is not None:
        if int(form[1]) << 10 > MEMORY:
            raise ValueError(f"its argon2 would take more than {MEMORY >> 20} MiB")
        return _check_argon2(kept)
    raise ValueError("it is no hash of scrypt, bcrypt or argon2; `gateway password` makes one")


def _check_scrypt(ln: int, r: int, p: int, salt: bytes, value: bytes) -> Check:
    return lambda password: hmac.compare_digest(_scrypt(password, salt, ln, r, p, len(value)), value)


def _check_argon2(kept: str) -> Check:
    argon2 = _library("argon2")
    hasher = argon2.PasswordHasher()

    def check(password: bytes) -> bool:
        try:
            return bool(hasher.verify(kept, password))
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
            return False

    return check


def _scrypt(password: bytes, salt: bytes, ln: int, r: int, p: int, length: int) -> bytes:
    return hashlib.scrypt(password, salt=salt, n=1 << ln, r=r, p=p, maxmem=MEMORY + (1 << 20), dklen=length)


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise ValueError(f"{name} is needed for it, and not installed; pip install 'gateway[passwords]'") from None


def _base64(data: bytes) -> str:
    return b64encode(data).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    return b64decode(text + "=" * (-len(text) % 4))
