"""The reply that a record makes: whole, 304 for a client that has it already, or the one range that was asked for."""

from __future__ import annotations

import re

from multidict import istr

from gateway.caching import dates
from gateway.caching.record import Record
from gateway.exchange import Headers, Reply

AGE, DATE = istr("Age"), istr("Date")
IF_NONE_MATCH, IF_MODIFIED_SINCE = istr("If-None-Match"), istr("If-Modified-Since")
RANGE, IF_RANGE = istr("Range"), istr("If-Range")
_OF_BODY = frozenset({"content-type", "content-encoding", "content-language", "content-md5", "content-range", "content-length"})
"""What a 304 need not say of the body that it spares (RFC 9110, section 15.4.5)."""
_ENTITY_TAG = re.compile(r'(?:W/)?("[^"]*")|([^\s,"]+)')
_ONE_RANGE = re.compile(r"bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})", re.ASCII | re.IGNORECASE)


def whole(record: Record, now: float) -> Reply:
    """The record as it is, with its Age. The body is shared."""
    headers = record.headers.copy()
    age = int(now - record.made)
    headers[AGE] = str(age) if age > 0 else "0"
    reply = Reply(record.status, headers, None, reason=record.reason)
    reply.entity = record.entity
    return reply


def answer(record: Record, asked: Headers, now: float) -> Reply:
    """What a GET or HEAD with these fields is answered, by the order of RFC 9110, section 13.2.2."""
    reply = whole(record, now)
    if record.status != 200:
        return reply
    if IF_NONE_MATCH in asked:
        if _matches(record.etag, ",".join(asked.getall(IF_NONE_MATCH))):
            return _not_modified(reply)
    elif IF_MODIFIED_SINCE in asked and _is_unmodified(record, asked[IF_MODIFIED_SINCE], now):
        return _not_modified(reply)
    if RANGE in asked and (IF_RANGE not in asked or _is_the_same(record, asked[IF_RANGE], now)):
        return _part(reply, asked[RANGE])
    return reply


def _matches(etag: str, asked: str) -> bool:
    """The weak comparison (RFC 9110, section 8.8.3.2); `*` matches whatever there is."""
    if asked.strip() == "*":
        return True
    ours = etag.removeprefix("W/")
    return bool(ours) and any((quoted or bare) == ours for quoted, bare in _ENTITY_TAG.findall(asked))


def _is_unmodified(record: Record, since: str, now: float) -> bool:
    """RFC 9111, section 4.3.2: without Last-Modified by its Date, which a record always has."""
    asked = dates.parsed(since, now)
    if asked is None:
        return False
    modified = record.last_modified
    if modified is None:
        modified = dates.parsed(record.headers.get(DATE, ""), now)
    return (record.stored if modified is None else modified) <= asked


def _is_the_same(record: Record, validator: str, now: float) -> bool:
    """If-Range: by a strong entity tag, or by the very date (RFC 9110, section 13.1.5)."""
    if validator.startswith(('"', "W/")):
        return validator == record.etag and not validator.startswith("W/")
    return record.last_modified is not None and dates.parsed(validator, now) == record.last_modified


def _not_modified(reply: Reply) -> Reply:
    headers = Headers([(name, value) for name, value in reply.headers.items() if name.lower() not in _OF_BODY])
    return Reply(304, headers)


def _part(reply: Reply, asked: str) -> Reply:
    """206 for one range, 416 for one that the body does not have (RFC 9110, section 14.2); for several the whole is right, too."""
    match = _ONE_RANGE.fullmatch(asked.strip())
    if match is None or match[1] == match[2] == "":
        return reply
    assert reply.entity is not None
    data = reply.entity.data
    if not match[1]:
        first, last = max(0, len(data) - int(match[2])), len(data) - 1
    else:
        first, last = int(match[1]), min(int(match[2] or len(data)), len(data) - 1)
        if match[2] and int(match[2]) < first:
            return reply  # not valid: as if it were not there
    if first > last:
        return Reply(416, Headers([("Content-Range", f"bytes */{len(data)}"), ("Cache-Control", "no-store")]))
    part = Reply(206, reply.headers, data[first : last + 1])
    part.headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
    return part


NO_CONDITIONS: dict[str, str | None] = {"If-None-Match": None, "If-Modified-Since": None, "Range": None, "If-Range": None}
"""The fields of a request for all there is."""


def validators(record: Record) -> dict[str, str | None]:
    """The fields that ask an origin whether the record still holds, in the place of a client's own (RFC 9111, section 4.3.1)."""
    modified = None if record.last_modified is None else dates.written(record.last_modified)
    return NO_CONDITIONS | {"If-None-Match": record.etag or None, "If-Modified-Since": modified}
