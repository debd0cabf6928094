"""What a token says: a claim by its name, and whether it holds what a policy asks for."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


def claim(claims: Mapping[str, Any], name: str) -> Any:
    """The claim of this name, or what stands at it as a path (`realm_access.roles`); None when there is neither."""
    found: Any = claims.get(name)
    if found is None and "." in name:
        found = claims
        for step in name.split("."):
            found = found.get(step) if isinstance(found, Mapping) else None
    return found


def texts(value: Any) -> tuple[str, ...]:
    """Groups of a claim: a list of texts, or one text with blanks between them, as a scope has it (RFC 8693, section 4.2)."""
    if isinstance(value, str):
        return tuple(value.split())
    return tuple(one for one in value if isinstance(one, str) and one) if isinstance(value, list) else ()


def name_of(value: Any) -> str:
    """A consumer's name of a claim, a text or a whole number; "" when it is neither."""
    return value if isinstance(value, str) else str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def holds(claims: Mapping[str, Any], name: str, wanted: Iterable[Any]) -> bool:
    """Whether the claim is one of these values, or a list that has one of them. True is not 1 here, nor "1"."""
    value = claim(claims, name)
    values = value if isinstance(value, list) else [value]
    return any(type(one) is type(other) and one == other for one in values for other in wanted)


@dataclass(frozen=True, slots=True)
class Rules:
    """What the registered claims of a token must say (RFC 7519, section 4.1)."""

    iss: frozenset[str]  # empty: whoever
    aud: frozenset[str]  # empty: the token must name no audience
    required: tuple[str, ...]
    leeway: float  # seconds that two clocks may differ

    def violated(self, claims: Mapping[str, Any], now: float) -> str:
        """Why the token is refused at `now`, seconds since 1970; "" when it is not."""
        for name in self.required:
            if name not in claims:
                return f"the token has no {name}"
        for name in ("exp", "nbf", "iat"):
            if name in claims and not _is_date(claims[name]):
                return f"its {name} is no date"
        if "exp" in claims and claims["exp"] + self.leeway <= now:
            return "the token has expired"
        if "nbf" in claims and claims["nbf"] - self.leeway > now:
            return "the token is not valid yet"
        if self.iss and not (isinstance(issuer := claims.get("iss"), str) and issuer in self.iss):
            return "the token is of another issuer"
        return self._audience(claims)

    def _audience(self, claims: Mapping[str, Any]) -> str:
        audience = claims.get("aud")
        named = [audience] if isinstance(audience, str) else audience
        if named is None:
            return "the token has no aud" if self.aud else ""
        if not isinstance(named, list) or not all(isinstance(one, str) for one in named):
            return "its aud is neither a text nor a list of texts"
        if not self.aud:
            return "the token is for an audience, and the policy names none: write aud"  # section 4.1.3 has no choice here
        return "" if self.aud.intersection(named) else "the token is for another audience"


def _is_date(value: Any) -> bool:
    """A NumericDate (RFC 7519, section 2). What a double cannot tell apart any more is none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and abs(value) < 1 << 53
