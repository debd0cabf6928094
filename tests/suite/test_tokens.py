"""Tokens of tests: verified by the very code that verifies those of clients."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import orjson
import pytest
from pydantic import ValidationError

from gateway.cli import main
from gateway.identity import keys
from gateway.identity.token import Algorithm, parse
from gateway.suite.tokens import Signing, jwks, token

SECRET = "0123456789abcdef" * 4
NOW = 1_762_000_000.0


def signing(algorithm: str) -> Signing:
    return Signing.model_validate({"algorithm": algorithm} | ({"secret": SECRET} if algorithm.startswith("HS") else {}))


@pytest.mark.parametrize("algorithm", get_args(Algorithm))
def test_every_algorithm_is_verified(algorithm: str) -> None:
    signer = signing(algorithm)
    read = parse(token(signer, {"sub": "ada"}, NOW).encode())
    known = keys.secret(SECRET, [algorithm]) if signer.secret else keys.published(jwks(signer), [algorithm])
    (key,) = known.candidates(read.kid, read.algorithm)
    assert key.verify(read.algorithm, read.signed, read.signature)


def test_what_is_published_is_no_private_key() -> None:
    assert "d" not in orjson.loads(jwks(signing("RS256")))["keys"][0]


@pytest.mark.parametrize(
    ("claims", "found"),
    [
        ({}, {"iat": NOW, "exp": NOW + 3600, "iss": "us"}),
        ({"exp": "-1m", "nbf": "+15m"}, {"iat": NOW, "exp": NOW - 60, "nbf": NOW + 900, "iss": "us"}),
        ({"exp": "absent", "iss": "absent"}, {"iat": NOW}),
        ({"exp": 7, "iat": "absent", "iss": "them"}, {"exp": 7, "iss": "them"}),
    ],
)
def test_claims(claims: dict[str, Any], found: dict[str, Any]) -> None:
    signer = Signing.model_validate({"algorithm": "HS256", "secret": SECRET, "claims": {"iss": "us"}})
    assert orjson.loads(parse(token(signer, claims, NOW).encode()).payload) == found


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"algorithm": "HS256"}, "HS256 signs with a secret; write secret"),
        ({"algorithm": "RS256", "secret": "a"}, "RS256 signs with a key, which is made here; remove secret"),
        ({"algorithm": "none"}, "Input should be"),
        ({"algorithm": "RS256", "claims": {"exp": "1h"}}, '"1h" is no time; write .15m'),
        ({"algorithm": "RS256", "claims": {"exp": "+1 fortnight"}}, "no duration"),
        ({"algorithm": "RS256", "claims": {"exp": True}}, "exp is a time"),
    ],
)
def test_mistakes(wrong: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        Signing.model_validate(wrong)


POLICY = """
version: 1
routes:
  - name: me
    match: GET /me
    plugins: [authenticate: {jwt: {algorithms: HS256, secret: "${SECRET}"}}, respond: {body: hello}]
"""
TESTS = """
env: {SECRET: "%s"}
tokens: {algorithm: HS256, secret: "%s"}
begin: 2024-02-29
tests:
  - {name: now, send: GET /me, token: {sub: ada}, expect: {status: 200}}
  - {name: later, begin: "2024-02-29T10:00+02:00", send: GET /me, token: {sub: ada, exp: 1709193601}, expect: {status: 200}}
  - {name: too late, begin: "2024-02-29T10:00+02:00", send: GET /me, token: {sub: ada, exp: 1709193600}, expect: {status: 401}}
"""


def test_a_secret_and_the_clock(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "gateway.yaml").write_text(POLICY)
    (tmp_path / "me.yaml").write_text(TESTS % (SECRET, SECRET))
    assert main(["test", str(tmp_path / "me.yaml")]) == 0, capsys.readouterr().out


def test_a_key_of_another(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "gateway.yaml").write_text(POLICY)
    (tmp_path / "me.yaml").write_text(TESTS % (SECRET, SECRET[::-1]))
    assert main(["test", str(tmp_path / "me.yaml")]) == 1
    assert "1 passed, 2 failed" in capsys.readouterr().out
