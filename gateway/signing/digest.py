"""Content-Digest (RFC 9530): what ties a body to a signature of the fields."""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Callable, Sequence
from hashlib import sha256, sha512
from typing import Any

from gateway.signing.structured import members

ALGORITHMS: dict[str, Callable[[bytes], Any]] = {"sha-256": sha256, "sha-512": sha512}
"""Those that are good for this; the others of the registry are insecure (RFC 9530, section 5)."""


def content_digest(body: bytes) -> str:
    """The field's value."""
    return f"sha-256=:{b64encode(sha256(body).digest()).decode()}:"


def has_digest(values: Sequence[str], body: bytes) -> bool:
    """Whether the field says of `body` what is so: by one good algorithm at least, and by none something else."""
    try:
        said = {name: member.bytes() for name, member in members(", ".join(values)).items() if name in ALGORITHMS}
    except ValueError:
        return False
    return bool(said) and all(hmac.compare_digest(ALGORITHMS[name](body).digest(), digest) for name, digest in said.items())
