"""Rules about limits: missing ones, those that can be evaded, and those that hit the wrong requests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gateway.audit.answers import always_answers
from gateway.audit.subject import Subject, settings
from gateway.audit.witness import Witnesses, taker
from gateway.by import verified
from gateway.errors import Mistake

LARGE = 64 << 20
"""Bytes. Who needs larger bodies on some route says so there; for every route it is an invitation."""


def no_rate_limit(subject: Subject) -> Iterator[Mistake]:
    """No route to an upstream has a rate limit.

    One client, or one bug in one client, can use up the service for all others. A generous limit for every route is a beginning.

        routes:
          - {name: leads, match: /leads, upstream: leads}
    """
    if subject.proxied and not any(lane.named("rate_limit") for lane in subject.proxied):
        hint = "write, below the other common plugins: rate_limit: {limit: 100, window: 1m, by: client}"
        yield subject.at(("plugins",), "no route has a rate limit", hint)


def rotatable_limit(subject: Subject) -> Iterator[Mistake]:
    """Every rate limit of a route counts by what a client sends.

    Nobody has verified a header, a parameter or a field of a body: a client that sends another value each time is never limited. Keep the
    limit, and add one `by: client` beside it.

        routes:
          - name: leads
            match: /leads
            upstream: leads
            plugins: [{rate_limit: {limit: 10, window: 1m, by: {header: X-Api-Key}}}]
    """
    told: set[int] = set()
    for lane in subject.lanes:
        entries = lane.named("rate_limit")
        if entries and not any(verified(limit.by) for entry in entries for limit in settings(entry).limits) and id(entries[0]) not in told:
            told.add(id(entries[0]))
            found = next(one for one in settings(entries[0]).limits[0].by if not verified([one]))
            hint = "add a limit by: client to the list"
            yield entries[0].position.mistake(f"a client that changes the {_called(found)} each time is never limited", hint)


def _called(identity: Any) -> str:
    return {"body": "field of the body", "param": "path", "query": "query"}.get(type(identity).__name__.lower(), "header")


def unshared_limit(subject: Subject) -> Iterator[Mistake]:
    """Each of several workers counts a concurrency limit for itself.

    A `concurrency` that is not `shared` is of one process: with four workers four times as many requests are under way. All workers of a
    gateway share what is, also where the store is `memory://`.

        server:
          workers: 4
        routes:
          - name: exports
            match: /exports/**
            upstream: leads
            plugins: [{concurrency: {limit: 5, by: client}}]
    """
    workers = subject.policy.server.workers
    if workers == 1:
        return
    times = "as many times as there are workers" if workers == "auto" else f"{workers} times"
    told: set[int] = set()
    for entry in (entry for lane in subject.lanes for entry in lane.named("concurrency")):
        if not settings(entry).shared and id(entry) not in told:
            told.add(id(entry))
            yield entry.position.mistake(f"each worker counts this for itself: {times} the limit are under way", "add shared: true")


def limited_health(subject: Subject) -> Iterator[Mistake]:
    """A health check passes a rate limit.

    Load balancers and kubelets ask often, many of them from one address. The first 429 takes a healthy gateway out of service.

        plugins:
          - rate_limit: {limit: 10, window: 1m}
        routes:
          - {name: health, match: GET /health/**, plugins: [health]}
    """
    for lane in subject.lanes:
        health = next((entry for entry in lane.named("health") if always_answers(entry)), None)
        above = lane.entries[: lane.entries.index(health)] if health is not None else ()
        if health is not None and any(entry.name == "rate_limit" and entry.mode == "enforce" for entry in above):
            yield health.position.mistake("a rate_limit stands above this health check", "write without: [rate_limit] in this route")


def misplaced_health(subject: Subject) -> Iterator[Mistake]:
    """No probe gets to the health checks: their `path` is none that the route takes.

    The plugin answers below its own `path`, `/health` unless another is written, and 404 to all else. Kubernetes takes that for a gateway
    that is never ready. Write the same path in both.

        routes:
          - match: GET /healthz/**
            plugins: [health]
    """
    witnesses = Witnesses(subject.router.routes)
    for lane in subject.lanes:
        for entry in lane.named("health") if lane.upstream is None else ():
            base = settings(entry).path.rstrip("/")
            probes = [witnesses.request(lane.route, "GET", path) for path in (base or "/", f"{base}/readiness", f"{base}/liveness")]
            if not any(taker(subject.router, probe) is lane.route for probe in probes):
                yield entry.position.mistake(
                    f"no probe of {base or '/'} gets here", "write health: {path: ...}, with the path of this route"
                )


def large_body(subject: Subject) -> Iterator[Mistake]:
    """Every route takes bodies of more than 64 MiB.

    A limit for all routes is a limit for those that expect no body too. Keep it small, and write a `body_limit` in the route that needs
    more.

        server:
          limits: {body: 1GiB}
    """
    hint = "lower it, and write body_limit in the routes that need more"
    if subject.policy.server.limits.body > LARGE:
        yield subject.at(("server", "limits", "body"), "every route takes bodies of more than 64 MiB", hint)
    for entry in subject.common:
        if entry.name == "body_limit" and settings(entry).max > LARGE:
            yield entry.position.mistake("every route takes bodies of more than 64 MiB", hint)
