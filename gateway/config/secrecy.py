"""Which keys of a policy hold secrets, by their names."""

from __future__ import annotations

import re

_SECRET = re.compile(
    r"(?:.*[_-])?(?:password|passwd|secret|token|credential|private[_-]?key|api[_-]?key|key|authorization|cookie|dsn|pin)s?", re.IGNORECASE
)
_PUBLIC = re.compile(r"(?:.*[_-])?(?:public|idempotency|cache|sort|partition|routing|x-csrf)[_-](?:key|token)s?", re.IGNORECASE)
_FILE = re.compile(r"[\w./-]+\.(?:cert|crt|json|key|pem|txt|ya?ml)")
_PLACEHOLDER = re.compile(r"\{\w+\}")


def is_secret_key(key: str) -> bool:
    """Whether a text below this key is a secret, by the key's name."""
    return _SECRET.fullmatch(key) is not None and _PUBLIC.fullmatch(key) is None


def is_secret_text(text: str) -> bool:
    """Whether a text below such a key can be one: neither empty, nor the name of a file, nor a placeholder for what a request holds."""
    return bool(text) and not _FILE.fullmatch(text) and not _PLACEHOLDER.fullmatch(text)
