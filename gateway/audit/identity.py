"""Rules about who is believed to be asking: where nobody has asked, what proves nothing, and what a client can make up."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from gateway.audit.answers import REFUSING, always_answers, may_refuse
from gateway.audit.strictness import same_service
from gateway.audit.subject import Lane, Subject, settings
from gateway.config.checks import KNOWING
from gateway.config.policy import EntrySettings
from gateway.errors import Mistake

_IN_EXPRESSION = re.compile(r"\{\{[^}]*(?<![\w.'\"])(?:consumer|claims|groups)\b")
SHORTEST = 32
"""Bytes of a secret for tokens (RFC 7518, section 3.2)."""


def unknown_consumer(subject: Subject) -> Iterator[Mistake]:
    """A plugin counts, stores or lets pass by consumer, and none above it says who that is.

    Below `authenticate`, a `signature` that verifies, or `forward_auth` with a `consumer`, the consumer is known; above, all requests are
    nobody's. Move `authenticate` above, or count `by: client`.

        plugins:
          - authorize: {groups: [admin]}
    """
    for lane in subject.lanes:
        for n, entry in enumerate(lane.entries):
            is_known = any(map(_says_who, lane.entries[:n]))
            if not is_known and entry.name not in KNOWING and (entry.name == "authorize" or _asks_who(entry.shown)):
                yield entry.position.mistake("no plugin above says who the consumer is", f"write authenticate above {entry.name}")


def _says_who(entry: EntrySettings) -> bool:
    return entry.name in KNOWING or (entry.name == "signature" and settings(entry).verify is not None)


def _asks_who(shown: Any) -> bool:
    """`by: consumer`, `by: {claim: ...}`, `by: [consumer, route]`, `authorized: per_consumer`, `vary_by: {consumer: true}`,
    `{{ consumer }}`: anywhere in settings."""
    if isinstance(shown, str):
        return _IN_EXPRESSION.search(shown) is not None
    if isinstance(shown, dict):
        return any(
            (key == "by" and _names_consumer(value))
            or (key == "vary_by" and _varies_by_consumer(value))
            or value == "per_consumer"
            or _asks_who(value)
            for key, value in shown.items()
        )
    return isinstance(shown, list) and any(map(_asks_who, shown))


def _names_consumer(by: Any) -> bool:
    words = by if isinstance(by, list) else [by]
    return any(word == "consumer" or (isinstance(word, dict) and "claim" in word) for word in words)


def _varies_by_consumer(by: Any) -> bool:
    return isinstance(by, dict) and bool(by.get("consumer") or by.get("claim"))


def late_authenticate(subject: Subject) -> Iterator[Mistake]:
    """`authenticate` stands below a plugin that may answer with content.

    What a `cache` above it has stored goes out to whoever asks, known or not. Move `authenticate` above.
    """
    told: set[int] = set()
    for lane in subject.lanes:
        for n, entry in enumerate(lane.entries):
            above = [one for one in lane.entries[:n] if _gives_content(one)]
            if entry.name == "authenticate" and above and id(entry) not in told:
                told.add(id(entry))
                yield entry.position.mistake(f"{above[0].name} stands above, and may answer before", f"move it above {above[0].name}")


def _gives_content(entry: EntrySettings) -> bool:
    return may_refuse(entry) and not always_answers(entry) and entry.name not in REFUSING and entry.name not in KNOWING


def weak_secret(subject: Subject) -> Iterator[Mistake]:
    """A secret for tokens is shorter than 32 bytes.

    Whoever has one token can try out secrets as fast as a computer hashes, and a word is found in minutes; then every token can be forged.
    `openssl rand -hex 32` makes one.

        plugins:
          - authenticate: {jwt: {secret: "${JWT_SECRET:-sesame}", algorithms: HS256}}
    """
    for entry, way in _ways(subject):
        if way.jwt is not None and way.jwt.secret and len(way.jwt.secret.encode()) < SHORTEST:
            yield entry.position.mistake(f"the secret for tokens has fewer than {SHORTEST} bytes", "make one: openssl rand -hex 32")


def idle_method(subject: Subject) -> Iterator[Mistake]:
    """A method of authentication accepts nobody, for its secret is empty.

    Safe, and most likely not meant: a variable is not set. Set it, or remove the method.

        plugins:
          - authenticate: {jwt: {secret: "${JWT_SECRET:-}", algorithms: HS256}}
    """
    for entry, way in _ways(subject):
        if way.jwt is not None and way.jwt.secret == "":
            yield entry.position.mistake("the secret for tokens is empty: no token is accepted", "set the variable that it comes from")


def unkept_keys(subject: Subject) -> Iterator[Mistake]:
    """API keys are in a store that forgets them.

    `memory://` ends with the gateway, and every key with it: after a restart all clients are refused. Keep the keys in Redis or Valkey, or
    in a file.

        store: memory://
        plugins:
          - authenticate: {api_key: {store: true}}
    """
    if subject.policy.store.redis is not None:
        return
    for entry, way in _ways(subject):
        if way.api_key is not None and way.api_key.store:
            yield entry.position.mistake("the store is memory://, and a restart forgets all keys", "use a Redis, or api_key: {file: ...}")


def _ways(subject: Subject) -> Iterator[tuple[EntrySettings, Any]]:
    """Every method of every `authenticate`."""
    for entry, _ in subject.entries():
        if entry.name == "authenticate":
            found = settings(entry)
            yield from ((entry, way) for way in found.any or found.all or (found,))


def spoofable_identity(subject: Subject) -> Iterator[Mistake]:
    """A header by which the upstream is told who asks can be made up by clients on another route to it.

    `authenticate` takes such headers off on its own routes. Where it does not stand, what a client sends by that name arrives, and the
    upstream believes it. Write `headers: {request: {remove: [...]}}` in the common list.

        routes:
          - name: leads
            match: /leads/**
            upstream: leads
            plugins:
              - authenticate:
                  jwt: {secret: "${JWT_SECRET:-}", algorithms: HS256}
                  forward: {consumer: X-Consumer}
          - {name: pages, match: /pages/**, upstream: leads}
    """
    for lane in subject.proxied:
        for other in subject.proxied:
            open_ = sorted(_told(other) - _taken_off(lane)) if same_service(lane, other) else []
            if open_:
                why = f"{open_[0]} tells {lane.settings.upstream} who asks, and here a client can make it up"
                yield subject.at(lane.path, why, f"take it off: headers: {{request: {{remove: [{', '.join(open_)}]}}}}")
                break


def _told(lane: Lane) -> set[str]:
    """The headers by which the route tells its upstream who asks."""
    return {name.lower() for entry in lane.entries if entry.name in KNOWING for name in _names(entry)}


def _taken_off(lane: Lane) -> set[str]:
    found = _told(lane)
    for entry in lane.named("headers"):
        found |= {name.lower() for name in (*settings(entry).request.remove, *settings(entry).request.set)}
    return found


def _names(entry: EntrySettings) -> list[str]:
    found = settings(entry)
    if entry.name == "forward_auth":
        return list(found.response_headers)
    forward = found.forward
    return [name for name in (forward.consumer, forward.groups, *forward.claims.values()) if name is not None]
