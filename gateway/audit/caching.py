"""Rules about what is cached: a cache that keeps nothing, a purge of what is not there."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gateway.audit.subject import Subject, settings
from gateway.config.shape import nearest
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


def purge_of_nothing(subject: Subject) -> Iterator[Mistake]:
    """A `purge` names a tag that no `cache` gives its answers.

    Nothing has it, so nothing is purged, and what has changed is not seen before its time. Write the tag as the `cache` does, its
    placeholders by what fills them: `lead:{id}` there is purged by `lead:{id}`, by `lead:{body.id}`, and by `lead:{lead}` where the path
    calls it so. Where upstreams tag their answers themselves (`Surrogate-Key`, `Cache-Tag`), accept this.

        routes:
          - match: GET /leads
            upstream: leads
            plugins: [cache: {tags: leads}]
          - match: POST /leads
            upstream: leads
            plugins: [purge: lead]
    """
    entries = {id(entry): entry for lane in subject.lanes for entry in lane.entries}.values()
    given = {tag for entry in entries if entry.name == "cache" for tag in settings(entry).tags}
    forms = {_form(tag) for tag in given}
    for entry in entries:
        for tag in settings(entry).tags if entry.name == "purge" else ():
            if _form(tag) not in forms:
                hint = nearest(tag, sorted(given)) or "give it to a cache by tags, or accept this where upstreams tag their answers"
                yield entry.position.mistake(f'no cache gives its answers the tag "{tag}"', hint)


def _form(tag: str) -> str:
    """A tag whatever fills its placeholders."""
    return re.sub(r"\{[^}]*\}", "{}", tag)
