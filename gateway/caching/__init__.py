"""A shared HTTP cache (RFC 9111): its rules without I/O, and the memory that keeps what they let be kept. Behind `gateway.plugin`."""

from __future__ import annotations

from gateway.caching.contract import Cache, Lease
from gateway.caching.deciding import ERRORS, bridges, decide
from gateway.caching.invalidation import SAFE, invalidated
from gateway.caching.keys import digest, origin
from gateway.caching.marks import ROUTE, TAG
from gateway.caching.record import Record, Records
from gateway.caching.settings import CacheSettings
from gateway.caching.shelf import Shelf
from gateway.caching.storing import Request, is_same
from gateway.caching.tags import Tag, hide
from gateway.caching.traffic.admission import Admission
from gateway.caching.traffic.asking import Asking
from gateway.caching.traffic.fill import Fill
from gateway.caching.traffic.keeping import Keeping
from gateway.caching.traffic.refreshing import Refreshing
from gateway.caching.traffic.replying import OUTCOMES, Counts, Replying
from gateway.caching.values import Values
from gateway.caching.vary import select

__all__ = [
    "ERRORS",
    "OUTCOMES",
    "ROUTE",
    "SAFE",
    "TAG",
    "Admission",
    "Asking",
    "Cache",
    "CacheSettings",
    "Counts",
    "Fill",
    "Keeping",
    "Lease",
    "Record",
    "Records",
    "Refreshing",
    "Replying",
    "Request",
    "Shelf",
    "Tag",
    "Values",
    "bridges",
    "decide",
    "digest",
    "hide",
    "invalidated",
    "is_same",
    "origin",
    "select",
]
