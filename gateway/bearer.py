"""`Authorization: Bearer TOKEN` (RFC 6750, section 2.1) against the one token that is right."""

from __future__ import annotations

import hmac
from collections.abc import Sequence

CHALLENGE = ("WWW-Authenticate", 'Bearer realm="gateway"')
"""For a 401."""


def has_token(sent: Sequence[str], token: str) -> bool:
    """Whether the values of Authorization are this token, once. The time that takes tells nothing of where it differs."""
    scheme, _, credentials = (sent[0] if len(sent) == 1 else "").partition(" ")
    is_right = hmac.compare_digest(credentials.strip().encode(errors="surrogateescape"), token.encode())
    return is_right and scheme.lower() == "bearer"
