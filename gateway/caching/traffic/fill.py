"""A request on its way to the upstream, and what its answer is needed for."""

from __future__ import annotations

from gateway.caching.contract import Lease
from gateway.caching.record import Record
from gateway.caching.storing import Request
from gateway.caching.wishes import Wishes


class Fill:
    __slots__ = ("asked", "fields", "flight", "key", "leads", "lease", "record", "why", "wished")

    def __init__(self, key: str, why: str, asked: Request, wished: Wishes | None) -> None:
        self.key = key  # "" when it only passes
        self.flight = key  # what its answer is shared under
        self.why = why  # it was not a hit, in the words of RFC 9211
        self.asked = asked
        self.wished = wished
        self.record: Record | None = None  # what is stored already, and stale
        self.fields: dict[str, str | None] | None = None  # of the request for the upstream, in the place of the client's
        self.leads = False
        self.lease: Lease | None = None
