"""A shared HTTP cache (RFC 9111): its rules without I/O, and the memory that keeps what they let be kept. Behind `gateway.plugin`."""

from __future__ import annotations

from gateway.caching.answering import NO_CONDITIONS, answer, validators, whole
from gateway.caching.contract import Cache, Lease
from gateway.caching.copying import Copied
from gateway.caching.deciding import bridges, decide
from gateway.caching.flights import Flights
from gateway.caching.invalidation import SAFE, invalidated
from gateway.caching.keys import Parts, cookies, digest, has_query, key_of, origin, target_of
from gateway.caching.marks import ROUTE, TAG, marks
from gateway.caching.record import Record, Records
from gateway.caching.status import CACHE, append
from gateway.caching.storing import TARGETS, Draft, Request, Rule, draft, is_like, is_same, refreshed
from gateway.caching.tags import GROUPS, Tag, bounded, groups, hide, of_origin
from gateway.caching.values import Values
from gateway.caching.vary import chosen_by, select
from gateway.caching.wishes import Wishes, wishes

__all__ = [
    "CACHE",
    "GROUPS",
    "NO_CONDITIONS",
    "ROUTE",
    "SAFE",
    "TAG",
    "TARGETS",
    "Cache",
    "Copied",
    "Draft",
    "Flights",
    "Lease",
    "Parts",
    "Record",
    "Records",
    "Request",
    "Rule",
    "Tag",
    "Values",
    "Wishes",
    "answer",
    "append",
    "bounded",
    "bridges",
    "chosen_by",
    "cookies",
    "decide",
    "digest",
    "draft",
    "groups",
    "has_query",
    "hide",
    "invalidated",
    "is_like",
    "is_same",
    "key_of",
    "marks",
    "of_origin",
    "origin",
    "refreshed",
    "select",
    "target_of",
    "validators",
    "whole",
    "wishes",
]
