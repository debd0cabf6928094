"""Rules about plugins that protect, and that something else in the policy takes the ground from."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.audit.subject import Lane, Subject, settings
from gateway.config.policy import EntrySettings
from gateway.errors import Mistake

SAFE = frozenset(("GET", "HEAD", "OPTIONS"))


def endless_redirect(subject: Subject) -> Iterator[Mistake]:
    """`https_only` sends clients to https, and nothing here ever counts as https.

    No listener speaks TLS, and no proxy is trusted to say that it did: also what came by https is redirected, for ever. Name the proxy that
    ends TLS in `server.trusted_proxies`, or write a listener with `tls`.

        plugins:
          - https_only
    """
    server = subject.policy.server
    if server.trusted_proxies or any(listener.tls is not None for listener in server.listen):
        return
    for entry, _ in subject.entries():
        if entry.name == "https_only" and entry.mode == "enforce":
            why = "no request can count as https: no listener has tls, and no proxy is trusted"
            yield entry.position.mistake(why, "name the proxy that ends TLS in server.trusted_proxies")


def replayed_unchanged(subject: Subject) -> Iterator[Mistake]:
    """A plugin below `idempotency` changes bodies on their way to the client.

    What is kept is the answer as it comes to `idempotency`, before its body is sent: given again, it has the fields of the change, and the
    body without it. Move `idempotency` below.
    """
    told: set[int] = set()
    for lane in subject.lanes:
        for n, entry in enumerate(lane.entries):
            below = [one for one in lane.entries[n + 1 :] if {"on_chunk", "on_body_end"} & {*one.hooks}]
            if entry.name == "idempotency" and below and id(entry) not in told:
                told.add(id(entry))
                why = f"{below[0].name} below changes bodies, and an answer that is given again is without that"
                yield entry.position.mistake(why, f"move it below {below[0].name}")


def unguarded_cookie(subject: Subject) -> Iterator[Mistake]:
    """A route that changes things knows its callers by a cookie, and has no `csrf`.

    Browsers send cookies whichever page makes the request: a page of another site acts as its visitor. Write `csrf` above `authenticate`.

        routes:
          - name: leads
            match: POST /leads
            upstream: leads
            plugins: [authenticate: {jwt: {secret: "${JWT_SECRET:-}", algorithms: HS256, cookie: session}}]
    """
    told: set[int] = set()
    for lane in subject.proxied:
        for entry in lane.named("authenticate"):
            if _takes_cookies(entry) and _changes_things(lane) and not lane.named("csrf") and id(entry) not in told:
                told.add(id(entry))
                yield entry.position.mistake(
                    "it takes a cookie for who asks, and no csrf looks at where that comes from", "write csrf above it"
                )


def _takes_cookies(entry: EntrySettings) -> bool:
    found = settings(entry)
    return any(way.jwt is not None and way.jwt.cookie for way in found.any or found.all or (found,))


def _changes_things(lane: Lane) -> bool:
    return not lane.route.methods or not SAFE.issuperset(lane.route.methods)
