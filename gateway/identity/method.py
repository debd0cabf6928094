"""What the methods of authentication have in common: a credential in a request, and the identity that it proves, or not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from gateway.exchange import NO_PARAMS, Exchange, Headers

REALM = "gateway"


class Identity:
    """Who asks. One object for each key, user or token, shared by all requests that prove it."""

    __slots__ = ("claims", "consumer", "fields", "groups")

    def __init__(self, consumer: str, groups: tuple[str, ...] = (), claims: Mapping[str, Any] = NO_PARAMS) -> None:
        self.consumer = consumer
        self.groups = groups
        self.claims = claims
        self.fields: Headers | None = None  # what the upstream is told of it, made when first told


class Refusal(NamedTuple):
    """A credential that proves nothing: a value, not an exception, for it is no accident."""

    reason: str  # for the log alone
    is_outage: bool = False  # not the client's fault: a 503, never a 401


class Method:
    """One way to authenticate. `find` and `check` are asked for every request that comes so far."""

    challenge = ""
    """WWW-Authenticate when no credential came (RFC 9110, section 11.6.1)."""
    challenge_again = ""
    """The same when one came and was refused."""
    challenge_scope = ""
    """The same when one was good, and not for this; empty: nothing more to say than 403."""
    later = ""
    """What `check_later` does, for those who ask what would happen."""

    def find(self, ex: Exchange) -> str | None:
        """The credential in the request; None when there is none of this kind. One that is empty or ambiguous is found, and refused."""
        raise NotImplementedError

    def check(self, credential: str) -> Identity | Refusal | None:
        """At once, and without effects; None when that cannot be said without waiting."""
        raise NotImplementedError

    async def check_later(self, credential: str) -> Identity | Refusal:
        """The same, however long it takes. Awaits nothing but futures."""
        raise NotImplementedError

    def strip(self, ex: Exchange) -> None:
        """Take what only the gateway needs to know off what goes upstream."""

    async def start(self) -> None:
        """Before the first request, in the loop."""
