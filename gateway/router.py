"""From a request to its route: built once, then one look-up for a path without parameters, one for each segment otherwise.

The most specific route that takes the request wins. What is more specific is decided by, in this order:

1. the path, segment by segment from the left: a literal before `{name}` before `/**`, and the end of the path before `/**`;
2. the host: `api.example.com` before `*.example.com` (longer first) before none;
3. more conditions on headers and query before fewer;
4. the method: named before implied (HEAD by GET) before a route for all methods;
5. the order in the file.

A route that matches all but the method is passed over for a less specific one that takes it; docs/routing.md says what
that means for a policy.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from gateway.conditions import Test, header_is, host_is, path_is, query_has
from gateway.errors import GatewayError, MethodNotAllowed, NotFound
from gateway.exchange import NO_PARAMS, Exchange
from gateway.pipeline import Pipeline
from gateway.template import Template, folded_segments, parse

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
"""Looked up at once on a route for all methods; others take the long way to the same answer."""


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """One entry of the policy's routes: which requests are its own, and what becomes of them."""

    name: str
    path: str  # a template, see gateway.template
    pipeline: Pipeline
    methods: tuple[str, ...] = ()  # (): all
    host: str = ""  # a name, *.name for those under it, "": all; ports are not compared
    headers: Mapping[str, str] = field(default_factory=dict)  # the value that one field line must have; "*": any
    query: Mapping[str, str] = field(default_factory=dict)  # the same for the decoded query
    loose: bool = True  # case, a trailing slash and ;parameters make no other path
    upstream: str = ""
    upgrades: tuple[str, ...] = ()  # protocols a connection may switch to

    def takes(self, method: str) -> bool:
        return not self.methods or method in self.methods or (method == "HEAD" and "GET" in self.methods)


class _Candidate(NamedTuple):
    route: Route
    tests: tuple[Test, ...]  # what remains to be checked when the folded path and the method fit
    names: tuple[tuple[int, str], ...]


class _Leaf:
    """The routes of one folded template, for each method in the order in which they are tried."""

    __slots__ = ("by_method", "other")

    def __init__(self, candidates: Sequence[_Candidate]) -> None:
        methods = {method for candidate in candidates for method in candidate.route.methods or METHODS}
        if "GET" in methods:
            methods.add("HEAD")
        self.by_method = {method: _ranked(candidates, method) for method in methods}
        self.other = _ranked(candidates, "")  # a method that no route names


class _Node:
    """One place in the tree of folded segments."""

    __slots__ = ("end", "literals", "parameter", "rest")

    def __init__(self) -> None:
        self.literals: dict[str, _Node] = {}
        self.parameter: _Node | None = None
        self.rest: _Node | None = None
        self.end: _Leaf | None = None

    def below(self, segment: str | None) -> _Node:
        if segment is not None:
            return self.literals.setdefault(segment, _Node())
        self.parameter = self.parameter or _Node()
        return self.parameter


class Router:
    """The table of routes. Raises ValueError when a route's path is no template or its host no host."""

    __slots__ = ("_direct", "_root", "routes")

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes = tuple(routes)
        self._root = _Node()
        self._direct: dict[str, dict[str, Route]] = {}  # where the folded path and the method decide alone
        groups: dict[tuple[tuple[str | None, ...], bool], list[_Candidate]] = {}
        for route in self.routes:
            template = parse(route.path, loose=route.loose)
            groups.setdefault((template.folded(), template.rest), []).append(_candidate(route, template))
        for (segments, rest), candidates in groups.items():
            self._insert(segments, rest, _Leaf(candidates))

    def _insert(self, segments: tuple[str | None, ...], rest: bool, leaf: _Leaf) -> None:
        node = self._root
        for segment in segments:
            node = node.below(segment)
        if rest:
            node.rest = node = _Node()
        node.end = leaf
        literals = [segment for segment in segments if segment is not None]
        if not rest and len(literals) == len(segments):
            self._direct["/" + "/".join(literals)] = {
                method: candidates[0].route for method, candidates in leaf.by_method.items() if not candidates[0].tests
            }

    def nodes(self) -> list[_Node]:
        """All of the tree: what it is made of."""
        found = [self._root]
        for node in found:  # which grows meanwhile
            found += [*node.literals.values(), *(below for below in (node.parameter, node.rest) if below is not None)]
        return found

    def find(self, ex: Exchange) -> Route:
        """The route of `ex`, whose `route`, `template` and `params` are set. Raises NotFound, and MethodNotAllowed with what is allowed.

        A CORS preflight is routed by the method it asks for (Fetch, CORS-preflight fetch), any other OPTIONS by itself.
        """
        method = ex.method
        if method == "OPTIONS" and "Origin" in ex.headers:
            method = ex.headers.get("Access-Control-Request-Method") or method
        routes = self._direct.get(ex.path)
        if routes is not None:
            route = routes.get(method)
            if route is not None:
                ex.route = route.name
                ex.template = route.path
                return route
        return self._search(ex, method)

    def _search(self, ex: Exchange, method: str) -> Route:
        segments = folded_segments(ex.path)
        for leaf in self._leaves(segments):
            for route, tests, names in leaf.by_method.get(method, leaf.other):
                for test in tests:
                    if not test(ex):
                        break
                else:
                    ex.route = route.name
                    ex.template = route.path
                    ex.params = _params(ex.path, names) if names else NO_PARAMS
                    return route
        raise self._refusal(ex, segments)

    def _leaves(self, segments: list[str]) -> Iterator[_Leaf]:
        """Every leaf whose template fits, the most specific first."""
        length = len(segments)
        waiting: list[tuple[_Node | None, int]] = [(self._root, 0)]  # what to come back to; the last put on is the most specific
        while waiting:
            node, depth = waiting.pop()
            while node is not None and depth < length:
                if node.rest is not None:
                    waiting.append((node.rest, length))
                literal, parameter = node.literals.get(segments[depth]), node.parameter
                depth += 1
                if literal is not None and parameter is not None:
                    waiting.append((parameter, depth))
                node = literal or parameter
            if node is not None:
                if node.rest is not None:
                    waiting.append((node.rest, length))
                if node.end is not None:
                    yield node.end

    def _refusal(self, ex: Exchange, segments: list[str]) -> GatewayError:
        """Nothing took the request: because of its method alone, or for more."""
        allowed = {
            method
            for leaf in self._leaves(segments)
            for method, candidates in leaf.by_method.items()
            if any(all(test(ex) for test in candidate.tests) for candidate in candidates)
        }
        if not allowed:
            return NotFound()
        known = [method for method in METHODS if method in allowed]
        return MethodNotAllowed([*known, *sorted(allowed.difference(known))])


def _params(path: str, names: tuple[tuple[int, str], ...]) -> dict[str, str]:
    """As sent: the folding is for comparing only."""
    segments = path.split("/")
    return {name: segments[place + 1] for place, name in names}


def _ranked(candidates: Sequence[_Candidate], method: str) -> tuple[_Candidate, ...]:
    taking = [candidate for candidate in candidates if candidate.route.takes(method)]
    return tuple(sorted(taking, key=lambda candidate: rank(candidate.route, method)))


def rank(route: Route, method: str) -> tuple[int, ...]:
    """Points 2 to 4 of the order, smallest first; sorting is stable, so that the file's order is point 5."""
    host = (2, 0) if not route.host else (1, -len(route.host)) if route.host.startswith("*.") else (0, 0)
    named = 0 if method in route.methods else 1 if route.methods else 2
    return (*host, -len(route.headers) - len(route.query), named)


def _candidate(route: Route, template: Template) -> _Candidate:
    tests: list[Test] = []
    if not route.loose:
        tests.append(path_is(template))
    if route.host:
        tests.append(host_is(route.host))
    tests += [header_is(name, value) for name, value in route.headers.items()]
    if route.query:
        tests.append(query_has(route.query))
    return _Candidate(route, tuple(tests), template.names)
