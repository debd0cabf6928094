"""A policy as it may be shown to whoever operates the gateway: the values in force, and none that is a secret."""

from __future__ import annotations

import re
from typing import Any

from gateway.config.document import Document
from gateway.config.interpolation import Secret
from gateway.config.position import Path

MASK = "***"
"""Stands for a secret that is written in the policy itself."""

_SECRET = re.compile(
    r"(?:.*[_-])?(?:password|passwd|secret|token|credential|private[_-]?key|api[_-]?key|key|authorization|cookie|dsn|pin)s?", re.IGNORECASE
)
_PUBLIC = re.compile(r"(?:.*[_-])?(?:public|idempotency|cache|sort|partition|routing|x-csrf)[_-](?:key|token)s?", re.IGNORECASE)
_FILE = re.compile(r"[\w./-]+\.(?:cert|crt|json|key|pem|txt|ya?ml)")
_PLACEHOLDER = re.compile(r"\{\w+\}")
_REFERENCE = re.compile(r"(?:[A-Za-z]+ )?\$\{(?:file:[^}]+|\w+)\}")
_MEASURE = re.compile(r"[0-9][0-9.]{0,15} ?(?:[A-Za-z]{0,3}|%|/[smhd])")
_USERINFO = re.compile(r"(?<=//)[^/@\s]+(?=@)")


def is_secret_key(key: str) -> bool:
    """Whether a text below this key is a secret, by the key's name."""
    return _SECRET.fullmatch(key) is not None and _PUBLIC.fullmatch(key) is None


def is_secret_text(text: str) -> bool:
    """Whether a text below such a key can be one: neither empty, nor the name of a file, nor a placeholder for what a request holds."""
    return bool(text) and not _FILE.fullmatch(text) and not _PLACEHOLDER.fullmatch(text)


def masked(document: Document) -> Any:
    """The policy with every default and merge filled in.

    Below a key with a secret's name no text is shown. Elsewhere numbers, durations and the like are shown as they came from the
    environment, for those are what one asks for; other texts of the environment, and all that files hold, read as they are written.
    """
    return _masked(document, document.value, (), False)


def _masked(document: Document, value: Any, path: Path, is_secret: bool) -> Any:
    if isinstance(value, dict):
        return {key: _masked(document, inner, (*path, key), is_secret or is_secret_key(key)) for key, inner in value.items()}
    if isinstance(value, list):
        return [_masked(document, inner, (*path, n), is_secret) for n, inner in enumerate(value)]
    secrets = document.taken(path)
    shown = document.shown(path) if secrets else value
    if is_secret:
        is_open = not isinstance(shown, str) or not is_secret_text(shown) or _REFERENCE.fullmatch(shown) is not None
        return shown if is_open else MASK
    if secrets and _is_measure(value) and not any(map(_is_hidden, secrets)):
        return value
    return _USERINFO.sub(MASK, shown) if isinstance(shown, str) else shown


def _is_measure(value: Any) -> bool:
    return not isinstance(value, str) or _MEASURE.fullmatch(value) is not None


def _is_hidden(secret: Secret) -> bool:
    """One from a file, or from a variable with a secret's name."""
    name = secret[1].strip("${}")
    return name.startswith("file:") or is_secret_key(name)
