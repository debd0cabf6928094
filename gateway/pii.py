"""Values that nobody shall read in logs, spans and debug output: of the fields a policy names, and of those that hold secrets anyway."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache, partial
from typing import Any
from urllib.parse import unquote_plus

MASKED = "[redacted]"
MASKED_IN_URL = "REDACTED"
"""The word of OpenTelemetry's semantic conventions for url.query and url.full."""
SECRETS = frozenset(
    {
        "access_token", "api_key", "apikey", "authorization", "client_secret", "cookie", "id_token", "password", "passwd",
        "refresh_token", "secret", "set-cookie", "sig", "signature", "token",
        "awsaccesskeyid", "x-amz-credential", "x-amz-security-token", "x-amz-signature", "x-goog-signature",
    }
)  # fmt: skip
"""Masked whatever the policy says; the last line and `sig` are the conventions' own."""
NAMES = 128
"""Of fields, that are remembered as hidden or not. A client may have made them, of 8 KiB each."""
DEEPEST = 8
"""Levels of a value that are looked into: one may hold itself."""
_ATOMS = (str, int, float, type(None))  # asked for first: whether a text is a Mapping takes a microsecond to find out
_PARTS = re.compile(r"[\[\].]+")


class Mask:
    """`names` are compared without case; `user[email]` and `user.email` count as `email`. Text that merely holds one is not searched."""

    __slots__ = ("hides",)

    hides: Callable[[str], bool]
    """Whether the values of this name are hidden."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self.hides = lru_cache(maxsize=NAMES)(partial(_hides, SECRETS.union(name.lower() for name in names)))

    def query(self, query: str) -> str:
        """A query as it was sent, but for the values that are hidden."""
        if "=" not in query:
            return query
        return "&".join([self._pair(pair) for pair in query.split("&")])

    def _pair(self, pair: str) -> str:
        name, _, value = pair.partition("=")
        return f"{name}={MASKED_IN_URL}" if value and self.hides(unquote_plus(name)) else pair

    def path(self, path: str, params: Mapping[str, str]) -> str:
        """A path without the hidden ones of its parameters, which are the values of `params` in it."""
        for name, value in params.items():
            if value and self.hides(name):
                path = "/".join([MASKED_IN_URL if segment == value else segment for segment in path.split("/")])
        return path

    def fields(self, fields: Mapping[Any, Any], depth: int = DEEPEST) -> dict[Any, Any]:
        """The same fields, such as those of a note or of a JSON object, with hidden values masked, and all that is too deep to be seen."""
        return {name: MASKED if self.hides(str(name)) else self._value(value, depth) for name, value in fields.items()}

    def _value(self, value: Any, depth: int) -> Any:
        if isinstance(value, _ATOMS):
            return value
        if isinstance(value, list | tuple):
            return [self._value(item, depth - 1) for item in value] if depth else MASKED
        if isinstance(value, Mapping):
            return self.fields(value, depth - 1) if depth else MASKED
        return value


def _hides(names: frozenset[str], name: str) -> bool:
    name = name.lower()
    return name in names or not (name.isidentifier() or names.isdisjoint(_PARTS.split(name)))
