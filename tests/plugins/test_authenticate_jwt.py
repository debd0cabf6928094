"""Tokens, good and forged: RFC 8725 by its sections, the attacks that are known, and the keys that verify."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.exchange import Reply
from gateway.identity.token import Token, parse
from gateway.plugin import Plugin
from gateway.testing import Clock, FakeFiles, FakeUpstream, exchange, host, load, pipeline, run
from tests.identity import tokens
from tests.identity.tokens import CLAIMS, NOW, SECRET, b64, hs, jwk, jwks, part, pem, signed

HS = {"secret": SECRET, "algorithms": ["HS256"]}


def jwt(settings: dict[str, Any], **beside: Any) -> Plugin[Any]:
    return load("authenticate", {"jwt": settings, **beside}, host=host(time=lambda: NOW))


def ask(plugin: Plugin[Any], *authorization: str, upstream: FakeUpstream | None = None) -> Reply:
    return run(pipeline(plugin, upstream=upstream or FakeUpstream()), exchange(headers=[("Authorization", one) for one in authorization]))


def status(settings: dict[str, Any], token: str) -> int:
    return ask(jwt(settings), f"Bearer {token}").status


def test_a_good_token() -> None:
    plugin = jwt({**HS, "groups": "roles"})
    ex = exchange(headers={"Authorization": f"Bearer {hs({**CLAIMS, 'roles': ['admin', 'staff']})}"})
    assert run(pipeline(plugin, upstream=FakeUpstream()), ex).status == 200
    assert (ex.consumer, ex.groups, ex.claims["sub"]) == ("ada", ("admin", "staff"), "ada")


RSA, OTHER_RSA, EC, ED = tokens.rsa_key(), tokens.rsa_key(1), tokens.ec_key(), tokens.ed_key()
GOOD = hs()
HEADER, PAYLOAD, SIGNATURE = GOOD.split(".")
NONE = {"alg": "none"}

FORGED = {
    # RFC 8725, section 2.1: weak signatures and insufficient validation
    "alg none, no signature": f"{part(NONE)}.{PAYLOAD}.",
    "alg none, a signature": f"{part(NONE)}.{PAYLOAD}.{SIGNATURE}",
    "alg None": f"{part({'alg': 'None'})}.{PAYLOAD}.",
    "alg nOnE, signed": hs(header={"alg": "nOnE"}),
    "alg missing": hs(header={"typ": "JWT"}),
    "alg null": hs(header={"alg": None}),
    "alg a number": hs(header={"alg": 256}),
    "alg a list": hs(header={"alg": ["HS256"]}),
    "alg in another case": hs(header={"alg": "hs256"}),
    "alg with a blank": hs(header={"alg": "HS256 "}),
    "another alg of the same family": hs(bits=512),
    "section 2.1: RS256 where HS256 is": signed("RS256", RSA),
    "section 2.2: another secret": hs(secret=b"secret"),
    "an empty secret": hs(secret=b""),
    "a secret of NUL": hs(secret=b"\0"),
    # Section 2.4: many ways of writing JSON, and 3.7
    "duplicate exp, expired first": hs(f'{{"sub":"ada","exp":1,"exp":{NOW + 60}}}'),
    "duplicate sub": hs(f'{{"sub":"ada","sub":"root","exp":{NOW + 60}}}'),
    "duplicate alg": hs(header='{"alg":"HS256","alg":"none"}'),  # type: ignore[arg-type]
    "NaN exp": hs('{"sub":"ada","exp":NaN}'),
    "infinite exp": hs('{"sub":"ada","exp":Infinity}'),
    "exp too large for a double": hs('{"sub":"ada","exp":1e999}'),
    "exp of a hundred digits": hs(f'{{"sub":"ada","exp":{"9" * 100}}}'),
    "payload in UTF-16": f"{HEADER}.{b64(json.dumps(CLAIMS).encode('utf-16'))}.{SIGNATURE}",
    "payload an array": hs([CLAIMS]),
    "payload a text": hs('"ada"'),
    "payload empty": hs("{}"),
    "payload no JSON": hs("ada"),
    "payload too deep": hs("[" * 5000),
    # Section 2.5 and 3.11, 3.12: other tokens
    "a JWE": f"{part({'alg': 'dir', 'enc': 'A128GCM'})}..48V1_ALb6US04U3b.5eym8TW_c8SuK0ltJ3rpYIzOeDQz7TALvtu6UG9o.XFBoMYUZodetZdvTiFvSkQ",
    "a nested token": hs(hs()),
    # Section 2.6 and 3.10: what the header says is not trusted
    "crit": hs(header={"alg": "HS256", "crit": ["exp"]}),
    "crit empty": hs(header={"alg": "HS256", "crit": []}),
    "b64 false": hs(header={"alg": "HS256", "b64": False, "crit": ["b64"]}),
    "its own jwk": signed("RS256", OTHER_RSA, jwk=jwk(OTHER_RSA)),
    "kid a number": hs(header={"alg": "HS256", "kid": 0}),
    "kid an object": hs(header={"alg": "HS256", "kid": {"$ne": ""}}),
    "secret of the file that kid names": hs(header={"alg": "HS256", "kid": "../../../../dev/null"}, secret=b""),
    "secret that SQL in kid gives": hs(header={"alg": "HS256", "kid": "x' UNION SELECT 'a"}, secret=b"a"),
    # RFC 7519, section 4.1
    "no exp": hs({"sub": "ada"}),
    "exp now": hs({**CLAIMS, "exp": NOW}),
    "exp past": hs({**CLAIMS, "exp": NOW - 1}),
    "exp zero": hs({**CLAIMS, "exp": 0}),
    "exp negative": hs({**CLAIMS, "exp": -NOW}),
    "exp a text": hs({**CLAIMS, "exp": str(NOW + 60)}),
    "exp true": hs({**CLAIMS, "exp": True}),
    "exp null": hs({**CLAIMS, "exp": None}),
    "exp a list": hs({**CLAIMS, "exp": [NOW + 60]}),
    "not yet": hs({**CLAIMS, "nbf": NOW + 1}),
    "nbf a text": hs({**CLAIMS, "nbf": "0"}),
    "iat a text": hs({**CLAIMS, "iat": "0"}),
    "an audience that nobody named": hs({**CLAIMS, "aud": "billing"}),
    "no sub": hs({"exp": NOW + 60}),
    "sub empty": hs({**CLAIMS, "sub": ""}),
    "sub a list": hs({**CLAIMS, "sub": ["ada"]}),
    "sub true": hs({**CLAIMS, "sub": True}),
    # Bytes
    "empty": "",
    "one part": HEADER,
    "two parts": f"{HEADER}.{PAYLOAD}",
    "four parts": f"{GOOD}.{SIGNATURE}",
    "no signature": f"{HEADER}.{PAYLOAD}.",
    "no header": f".{PAYLOAD}.{SIGNATURE}",
    "truncated": GOOD[:-1],
    "truncated by half": GOOD[: len(GOOD) // 2],
    "longer": f"{GOOD}A",
    "padded": f"{GOOD}=",
    "standard base64": GOOD.replace("-", "+").replace("_", "/") + "+",
    "a line break": GOOD.replace(".", ".\n", 1),
    "a blank within": GOOD.replace(".", ". ", 1),
    "unicode": f"{GOOD}é",
    "unicode digits": GOOD.replace(".", "\u0660", 1),
    "lone surrogate": f"{GOOD}\udcff",
    "NUL": f"{GOOD}\0",
    "one megabyte": GOOD + "A" * (1 << 20),
    "one megabyte of dots": "." * (1 << 20),
    "quoted": f'"{GOOD}"',
    "its last letter in another form": GOOD[:-1] + chr(ord(GOOD[-1]) + 1),
    "another payload": f"{HEADER}.{part({**CLAIMS, 'sub': 'root'})}.{SIGNATURE}",
    "another header": f"{part({'alg': 'HS256'})}.{PAYLOAD}.{SIGNATURE}",
}


@pytest.mark.parametrize("case", FORGED)
def test_what_is_refused(case: str) -> None:
    upstream = FakeUpstream()
    reply = ask(jwt(HS), f"Bearer {FORGED[case]}", upstream=upstream)
    assert (reply.status, upstream.requests) == (401, [])
    assert reply.headers.getall("WWW-Authenticate") == ['Bearer realm="gateway", error="invalid_token"']
    assert reply.headers["Content-Type"] == "application/problem+json" and reply.headers["Cache-Control"] == "no-store"
    assert reply.entity is not None and b"expired" not in reply.entity.data  # why is for the log


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "HS256"},
        {"alg": "HS256", "typ": "at+jwt"},
        {"alg": "HS256", "kid": "whatever"},
        {"alg": "HS256", "jku": "http://127.0.0.1:1/keys", "x5u": "http://127.0.0.1:1/", "x5c": ["AA"], "jwk": {"kty": "oct", "k": "AA"}},
    ],
)
def test_what_a_header_may_say_and_nobody_looks_at(header: dict[str, Any]) -> None:
    """host.http of these tests answers nobody: a fetch would be an error."""
    assert status(HS, hs(header=header)) == 200


@pytest.mark.parametrize(
    ("claims", "settings", "expected"),
    [
        ({"exp": NOW + 0.5}, {}, 200),
        ({"exp": NOW - 29}, {"leeway": "30s"}, 200),
        ({"exp": NOW - 30}, {"leeway": "30s"}, 401),
        ({"exp": NOW + 60, "nbf": NOW}, {}, 200),
        ({"exp": NOW + 60, "nbf": NOW + 30}, {"leeway": "30s"}, 200),
        ({"exp": NOW + 60, "nbf": NOW + 31}, {"leeway": "30s"}, 401),
        ({}, {"require": []}, 200),
        ({}, {"require": ["nbf"]}, 401),
        ({"exp": NOW - 1}, {"require": []}, 401),  # not asked for, and yet true
        ({"exp": NOW + 60}, {"iss": "https://a.test"}, 401),
        ({"exp": NOW + 60, "iss": "https://a.test"}, {"iss": "https://a.test"}, 200),
        ({"exp": NOW + 60, "iss": "https://a.test/"}, {"iss": "https://a.test"}, 401),
        ({"exp": NOW + 60, "iss": "https://b.test"}, {"iss": ["https://a.test", "https://b.test"]}, 200),
        ({"exp": NOW + 60, "iss": ["https://a.test"]}, {"iss": "https://a.test"}, 401),
        ({"exp": NOW + 60, "aud": "leads"}, {"aud": "leads"}, 200),
        ({"exp": NOW + 60, "aud": ["billing", "leads"]}, {"aud": "leads"}, 200),
        ({"exp": NOW + 60, "aud": ["billing"]}, {"aud": "leads"}, 401),
        ({"exp": NOW + 60, "aud": "lead"}, {"aud": "leads"}, 401),  # no substring
        ({"exp": NOW + 60, "aud": []}, {"aud": "leads"}, 401),
        ({"exp": NOW + 60, "aud": [["leads"]]}, {"aud": "leads"}, 401),
        ({"exp": NOW + 60, "aud": {"leads": 1}}, {"aud": "leads"}, 401),
        ({"exp": NOW + 60}, {"aud": "leads"}, 401),
        ({"exp": NOW + 60, "sub": 7}, {}, 200),  # many an issuer numbers its users
        ({"exp": NOW + 60, "user": {"id": "ada"}}, {"consumer": "user.id"}, 200),
    ],
)
def test_claims(claims: dict[str, Any], settings: dict[str, Any], expected: int) -> None:
    assert status({**HS, **settings}, hs({"sub": "ada", **claims})) == expected


KEYS: dict[str, Any] = {
    "RS256": RSA, "RS384": RSA, "RS512": RSA, "PS256": RSA, "PS384": RSA, "PS512": RSA,
    "ES256": EC, "ES384": tokens.ec_key("P-384"), "ES512": tokens.ec_key("P-521"), "EdDSA": ED, "Ed25519": ED,
}  # fmt: skip


def keyed(folder: Path, algorithms: Any, *, pem: bytes | None = None, jwks: bytes | None = None) -> Plugin[Any]:
    file = folder / "keys"
    file.write_bytes(pem or jwks or b"")
    return jwt({"algorithms": algorithms, "key" if pem is not None else "jwks": str(file)})


@pytest.mark.parametrize("algorithm", KEYS)
def test_public_keys(algorithm: str, tmp_path: Path) -> None:
    key = KEYS[algorithm]
    for plugin in (keyed(tmp_path, algorithm, pem=pem(key)), keyed(tmp_path, algorithm, jwks=jwks(jwk(key, kid="a", use="sig")))):
        good = signed(algorithm, key)
        head, payload, signature = good.split(".")
        assert ask(plugin, f"Bearer {good}").status == 200
        zeros = b64(bytes(len(urlsafe_b64decode(signature + "=="))))
        for wrong in (
            f"{head}.{payload}.{zeros}",  # psychic signatures, r = s = 0 (CVE-2022-21449)
            f"{head}.{payload}.AA",
            f"{head}.{part({**CLAIMS, 'sub': 'root'})}.{signature}",
            hs(secret=pem(key)),  # the public key as a secret (CVE-2015-9235, CVE-2016-10555)
            hs(header={"alg": algorithm}, secret=pem(key)),
            hs(secret=pem(key).strip()),
        ):
            assert ask(plugin, f"Bearer {wrong}").status == 401


def test_a_signature_in_der_is_none(tmp_path: Path) -> None:
    """Whoever takes both forms takes two tokens for one (RFC 7518, section 3.4)."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    text = f"{part({'alg': 'ES256'})}.{part(CLAIMS)}"
    assert (
        ask(keyed(tmp_path, "ES256", pem=pem(EC)), f"Bearer {text}.{b64(EC.sign(text.encode(), ec.ECDSA(hashes.SHA256())))}").status == 401
    )


def test_keys_are_found_by_kid(tmp_path: Path) -> None:
    both = jwks(jwk(RSA, kid="a"), jwk(OTHER_RSA, kid="b"))
    plugin = keyed(tmp_path, ["RS256", "ES256"], jwks=both)
    for key, kid, expected in (
        (RSA, "a", 200),
        (OTHER_RSA, "b", 200),
        (RSA, "b", 401),
        (RSA, "c", 401),
        (RSA, "../a", 401),
        (EC, "a", 401),
    ):
        algorithm = "ES256" if key is EC else "RS256"
        assert ask(plugin, f"Bearer {signed(algorithm, key, kid=kid)}").status == expected
    assert ask(plugin, f"Bearer {signed('RS256', OTHER_RSA)}").status == 200  # no kid: whichever fits


@pytest.mark.parametrize(
    ("more", "expected"),
    [({}, 200), ({"use": "sig"}, 200), ({"alg": "RS256"}, 200), ({"key_ops": ["verify"]}, 200)],
)
def test_a_key_may_say_what_it_is_for(more: dict[str, Any], expected: int, tmp_path: Path) -> None:
    assert ask(keyed(tmp_path, "RS256", jwks=jwks(jwk(RSA, **more))), f"Bearer {signed('RS256', RSA)}").status == expected


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"[]", b"{}", b'{"keys": {}}', b'{"keys": []}', b'{"keys": [1, null, "a", {}, {"kty": 1}]}',
        jwks(jwk(RSA, use="enc")), jwks(jwk(RSA, alg="PS256")), jwks(jwk(RSA, key_ops=["encrypt"])), jwks(jwk(EC)),
        jwks({"kty": "RSA", "n": "AA", "e": "AQAB"}), jwks({"kty": "RSA"}), jwks({"kty": "oct", "k": b64(SECRET.encode())}),
        jwks(jwk(tokens.rsa_key(2, 1024))), jwks(*[jwk(RSA)] * 101),
    ],
)  # fmt: skip
def test_a_jwks_without_a_key_for_it_is_refused_at_load(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^keys: "):
        keyed(tmp_path, "RS256", jwks=content)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "no public key in PEM"),
        (b"sesame", "no public key in PEM"),
        (tokens.private_pem(RSA), "this is a private key"),
        (pem(EC), "a key of type EC is not for RS256"),
        (pem(tokens.rsa_key(2, 1024)), "2048 bits"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "no public key in PEM"),
    ],
)
def test_a_pem_that_is_not_right_is_refused_at_load(content: bytes, why: str, tmp_path: Path) -> None:
    (tmp_path / "issuer.pem").write_bytes(content)
    with pytest.raises(ValueError, match=rf"^issuer\.pem: .*{why}"):
        jwt({"algorithms": "RS256", "key": str(tmp_path / "issuer.pem")})


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"secret": SECRET},
        {"algorithms": ["HS256"]},
        {"algorithms": [], "secret": SECRET},
        {"algorithms": ["none"], "secret": SECRET},
        {"algorithms": ["HS256", "RS256"], "secret": SECRET},
        {"algorithms": ["RS256"], "secret": SECRET},
        {"algorithms": ["HS256"], "jwks_url": "https://issuer.test/keys"},
        {"algorithms": ["HS256"], "secret": SECRET, "jwks_url": "https://issuer.test/keys"},
        {"algorithms": ["RS256"], "jwks_url": "issuer.test/keys"},
        {"algorithms": ["RS256"], "jwks_url": "file:///etc/passwd"},
        {"algorithms": ["RS256"], "jwks_url": "https://me:secret@issuer.test/keys"},
        {**HS, "leeway": "6m"},
        {**HS, "leeway": 30},
        {**HS, "audience": "leads"},
    ],
)
def test_settings_that_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        jwt(settings)


def test_a_public_key_is_no_secret() -> None:
    with pytest.raises(ValueError, match="public keys must not be used"):
        jwt({"algorithms": "HS256", "secret": pem(RSA).decode()})


@pytest.mark.parametrize("secret", [b"", SECRET.encode(), b"\0"])
def test_an_unset_secret_verifies_nothing(secret: bytes) -> None:
    for unset in ("", None):
        assert status({**HS, "secret": unset}, hs(secret=secret)) == 401


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_schemes_have_no_case(scheme: str) -> None:
    assert ask(jwt(HS), f"{scheme} {GOOD}").status == 200
    assert ask(jwt(HS), f"{scheme}  {GOOD} ").status == 200


@pytest.mark.parametrize(
    ("value", "challenge"),
    [
        ("Bearer", ', error="invalid_token"'),
        ("Bearer ", ', error="invalid_token"'),
        (GOOD, ""),
        (f"Basic {GOOD}", ""),
        (f"Bearer,{GOOD}", ""),
        (f"Token {GOOD}", ""),
        (f"DPoP {GOOD}", ""),
    ],
)
def test_other_credentials_are_none(value: str, challenge: str) -> None:
    """RFC 6750, section 3.1: no error is told to whom sent no token."""
    reply = ask(jwt(HS), value)
    assert (reply.status, reply.headers["WWW-Authenticate"]) == (401, f'Bearer realm="gateway"{challenge}')


@pytest.mark.parametrize(
    ("cookies", "expected"),
    [
        ([f"session={GOOD}"], 200),
        ([f"a=b; session={GOOD};c=d"], 200),
        (["a=b", f"session={GOOD}"], 200),
        ([f"session={GOOD}; session={hs({**CLAIMS, 'sub': 'root'})}"], 401),
        ([f"Session={GOOD}"], 401),
        ([f"xsession={GOOD}"], 401),
        (["session="], 401),
        (["session"], 401),
        ([], 401),
    ],
)  # fmt: skip
def test_a_cookie(cookies: list[str], expected: int) -> None:
    plugin = jwt({**HS, "cookie": "session"})
    assert run(pipeline(plugin, upstream=FakeUpstream()), exchange(headers=[("Cookie", one) for one in cookies])).status == expected
    assert status(HS, "") == 401 and run(pipeline(jwt(HS)), exchange(headers={"Cookie": f"session={GOOD}"})).status == 401


def test_a_token_is_verified_once_and_not_beyond_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, looked = Clock(), list[bytes]()
    began = clock()
    plugin = load("authenticate", {"jwt": HS}, host=host(clock=clock, time=lambda: NOW + clock() - began))

    def look(text: bytes) -> Token:
        looked.append(text)
        return parse(text)

    monkeypatch.setattr("gateway.identity.jwt.parse", look)
    for _ in range(3):
        assert ask(plugin, f"Bearer {GOOD}").status == 200
    assert len(looked) == 1
    clock.advance(59.9)
    assert (ask(plugin, f"Bearer {GOOD}").status, len(looked)) == (200, 1)
    clock.advance(0.2)
    assert ask(plugin, f"Bearer {GOOD}").status == 401
    for _ in range(2):
        ask(plugin, f"Bearer {GOOD}x")
    assert len(looked) == 4  # what is wrong is not remembered


def test_remembered_tokens_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.identity.jwt.REMEMBERED", 3)
    plugin = jwt(HS)
    for n in range(10):
        assert ask(plugin, f"Bearer {hs({**CLAIMS, 'sub': f'user {n}'})}").status == 200
    (method,) = plugin._methods  # type: ignore[attr-defined]
    assert len(method._verified) == 3


def test_a_key_file_that_changes(tmp_path: Path) -> None:
    """At once, tokens of the old key that were verified before among it; and a file that is wrong changes nothing."""
    import asyncio

    file = tmp_path / "issuer.pem"
    file.write_bytes(pem(RSA))
    files = FakeFiles()
    settings = {"algorithms": "RS256", "key": str(file)}
    plugin = load("authenticate", {"jwt": settings}, host=host(files=files, time=lambda: NOW))
    asyncio.run(plugin.start())
    old, new = signed("RS256", RSA), signed("RS256", OTHER_RSA)
    assert [ask(plugin, f"Bearer {token}").status for token in (old, new)] == [200, 401]
    with pytest.raises(ValueError, match="no public key"):
        files.change(file, b"half a ke")
    assert [ask(plugin, f"Bearer {token}").status for token in (old, new)] == [200, 401]
    files.change(file, pem(OTHER_RSA))
    assert [ask(plugin, f"Bearer {token}").status for token in (old, new)] == [401, 200]


PLUGIN = jwt(HS)


@given(st.binary(max_size=300).map(lambda data: data.decode("utf-8", "surrogateescape")) | st.text(max_size=300))
def test_whatever_comes_is_refused_and_breaks_nothing(text: str) -> None:
    assert ask(PLUGIN, f"Bearer {text}").status == 401


@given(st.dictionaries(st.text(max_size=8), st.none() | st.booleans() | st.floats() | st.text(max_size=8), max_size=4), st.integers(0, 2))
def test_whatever_a_signed_token_says_breaks_nothing(content: dict[str, Any], where: int) -> None:
    token = hs({**CLAIMS, **content}) if where else hs(header={"alg": "HS256", **content})
    assert ask(PLUGIN, f"Bearer {token}").status in (200, 401)
