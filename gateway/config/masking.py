"""A policy as it may be shown to whoever operates the gateway: the values in force, and none that is a secret."""

from __future__ import annotations

import re
from typing import Any

from gateway.config.document import Document
from gateway.config.interpolation import Secret
from gateway.config.position import Path
from gateway.config.secrecy import is_secret_key, is_secret_text

MASK = "***"
"""Stands for a secret that is written in the policy itself."""

_REFERENCE = re.compile(r"(?:[A-Za-z]+ )?\$\{(?:file:[^}]+|\w+)\}")
_MEASURE = re.compile(r"[0-9][0-9.]{0,15} ?(?:[A-Za-z]{0,3}|%|/[smhd])")
_USERINFO = re.compile(r"(?<=//)[^/@\s]+(?=@)")


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
