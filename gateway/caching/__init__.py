"""A shared HTTP cache (RFC 9111): its rules without I/O, and the memory that keeps what they let be kept. Behind `gateway.plugin`."""

from __future__ import annotations

from gateway.caching.answering import NO_CONDITIONS, answer, validators, whole
from gateway.caching.contract import Cache, Lease
from gateway.caching.copying import Copied
from gateway.caching.deciding import bridges, decide
from gateway.caching.flights import Flights
from gateway.caching.invalidation import SAFE, invalidated
from gateway.caching.keys import digest, origin
from gateway.caching.marks import ROUTE, TAG
from gateway.caching.record import Record, Records
from gateway.caching.settings import CacheSettings
from gateway.caching.shelf import Shelf
from gateway.caching.status import CACHE, append
from gateway.caching.storing import Draft, Request, draft, is_like, is_same, refreshed
from gateway.caching.tags import NO_TAGS, OriginTags, Tag, hide, of_origin
from gateway.caching.values import Values
from gateway.caching.vary import select
from gateway.caching.wishes import Wishes, wishes

__all__ = [
    "CACHE",
    "NO_CONDITIONS",
    "NO_TAGS",
    "ROUTE",
    "SAFE",
    "TAG",
    "Cache",
    "CacheSettings",
    "Copied",
    "Draft",
    "Flights",
    "Lease",
    "OriginTags",
    "Record",
    "Records",
    "Request",
    "Shelf",
    "Tag",
    "Values",
    "Wishes",
    "answer",
    "append",
    "bridges",
    "decide",
    "digest",
    "draft",
    "hide",
    "invalidated",
    "is_like",
    "is_same",
    "of_origin",
    "origin",
    "refreshed",
    "select",
    "validators",
    "whole",
    "wishes",
]
