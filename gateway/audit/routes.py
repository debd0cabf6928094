"""Rules about routes: those that nothing reaches, and those that can be walked around."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.audit.answers import always_answers
from gateway.audit.strictness import given_up, same_service
from gateway.audit.subject import Lane, Subject, settings
from gateway.audit.witness import Witnesses, taker
from gateway.errors import Mistake

WRITING = ("POST", "PUT", "PATCH", "DELETE")
SIBLINGS = {"PUT": "PATCH", "PATCH": "PUT"}
"""Two methods by which the same thing is changed: a service that takes one most likely takes the other."""


def unreachable_route(subject: Subject) -> Iterator[Mistake]:
    """No request can reach the route: others take all that it matches.

    Its plugins protect nothing, and nobody notices. The order in which routes are tried is that of [Routing](routing.md): the file's
    order decides only between equals. Remove the route, or make the ones that are named narrower.

        routes:
          - {name: any-lead, match: "GET /leads/{id}", upstream: leads}
          - {name: one-lead, match: "GET /Leads/{lead}/", upstream: leads}
    """
    witnesses = Witnesses(subject.router.routes)
    for lane in subject.lanes:
        others: dict[str, None] = {}
        for request in witnesses.of(lane.route):
            found = taker(subject.router, request)
            if found is lane.route:
                break
            if found is not None:
                others[subject.lane(found).name] = None
        else:
            why = f"no request reaches this route: {', '.join(others)} {'take' if len(others) > 1 else 'takes'} all that it matches"
            yield subject.at((*lane.path, "match"), why, "remove it, or let the other match less")


def evadable_condition(subject: Subject) -> Iterator[Mistake]:
    """A client chooses the looser of two routes to the same service by a host, a header or a query parameter.

    These are the client's to write. A route with a weaker limit that asks for `X-Internal` is open to whoever sends `X-Internal`; a
    stricter one that asks for it is left by whoever does not. Give both the same limits, or let the service itself tell them apart.

        routes:
          - name: internal
            match: {path: /leads, headers: {X-Internal: "1"}}
            upstream: leads
          - name: leads
            match: /leads
            upstream: leads
            plugins: [{rate_limit: {limit: 10, window: 1m}}]
    """
    witnesses = Witnesses(subject.router.routes)
    for lane in subject.proxied:
        if lane.route.host or lane.route.headers or lane.route.query:
            for other in _without_conditions(subject, witnesses, lane):
                if plugin := given_up(other, lane):
                    why = f"whoever fulfils these conditions gets round the {plugin} of {other.name}"
                elif plugin := given_up(lane, other):
                    why = f"whoever leaves these conditions unfulfilled goes to {other.name} and gets round this route's {plugin}"
                else:
                    continue
                yield subject.at((*lane.path, "match"), why, f"give both routes the same {plugin}")
                break


def _without_conditions(subject: Subject, witnesses: Witnesses, lane: Lane) -> Iterator[Lane]:
    """The routes to the same service that take its requests when its conditions are not fulfilled."""
    path = next(witnesses.paths(lane.route))
    for method in witnesses.methods(lane.route):
        for keeps_host in (True, False):
            request = witnesses.request(lane.route, method, path)
            request.headers.clear()
            request.query = ""
            request.host = request.host if keeps_host else ""
            found = taker(subject.router, request)
            if found is not None and found is not lane.route and same_service(lane, other := subject.lane(found)):
                yield other


def evadable_method(subject: Subject) -> Iterator[Mistake]:
    """A route's limit, or its refusal, holds for some methods, and another route takes the same path with a method as good.

    A method that no nearer route names goes to the catch-all, and gets its plugins only. Told when PUT is limited and PATCH is not, or
    the reverse, and when a route refuses reading and writing passes. Name the missing methods too.

        routes:
          - name: change-lead
            match: PUT /leads/{id}
            upstream: leads
            plugins: [{rate_limit: {limit: 10, window: 1m}}]
          - {name: rest, match: /**, upstream: leads}
    """
    witnesses = Witnesses(subject.router.routes)
    for lane in subject.lanes:
        path = next(witnesses.paths(lane.route))
        for method in _as_good(lane):
            found = taker(subject.router, witnesses.request(lane.route, method, path))
            if found is None or not found.upstream or method in found.methods:
                continue  # a route that names the method is meant for it
            other = subject.lane(found)
            if _refuses(lane):
                why = f"this route refuses, but {method} on the same path passes by {other.name}"
            elif same_service(lane, other) and (plugin := given_up(lane, other)):
                why = f"{method} on the same path goes to {other.name} and gets round this route's {plugin}"
            else:
                continue
            yield subject.at((*lane.path, "match"), why, f"name {method} here too")
            break


def _as_good(lane: Lane) -> list[str]:
    """The methods that a route does not take although what it takes them for can be had by them."""
    named = {*lane.route.methods}
    if _refuses(lane):
        return list(WRITING) if named and named <= {"GET", "HEAD"} else []
    return [sibling for method, sibling in SIBLINGS.items() if method in named and sibling not in named]


def _refuses(lane: Lane) -> bool:
    return any(entry.mode == "enforce" and (settings(entry).status or 0) >= 400 for entry in lane.named("respond"))


def unreachable_plugin(subject: Subject) -> Iterator[Mistake]:
    """Nothing gets to a plugin, or to the route's upstream, because a plugin above answers every request.

    Order is everything: `respond` and `health` answer, and what stands below them is never asked. Move the plugin above, or remove it.

        routes:
          - name: gone
            match: /old/**
            plugins:
              - respond: 410
              - rate_limit: {limit: 10, window: 1m}
    """
    told: set[int] = set()
    for lane in subject.lanes:
        answering = next((entry for entry in lane.entries if always_answers(entry)), None)
        if answering is None:
            continue
        for entry in lane.entries[lane.entries.index(answering) + 1 :]:
            if id(entry) not in told:
                told.add(id(entry))
                yield entry.position.mistake(f"{answering.name} stands above and answers every request", "move it up, or remove it")
        if lane.upstream is not None:
            why = f"no request gets to this upstream: {answering.name} answers every one"
            yield subject.at((*lane.path, "upstream"), why, "remove one of them")
