"""Requests that stand for all that a route matches, to be given to the router itself: what it says of them holds for the others.

A segment, header, query parameter or method that a route leaves open is filled with a text that no route of the policy spells out, so
that only routes which leave it open too can take the request.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product
from urllib.parse import urlencode

from gateway.conditions import ANY
from gateway.errors import GatewayError
from gateway.exchange import Exchange, Headers
from gateway.router import METHODS, Route, Router
from gateway.template import parse

OTHER = "~"
"""A method that no policy can name."""


class Witnesses:
    """Makes requests for the routes of one router."""

    def __init__(self, routes: Iterable[Route]) -> None:
        templates = [parse(route.path, loose=route.loose) for route in routes]
        self._deepest = max((len(template.segments) for template in templates), default=0) + 1
        self._open = "~" * (max((len(route.path) for route in routes), default=0) + 1)

    def of(self, route: Route) -> Iterator[Exchange]:
        """Requests that fit `route`, one for each way in which a whole part of them could be another's."""
        for method, path in product(self.methods(route), self.paths(route)):
            yield self.request(route, method, path)

    def methods(self, route: Route) -> list[str]:
        named = list(route.methods) or [*METHODS, OTHER]
        return [*named, "HEAD"] if "GET" in named and "HEAD" not in named else named

    def paths(self, route: Route) -> Iterator[str]:
        """Every depth that a /** can be told apart in, the deepest first, in every spelling that can be."""
        template = parse(route.path, loose=route.loose)
        segments = [self._open if segment is None else segment for segment in template.segments]
        for depth in range(self._deepest, -1, -1) if template.rest else [0]:
            path = "/" + "/".join([*segments, *[self._open] * depth])
            if not route.loose:
                yield path + "/" * (template.slash and path != "/")
            elif path == "/":
                yield path
            else:
                yield from (f"{spelt};{self._open}{slash}" for spelt, slash in product((path, path.swapcase()), ("", "/")))

    def request(self, route: Route, method: str, path: str) -> Exchange:
        """One that fulfils the route's conditions, and no more than that."""
        headers = [(name, self._open if value == ANY else value) for name, value in route.headers.items()]
        query = urlencode([(name, self._open if value == ANY else value) for name, value in route.query.items()])
        host = self._open + route.host[1:] if route.host.startswith("*.") else route.host
        return Exchange(method, path, path, query, Headers(headers), host=host)


def taker(router: Router, request: Exchange) -> Route | None:
    """The route that takes the request; None when it would be answered 404 or 405."""
    try:
        return router.find(request)
    except GatewayError:
        return None
