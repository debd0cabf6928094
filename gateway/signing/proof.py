"""What a good signature proves, and the secrets that make one."""

from __future__ import annotations

import hmac
from base64 import b64decode
from collections.abc import Iterable, Mapping
from typing import NamedTuple

PREFIX = "whsec_"
"""Of a secret that is written in base64 (Standard Webhooks)."""


class Proof(NamedTuple):
    """A signature that was made with a secret of ours."""

    key: str  # its name in the policy
    signature: bytes  # the same only for the same message, signed at the same second
    made: int  # Unix time


class Secrets:
    """Secrets by the names of their keys. A key has several while one is being replaced: all count."""

    def __init__(self, keys: Mapping[str, Iterable[str]]) -> None:
        """Raises ValueError for a secret with the prefix whsec_ that is not base64."""
        self._keys = {name: tuple(secret_bytes(secret) for secret in secrets) for name, secrets in keys.items()}

    def names(self) -> tuple[str, ...]:
        return tuple(self._keys)

    def made(self, key: str, base: bytes, signature: bytes) -> bool:
        """Whether a secret of `key` signed `base` so; the time this takes tells nothing of where it differs."""
        found = [hmac.compare_digest(hmac.digest(secret, base, "sha256"), signature) for secret in self._keys.get(key, ())]
        return any(found)


def secret_bytes(text: str) -> bytes:
    """Raises ValueError."""
    if not text.startswith(PREFIX):
        return text.encode()
    try:
        secret = b64decode(text.removeprefix(PREFIX), validate=True)
    except ValueError as error:
        raise ValueError(f"after {PREFIX} stands base64") from error
    if len(secret) < 16:
        raise ValueError("a secret has 16 bytes or more; make one: openssl rand -base64 32")
    return secret


def fresh(made: int, now: float, window: float) -> None:
    """Raises ValueError for a time that is more than `window` seconds from now, on either side: clocks differ."""
    if made < now - window:
        raise ValueError("it is too old")
    if made > now + window:
        raise ValueError("it is of the future")
