"""A stored answer, parsed once when it was stored: a hit compares numbers and parses nothing.

Times are Unix time in seconds, as `Host.time` counts it: records travel between gateways.
"""

from __future__ import annotations

from gateway.exchange import Entity, Headers

Fields = tuple[tuple[str, str], ...]
"""Header fields in their order."""

OVERHEAD = 1000
"""Bytes that a record takes beside its body and the text of its fields: objects, queues, dict."""
PER_FIELD = 160
"""Bytes of one field beside its text: two texts, and their place among the fields."""


class Record:
    """One answer to one variant of a request.

    Nothing of it changes but `hits`, `checked` and `fresh_until`, which only ever comes nearer (a soft purge). A 304 makes another record.
    """

    __slots__ = (
        "checked",
        "entity",
        "etag",
        "fresh_until",
        "headers",
        "hits",
        "is_strict",
        "last_modified",
        "made",
        "marks",
        "reason",
        "route",
        "sie",
        "size",
        "stamp",
        "status",
        "stored",
        "swr",
        "vary",
    )

    def __init__(
        self,
        status: int,
        fields: Fields,
        entity: Entity,
        *,
        reason: str = "",
        made: float,
        stored: float,
        fresh_until: float,
        swr: float = 0.0,
        sie: float = 0.0,
        is_strict: bool = False,
        vary: tuple[tuple[str, str | None], ...] = (),
        etag: str = "",
        last_modified: float | None = None,
        marks: tuple[str, ...] = (),
        stamp: int = 0,
        route: str = "",
    ) -> None:
        self.status = status
        self.headers = Headers(fields)  # as they are sent, Date among them, but for Age; each reply has a copy, which costs a tenth
        self.entity = entity  # with its encoded forms
        self.reason = reason
        self.made = made  # when its age was 0 (RFC 9111, section 4.2.3)
        self.stored = stored  # when it came
        self.fresh_until = fresh_until
        self.swr = swr  # seconds beyond that in which it is served while it is asked for anew (RFC 5861, section 3)
        self.sie = sie  # seconds beyond that in which it stands in for an error (RFC 5861, section 4)
        self.is_strict = is_strict  # never served stale: must-revalidate, proxy-revalidate, s-maxage, no-cache
        self.vary = vary  # what it was chosen by: (field name in lower case, its normalised value; None: absent)
        self.etag = etag  # as sent, with W/ and quotes; "" when it has none
        self.last_modified = last_modified
        self.marks = marks  # all that it can be purged by: see `gateway.caching.marks`
        self.stamp = stamp  # Epochs.stamp() when its request left for the origin
        self.route = route
        self.hits = 0
        self.checked = -1  # Epochs.version when its marks were last found not purged
        self.size = OVERHEAD + len(entity.data) + sum([PER_FIELD + len(name) + len(value) for name, value in fields])

    @property
    def fields(self) -> Fields:
        return tuple(self.headers.items())

    @property
    def held(self) -> int:
        """Bytes, with those of the encoded forms that have been made of its body since."""
        return self.size + sum([len(encoded) for encoded in self.entity.encoded.values()])

    @property
    def useful_until(self) -> float:
        """When nothing can be done with it any more: neither served, nor validated."""
        kept = 0.0 if not self.etag and self.last_modified is None else max(VALIDATED, self.fresh_until - self.made)
        return self.fresh_until + max(self.swr, self.sie, kept)


VALIDATED = 600.0
"""Seconds that a stale record with a validator is kept at least: a 304 costs the upstream less than an answer."""

Records = tuple[Record, ...]
"""The variants of one key, the newest first."""
MOST_VARIANTS = 16
"""Of one key. A Vary by what every client has of its own would else fill the memory with one page."""


def with_variant(records: Records, record: Record) -> Records:
    """`record` in front, in the place of the one that was chosen by the same."""
    return (record, *[one for one in records if one.vary != record.vary][: MOST_VARIANTS - 1])
