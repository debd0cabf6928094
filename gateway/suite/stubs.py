"""Which answer an upstream, or another service, gives: the first that is for the request; of several for the same, one after another."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import orjson

from gateway.config.match import Match
from gateway.errors import GatewayError
from gateway.exchange import Exchange
from gateway.pipeline import Pipeline
from gateway.rehearsal.answer import Answer, Sent
from gateway.rehearsal.stub import DEFAULT
from gateway.router import Route, Router
from gateway.suite.schema import Answering, Service, Stub
from gateway.suite.suite import Stubs
from gateway.suite.tokens import Signing, jwks
from gateway.target import canonical


class Answers:
    """For one test: it knows whose turn it is."""

    def __init__(self, stubs: Stubs) -> None:
        self._groups = {name: _groups(answers) for name, answers in stubs.items()}
        self._turns: dict[int, int] = defaultdict(int)

    def __call__(self, sent: Sent) -> Answer:
        for router, answers in self._groups.get(sent.upstream, ()):
            if _fits(router, sent):
                turn = self._turns[id(router)]
                self._turns[id(router)] = turn + 1
                return answer(answers[min(turn, len(answers) - 1)])
        return DEFAULT


def _groups(stubs: Sequence[Stub]) -> list[tuple[Router, list[Stub]]]:
    """The answers for the same requests together, in the order of the file."""
    groups: dict[tuple[object, ...], tuple[Router, list[Stub]]] = {}
    for stub in stubs:
        what = Match() if stub.what is None else stub.what
        route = Route("", what.path, Pipeline(()), what.methods, what.host, what.headers, what.query)
        groups.setdefault(what.key, (Router((route,)), []))[1].append(stub)
    return list(groups.values())


def _fits(router: Router, sent: Sent) -> bool:
    """As a route would be found; the service does not look at who spells how."""
    target = canonical(sent.target)
    try:
        router.find(Exchange(sent.method, *target, sent.headers, host=sent.headers.get("Host", "")))
    except GatewayError:
        return False
    return True


class Served:
    """What other services answer in one test."""

    def __init__(self, services: Mapping[str, Sequence[Service]], signing: Signing | None) -> None:
        self._services = services
        self._signing = signing
        self._turns: dict[str, int] = defaultdict(int)

    def __call__(self, method: str, url: str) -> Answer | None:
        url = url if url in self._services else url.partition("?")[0]
        stubs = self._services.get(url)
        if stubs is None:
            return None
        turn = self._turns[url]
        self._turns[url] = turn + 1
        stub = stubs[min(turn, len(stubs) - 1)]
        given = answer(stub)
        return replace(given, body=jwks(self._signing)) if stub.jwks and self._signing is not None else given


def answer(stub: Answering) -> Answer:
    headers: Sequence[tuple[str, str]] = tuple(stub.headers.items())
    body = b"" if stub.body is None else stub.body.encode()
    if "content" in stub.model_fields_set:
        body = orjson.dumps(stub.content)
        if "content-type" not in {name.lower() for name in stub.headers}:
            headers = (("Content-Type", "application/json"), *headers)
    return Answer(stub.status, tuple(headers), body, stub.delay, stub.fail)
