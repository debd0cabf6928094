"""What runs inside Redis. Each script is made of files beside this one."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha1
from importlib.resources import files

VERSION = 1
"""Part of the keys: a state that another version of these scripts wrote is never read."""


@dataclass(frozen=True, slots=True)
class Script:
    """Its source, and the digest by which Redis knows it."""

    source: str
    sha: bytes


def script(source: str) -> Script:
    return Script(source, sha1(source.encode(), usedforsecurity=False).hexdigest().encode())


def _script(*names: str) -> Script:
    return script("\n".join((files(__name__) / f"{name}.lua").read_text("utf-8") for name in names))


LIMITS = _script("ours", "sliding", "log", "token_bucket", "fixed", "limits")
LEASE = _script("lease")
RENEW = _script("renew")
BEAT = _script("beat")
MEMBER = _script("member")
SWAP = _script("swap")
PURGE = _script("purge")
EPOCHS = _script("epochs")
KEEP = _script("keep")
YIELD = _script("yield")
ALL = (LIMITS, LEASE, RENEW, BEAT, MEMBER, SWAP, PURGE, EPOCHS, KEEP, YIELD)
"""Each has a twin in gateway.store.hosted."""
