"""Rules about what is cached: a cache that keeps nothing."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.audit.subject import Subject, settings
from gateway.errors import Mistake


def idle_cache(subject: Subject) -> Iterator[Mistake]:
    """A cache with a `ttl` stands below an `authenticate`, and keeps no answer.

    Whoever is known has answers of his own, and with `authorized: refuse`, the default, those are not kept. Write
    `authorized: per_consumer`, or `share` where all who may ask get the same.

        routes:
          - name: leads
            match: /leads
            upstream: leads
            plugins:
              - authenticate: {jwt: {secret: "${JWT_SECRET:-}", algorithms: HS256}}
              - cache: 5m
    """
    told: set[int] = set()
    for lane in subject.lanes:
        for n, entry in enumerate(lane.entries):
            if entry.name != "cache" or id(entry) in told:
                continue
            is_known = any(one.name == "authenticate" and one.mode == "enforce" and not settings(one).optional for one in lane.entries[:n])
            found = settings(entry)
            if is_known and found.ttl is not None and found.authorized == "refuse" and not found.is_per_consumer:
                told.add(id(entry))
                yield entry.position.mistake(
                    "everybody who comes here is known, and no answer is kept", "write authorized: per_consumer, or share"
                )
