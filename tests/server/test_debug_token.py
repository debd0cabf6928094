"""Tokens of the debug header: who is let in, and every way of not being."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.server.debug_token import LONGEST, admits, mint
from gateway.testing import exchange

SECRET = "0123456789abcdef0123456789abcdef"
TOKEN = mint(SECRET, 1000)
PAYLOAD, _, MAC = TOKEN.partition(".")


def encoded(payload: object) -> str:
    return urlsafe_b64encode(json.dumps(payload).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize(("now", "good"), [(0, True), (999.9, True), (1000, False), (1000.1, False), (1e12, False)])
def test_a_token_ends(now: float, good: bool) -> None:
    assert admits(SECRET, TOKEN, exchange(), now) is good


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        PAYLOAD,
        f"{PAYLOAD}.",
        f".{MAC}",
        f"{TOKEN}x",
        f"{TOKEN}.",
        f"{TOKEN}=",
        f" {TOKEN}",
        f"{PAYLOAD}={'.'}{MAC}",
        f"{encoded({'exp': 10**12})}.{MAC}",
        f"{encoded({'exp': 10**12})}.{encoded('')}",
        f"{encoded({})}.{MAC}",
        TOKEN.swapcase(),
        mint(SECRET[::-1], 1000),
        "x" * (LONGEST + 1),
        "x" * 1_000_000,
        "\udcff.\udcff",
        "é.é",
        f"{PAYLOAD}.{MAC[:-1]}\u212a",
    ],
)
def test_no_other_token_is_good(token: str) -> None:
    assert admits(SECRET, token, exchange(), 0.0) is False


@given(st.text())
def test_whatever_a_client_writes(token: str) -> None:
    assert admits(SECRET, token, exchange(), 0.0) is False


@pytest.mark.parametrize(
    ("scope", "route", "target", "good"),
    [
        ({"route": "lead"}, "lead", "/x", True),
        ({"route": "lead"}, "leads", "/x", False),
        ({"route": "lead"}, "", "/x", False),
        ({"route": "Ünï"}, "Ünï", "/x", True),
        ({"path": "/leads"}, "a", "/leads", True),
        ({"path": "/leads/"}, "a", "/leads/7?x=1", True),
        ({"path": "/leads"}, "a", "/LEADS/7", True),
        ({"path": "/leads"}, "a", "/leadsheet", False),
        ({"path": "/leads"}, "a", "/other/leads", False),
        ({"path": "/leads"}, "a", "/leads/../admin", False),
        ({"path": "/"}, "a", "/anything", True),
        ({"route": "lead", "path": "/leads"}, "lead", "/leads", True),
        ({"route": "lead", "path": "/leads"}, "other", "/leads", False),
    ],
)
def test_the_scope_of_a_token(scope: dict[str, str], route: str, target: str, good: bool) -> None:
    assert admits(SECRET, mint(SECRET, 1000, **scope), exchange("GET", target, route=route), 0.0) is good
