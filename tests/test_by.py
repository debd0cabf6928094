"""Whose requests count together (rate_limit's own tests have client, header, route and combinations of them)."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter

from gateway.by import Identities, key_of, missing_parameter, reads_body, verified
from gateway.exchange import Exchange
from gateway.testing import exchange

ADAPTER: TypeAdapter[Any] = TypeAdapter(Identities)
CLIENT = "192.0.2.1"


def by(value: object) -> Any:
    return ADAPTER.validate_python(value)


def key(value: object, ex: Exchange) -> str:
    return key_of(by(value))(ex)


def asked(
    body: bytes | None = None, target: str = "/", consumer: str | None = None, claims: dict[str, Any] | None = None, **params: str
) -> Exchange:
    ex = exchange("POST", target, body=body, params=params)
    ex.consumer, ex.claims = consumer, claims or {}
    return ex


EMAIL = "body.email"
SAME, OTHER = True, False


@pytest.mark.parametrize(
    ("identity", "first", "second", "together"),
    [
        (EMAIL, asked(b'{"email": "a"}'), asked(b'{"email": "a", "password": "x"}'), SAME),
        (EMAIL, asked(b'{"email": "a"}'), asked(b'{"email": "b"}'), OTHER),
        # Spellings that many services take for one account: each would be worth a limit of its own to whoever guesses its password.
        (EMAIL, asked(b'{"email": "a@b.c"}'), asked(b'{"email": " A@B.C "}'), SAME),
        (EMAIL, asked(b'{"email": "a"}'), asked('{"email": "ａ"}'.encode()), SAME),  # noqa: RUF001
        (EMAIL, asked(b'{"email": "a"}'), asked(b'{"email": "\\u0061"}'), SAME),
        (EMAIL, asked(b'{"email": 7}'), asked(b'{"email": "7"}'), SAME),
        (EMAIL, asked(b'{"email": 7.0}'), asked(b'{"email": 7}'), SAME),
        # RFC 8259, section 4: of two members of one name most readers take the last, and so does orjson.
        (EMAIL, asked(b'{"email": "x", "email": "a"}'), asked(b'{"email": "a"}'), SAME),
        (EMAIL, asked(b'{"email": "' + b"a" * 1000 + b'b"}'), asked(b'{"email": "' + b"a" * 1000 + b'c"}'), SAME),
        ("body.user.id", asked(b'{"user": {"id": 1}}'), asked(b'{"user": {"id": 2}}'), OTHER),
        ({"body": "email"}, asked(b'{"email": "a"}'), asked(b'{"email": "a"}'), SAME),
        ("consumer", asked(consumer="a"), asked(consumer="b"), OTHER),
        ("consumer", asked(consumer="a b"), asked(consumer="a  b"), OTHER),
        ("consumer", asked(consumer=CLIENT), asked(), OTHER),  # no consumer is called what a stranger's address is
        ({"claim": "sub"}, asked(claims={"sub": "a"}), asked(claims={"sub": "A"}), OTHER),  # verified: nobody chooses its spelling
        ({"claim": "org"}, asked(claims={"org": 5}), asked(claims={"org": 5}), SAME),
        ({"param": "id"}, asked(id="7"), asked(id="8"), OTHER),
        ({"query": "q"}, asked(target="/?q=a"), asked(target="/?x=1&q=%41"), SAME),
        ({"query": "q"}, asked(target="/?q=a"), asked(target="/?q=b"), OTHER),
        # A body that is refused elsewhere, and that a service may read.
        (EMAIL, asked(b'{"email": "a"}'), asked(b'{"email": "b", "email": "a"}'), SAME),
        (EMAIL, asked(b'{"email": "a"}'), asked(b'{"email": "a", "x": ' + b"[" * 500 + b"]" * 500 + b"}"), SAME),
        (EMAIL, asked(b'{"email": "a"}'), asked(b'{"email": "a", "x": 123456789012345678901234567890}'), SAME),
        # A part of a combination cannot be made to look like two.
        (["consumer", {"query": "q"}], asked(target="/?q=c", consumer="a b"), asked(target="/?q=b%20c", consumer="a"), OTHER),
    ],
)
def test_together(identity: object, first: Exchange, second: Exchange, together: bool) -> None:
    keys = key(identity, first), key(identity, second)
    assert CLIENT not in (keys if "consumer" not in str(identity) else keys[:1])
    assert (keys[0] == keys[1]) is together


@pytest.mark.parametrize(
    ("identity", "ex"),
    [
        (EMAIL, asked()),
        (EMAIL, asked(b"")),
        (EMAIL, asked(b"{}")),
        (EMAIL, asked(b"email=a")),
        (EMAIL, asked(b'["email"]')),
        (EMAIL, asked(b"null")),
        (EMAIL, asked(b'{"email": "a"')),
        (EMAIL, asked(b'{"email": null}')),
        (EMAIL, asked(b'{"email": ""}')),
        (EMAIL, asked(b'{"email": "  "}')),
        (EMAIL, asked(b'{"email": ["a"]}')),
        (EMAIL, asked(b'{"email": {"a": 1}}')),
        (EMAIL, asked(b'{"email": true}')),
        (EMAIL, asked(b'{"email": NaN}')),
        (EMAIL, asked(b'\xff\xfe{\x00"\x00')),
        ("body.user.id", asked(b'{"user": "id"}')),
        ("consumer", asked()),
        ("consumer", asked(consumer="")),
        ({"claim": "sub"}, asked()),
        ({"claim": "sub"}, asked(claims={"sub": None})),
        ({"claim": "groups"}, asked(claims={"groups": ["a"]})),
        ({"param": "id"}, asked()),
        ({"query": "q"}, asked()),
        ({"query": "q"}, asked(target="/?q=")),
        ({"query": "q"}, asked(target="/?q=a&q=b")),
    ],
)
def test_who_does_not_say_who_it_is_counts_by_client(identity: object, ex: Exchange) -> None:
    assert key(identity, ex) == CLIENT


def test_keys_hold_no_value_that_a_client_sent() -> None:
    ex = asked(b'{"email": "secret"}', "/?q=secret", claims={"sub": "secret"}, id="secret")
    keys = key([EMAIL, {"query": "q"}, {"claim": "sub"}, {"param": "id"}], ex).split(" ")
    assert "secret" not in "".join(keys) and [len(part) for part in keys] == [32] * 4


@pytest.mark.parametrize(
    ("identity", "is_verified", "body"),
    [
        ("client", True, False),
        (["consumer", {"claim": "sub"}, "route"], True, False),
        (["client", {"header": "X-Key"}], False, False),
        ({"query": "q"}, False, False),
        ([EMAIL], False, True),
    ],
)
def test_what_is_known_of_them(identity: object, is_verified: bool, body: bool) -> None:
    assert (verified(by(identity)), reads_body(by(identity))) == (is_verified, body)


@pytest.mark.parametrize(("path", "missing"), [("/leads/{id}", None), ("/leads/{id}/**", None), ("/leads/{ids}", "id"), ("/", "id")])
def test_parameters_that_a_path_does_not_have(path: str, missing: str | None) -> None:
    assert missing_parameter(by(["client", {"param": "id"}]), path) == missing
