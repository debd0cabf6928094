"""Why a route takes a request and why the others do not: the router's order told in words, for those who ask, not on the way of traffic.

Every route is looked at by itself, without the router's tree; a property test holds that the winner is the router's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from gateway.conditions import ANY, header_is, host_is, path_is, query_has
from gateway.exchange import Exchange
from gateway.router import Route, rank
from gateway.template import Template, folded_segments, parse

LITERAL, PARAMETER, REST = 0, 1, 2
"""What a segment of a path is matched by, the most specific first."""
SPECIFIC = ("path", "host", "host", "conditions", "method")
"""What makes one route go before another, by the place in their order at which they differ."""

Order = tuple[tuple[int, ...], tuple[int, ...]]
"""Of a route's path, segment by segment, and of all else: the smallest goes first."""


@dataclass(frozen=True, slots=True)
class NearMiss:
    """A route whose path fits and that does not get the request all the same."""

    route: Route
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    winner: Route | None
    near: tuple[NearMiss, ...]  # in the order of the file


def choose(routes: Sequence[Route], ex: Exchange) -> Choice:
    """The route that the router finds for `ex`, and the near misses. Changes nothing of `ex`."""
    segments, method = folded_segments(ex.path), _method(ex)
    fitting = [(route, template) for route in routes if _fits(template := parse(route.path, loose=route.loose), segments)]
    refused = {id(route): tuple(_refusals(route, template, ex, method)) for route, template in fitting}
    taking = [(_order(route, template, method), route) for route, template in fitting if not refused[id(route)]]
    if not taking:
        return Choice(None, tuple(NearMiss(route, refused[id(route)]) for route, _ in fitting))
    first, winner = min(taking, key=lambda pair: pair[0])
    reasons = {id(route): (_why(winner, first, order),) for order, route in taking}
    near = tuple(NearMiss(route, refused[id(route)] or reasons[id(route)]) for route, _ in fitting if route is not winner)
    return Choice(winner, near)


def passed_over(routes: Sequence[Route], ex: Exchange) -> tuple[NearMiss, ...]:
    """The near misses of an exchange that took `ex.route`, by its method, host and path alone: nothing else of it need be known."""
    segments, preflight = folded_segments(ex.path), ex.method == "OPTIONS"
    near = []
    for route in routes:
        template = parse(route.path, loose=route.loose)
        if route.name == ex.route or preflight or not _fits(template, segments):
            continue  # whether an OPTIONS was a preflight, and of what, is not known
        reasons = tuple(_refusals(replace(route, headers={}, query={}), template, ex, ex.method))
        if not reasons and (route.headers or route.query):
            reasons = ("it has conditions on headers or query, of which nothing is kept",)
        near.append(NearMiss(route, reasons or (f"it takes the request too; {ex.route} goes before it",)))
    return tuple(near)


def _fits(template: Template, segments: Sequence[str]) -> bool:
    """The folded path; a strict route then asks for its spelling."""
    folded = template.folded()
    if len(segments) < len(folded) or (len(segments) > len(folded) and not template.rest):
        return False
    return all(wanted is None or wanted == segment for wanted, segment in zip(folded, segments, strict=False))


def _method(ex: Exchange) -> str:
    """A preflight is routed by the method it asks for, as Router.find has it."""
    wanted = ex.headers.get("Access-Control-Request-Method") if ex.method == "OPTIONS" and "Origin" in ex.headers else None
    return wanted or ex.method


def _refusals(route: Route, template: Template, ex: Exchange, method: str) -> Iterator[str]:
    if not route.loose and not path_is(template)(ex):
        yield "its upstream has `paths: strict`, and the path differs in case, a final slash or ;parameters"
    if not route.takes(method):
        asked = "" if method == ex.method else ", which the preflight asks for"
        yield f"it takes {', '.join(route.methods)}, not {method}{asked}"
    if route.host and not host_is(route.host)(ex):
        yield f"it wants the host {route.host}, not {ex.host or 'none'}"
    for name, value in route.headers.items():
        if not header_is(name, value)(ex):
            yield _condition("header", name, value, ", ".join(ex.headers.getall(name, ())))
    for name, value in route.query.items():
        if not query_has({name: value})(ex):
            yield _condition("query parameter", name, value, f"?{ex.query}" if ex.query else "")


def _condition(kind: str, name: str, value: str, got: str) -> str:
    wanted = f"any {name}" if value == ANY else f"{name}: {value}"
    return f"it wants the {kind} {wanted}, and there is {got or 'none'}"


def _order(route: Route, template: Template, method: str) -> Order:
    kinds = tuple(PARAMETER if segment is None else LITERAL for segment in template.segments)
    return kinds + (REST,) * template.rest, rank(route, method)


def _why(winner: Route, first: Order, order: Order) -> str:
    pairs = [(first[0], order[0]), *zip(first[1], order[1], strict=True)]
    by = next((SPECIFIC[n] for n, (mine, its) in enumerate(pairs) if mine != its), "place in the file")
    return f"it takes the request too; {winner.name} goes before it by its {by}"
