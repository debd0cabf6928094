"""Whose turn it is among an upstream's answers."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.exchange import Headers
from gateway.rehearsal.answer import Answer, Sent
from gateway.suite.schema import Case
from gateway.suite.stubs import Answers


def answers(stubs: object) -> Answers:
    case = Case.model_validate({"name": "a", "upstreams": {"leads": stubs}, "send": "GET /", "expect": {"status": 200}})
    return Answers(dict(case.upstreams))


def asked(ask: Answers, request: str, upstream: str = "leads", **headers: str) -> Answer:
    method, target = request.split()
    return ask(Sent(upstream, method, target, Headers({"Host": "leads.test"} | headers), b""))


MIXED: list[Any] = [
    {"for": "POST /login", "status": 401},
    {"for": "GET /leads/{id}", "status": 404},
    {"for": "POST /login", "status": 200},
    {"for": {"path": "/leads/**", "headers": {"X-Version": "2"}, "query": {"q": "*"}, "host": "leads.test"}, "status": 202},
    {"status": 299},
]


@pytest.mark.parametrize(
    ("requests", "statuses"),
    [
        (["POST /login", "POST /login", "POST /login"], [401, 200, 200]),
        (["POST /login", "GET /leads/7", "POST /Login/"], [401, 404, 200]),
        (["HEAD /leads/7?a=1", "PUT /leads/7", "GET /leads"], [404, 299, 299]),
    ],
)
def test_turns(requests: list[str], statuses: list[int]) -> None:
    ask = answers(MIXED)
    assert [asked(ask, request).status for request in requests] == statuses


@pytest.mark.parametrize(
    ("target", "headers", "status"),
    [
        ("/leads?q=1", {"X-Version": "2"}, 202),
        ("/leads?q=1", {"X-Version": "1"}, 299),
        ("/leads", {"X-Version": "2"}, 299),
        ("/leads?q=1", {"X-Version": "2", "Host": "other.test"}, 299),
    ],
)
def test_conditions_are_those_of_a_route(target: str, headers: dict[str, str], status: int) -> None:
    assert asked(answers(MIXED), f"PUT {target}", **headers).status == status


def test_one_answer_serves_all() -> None:
    ask = answers({"json": {"a": 1}, "headers": {"X-A": "1"}})
    assert [asked(ask, "GET /").body for _ in range(2)] == [b'{"a":1}'] * 2
    assert asked(ask, "GET /").headers == (("Content-Type", "application/json"), ("X-A", "1"))


def test_what_nothing_is_for() -> None:
    assert asked(answers([{"for": "GET /a", "status": 500}]), "GET /b") == asked(answers({"status": 500}), "GET /", "other")


def test_a_content_type_of_its_own() -> None:
    assert asked(answers({"json": {}, "headers": {"content-type": "a/b"}}), "GET /").headers == (("content-type", "a/b"),)


def test_two_tests_do_not_share_turns() -> None:
    assert asked(answers(MIXED), "POST /login") == asked(answers(MIXED), "POST /login")
