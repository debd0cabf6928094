"""Who is let through, as whom, and what the upstream is told of it: keys, passwords, several methods, groups, headers."""

from __future__ import annotations

import asyncio
import hmac
from base64 import b64encode
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from gateway.exchange import Exchange, Reply
from gateway.identity import keyfile
from gateway.identity.operations import KEYS
from gateway.identity.passwords import check_of
from gateway.pipeline import Pipeline
from gateway.plugin import Plugin
from gateway.store.redis.address import Address
from gateway.store.redis.store import RedisStore
from gateway.testing import Clock, FakeFiles, FakeUpstream, exchange, host, load, pipeline, run
from tests.identity.tokens import CLAIMS, NOW, SECRET, hs

CRM = keyfile.new("crm", ["readers", "staff"], datetime(2026, 1, 1, tzinfo=UTC), None, {"team": "sales"})
OLD = keyfile.new("old", [], datetime(2026, 1, 1, tzinfo=UTC), datetime.fromtimestamp(NOW, UTC), {})
JWT = {"jwt": {"secret": SECRET, "algorithms": "HS256", "groups": "roles"}}
# scrypt with ln=4: a test need not wait for what an attacker must. The password is "open:sesame".
FAST = "$scrypt$ln=4,r=8,p=1$c2FsdHNhbHRzYWx0c2FsdA$"


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    (tmp_path / "keys.yaml").write_text(keyfile.text([CRM.kept, OLD.kept]))
    return tmp_path / "keys.yaml"


def made(settings: dict[str, Any], **of_host: Any) -> Plugin[Any]:
    return load("authenticate", settings, host=host(time=lambda: NOW, **of_host))


def ask(plugin: Plugin[Any], *headers: tuple[str, str], target: str = "/") -> tuple[Reply, Exchange, FakeUpstream]:
    upstream, ex = FakeUpstream(), exchange("GET", target, headers)
    return run(pipeline(plugin, upstream=upstream), ex), ex, upstream


def api_key(keys: Path, **settings: Any) -> dict[str, Any]:
    return {"api_key": {"file": str(keys), **settings}}


def basic(name: str, password: str) -> tuple[str, str]:
    return "Authorization", "Basic " + b64encode(f"{name}:{password}".encode()).decode()


# -- API keys


def test_a_key(keys: Path) -> None:
    reply, ex, upstream = ask(made(api_key(keys)), ("x-api-key", CRM.text))
    assert (reply.status, ex.consumer, ex.groups, ex.claims) == (200, "crm", ("readers", "staff"), {"team": "sales"})
    assert "X-API-Key" not in upstream.requests[0][2]


@pytest.mark.parametrize(
    "sent",
    [
        "", "gwk", "gwk__", "gwk_", CRM.kept.id, f"gwk_{CRM.kept.id}", f"gwk_{CRM.kept.id}_", f"GWK{CRM.text[3:]}",
        CRM.text[:-1], CRM.text + "A", CRM.text.upper(), f"gwk_{CRM.kept.id}_{OLD.text[17:]}", f"gwk_000000000000_{CRM.text[17:]}",
        CRM.kept.sha256, f"gwk_{CRM.kept.id}_{CRM.kept.sha256}", "é", "\udcff", "A" * 100_000, "gwk_" * 1000, OLD.text,
    ],
    ids=count(),
)  # fmt: skip
def test_what_is_no_key(sent: str, keys: Path) -> None:
    reply, ex, upstream = ask(made(api_key(keys)), ("X-API-Key", sent))
    assert (reply.status, ex.consumer, upstream.requests) == (401, None, [])
    assert reply.headers.getall("WWW-Authenticate") == ['ApiKey realm="gateway", header="X-API-Key"']


def test_unknown_and_wrong_keys_go_the_same_way(keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is hashed whole and compared once, in constant time, with a digest of the same length."""
    compared: list[tuple[int, int]] = []
    compare = hmac.compare_digest

    def count(a: bytes, b: bytes) -> bool:
        compared.append((len(a), len(b)))
        return compare(a, b)

    monkeypatch.setattr(hmac, "compare_digest", count)
    plugin = made(api_key(keys))
    for sent in (CRM.text, CRM.text[:-1] + "!", f"gwk_000000000000_{CRM.text[17:]}", "nothing"):
        ask(plugin, ("X-API-Key", sent))
    assert compared == [(32, 32)] * 4


def test_two_keys_are_none(keys: Path) -> None:
    assert ask(made(api_key(keys)), ("X-API-Key", CRM.text), ("x-api-key", CRM.text))[0].status == 401


@pytest.mark.parametrize(
    ("target", "status", "sent_on"),
    [
        ("/a?key={}", 200, "/a"),
        ("/a?b=1&key={}&c=2", 200, "/a?b=1&c=2"),
        ("/a?b=1&k%65y={}", 200, "/a?b=1"),
        ("/a?key={}&key={}", 401, ""),
        ("/a?key=", 401, ""),
        ("/a?Key={}", 401, ""),
        ("/a", 401, ""),
    ],
)
def test_a_key_in_the_query(target: str, status: int, sent_on: str, keys: Path) -> None:
    reply, _, upstream = ask(made(api_key(keys, query="key")), target=target.replace("{}", CRM.text))
    assert (reply.status, "".join(request[1] for request in upstream.requests)) == (status, sent_on)
    assert ask(made(api_key(keys)), target=target.replace("{}", CRM.text))[0].status == 401  # not unless the policy says so


def test_a_key_that_goes_on(keys: Path) -> None:
    _, _, upstream = ask(made(api_key(keys, strip=False, header="X-Token")), ("X-Token", CRM.text))
    assert upstream.requests[0][2]["X-Token"] == CRM.text


def test_a_key_ends_when_it_expires_or_its_line_is_gone(keys: Path) -> None:
    now, files = [NOW - 1], FakeFiles()
    plugin = load("authenticate", api_key(keys), host=host(time=lambda: now[0], files=files))
    asyncio.run(plugin.start())
    assert ask(plugin, ("X-API-Key", OLD.text))[0].status == 200
    now[0] = NOW
    assert ask(plugin, ("X-API-Key", OLD.text))[0].status == 401
    with pytest.raises(ValueError, match=r"keys\.yaml: keys\[0\]\.consumer"):
        files.change(keys, b"keys: [{id: aaaa}]")
    assert ask(plugin, ("X-API-Key", CRM.text))[0].status == 200
    files.change(keys, keyfile.text([OLD.kept]).encode())
    assert ask(plugin, ("X-API-Key", CRM.text))[0].status == 401


IN_STORE = {"api_key": {"store": True}}


def test_keys_of_the_store_are_as_those_of_a_file() -> None:
    now = [NOW - 1]
    own = host(time=lambda: now[0])
    plugin, shared = load("authenticate", IN_STORE, host=own), own.store.shared_set(KEYS)
    assert ask(plugin, ("X-API-Key", CRM.text))[0].status == 401
    for key in (CRM.kept, OLD.kept):
        asyncio.run(shared.add(key.id, keyfile.note(key)))
    reply, ex, upstream = ask(plugin, ("X-API-Key", CRM.text))
    assert (reply.status, ex.consumer, ex.groups, ex.claims) == (200, "crm", ("readers", "staff"), {"team": "sales"})
    assert "X-API-Key" not in upstream.requests[0][2]
    assert ask(plugin, ("X-API-Key", CRM.text[:-1] + "!"))[0].status == 401
    assert ask(plugin, ("X-API-Key", OLD.text))[0].status == 200
    now[0] = NOW
    assert ask(plugin, ("X-API-Key", OLD.text))[0].status == 401
    assert asyncio.run(shared.remove(CRM.kept.id))
    assert ask(plugin, ("X-API-Key", CRM.text))[0].status == 401


@pytest.mark.parametrize("note", ["", "[]", "nonsense", "{}", '{"consumer": "crm"}', '{"consumer": "crm", "sha256": "00"}', '{"id": 1}'])
def test_what_stands_in_the_store_and_is_no_key_harms_none(note: str, caplog: pytest.LogCaptureFixture) -> None:
    own = host()
    shared = own.store.shared_set(KEYS)
    asyncio.run(shared.add(OLD.kept.id, note))
    asyncio.run(shared.add(CRM.kept.id, keyfile.note(CRM.kept)))
    plugin = load("authenticate", IN_STORE, host=own)
    assert ask(plugin, ("X-API-Key", CRM.text))[0].status == 200
    assert ask(plugin, ("X-API-Key", OLD.text))[0].status == 401
    asyncio.run(shared.remove(CRM.kept.id))
    assert ask(plugin, ("X-API-Key", CRM.text))[0].status == 401
    assert caplog.text.count("is no API key") == 1


def test_nobody_is_told_that_a_key_is_wrong_before_the_store_was_heard() -> None:
    own = host()
    own.store = RedisStore(Address())  # never started: as one that is away
    plugin = load("authenticate", IN_STORE, host=own)
    asyncio.run(plugin.start())
    reply, _, _ = ask(plugin, ("X-API-Key", CRM.text))
    assert (reply.status, reply.headers["Retry-After"]) == (503, "5")
    assert ask(plugin)[0].status == 401


@pytest.mark.parametrize("settings", [{}, {"store": False}, {"header": "X-Key"}, {"file": "keys.yaml", "store": True}])
def test_keys_are_in_one_place(settings: dict[str, Any], keys: Path) -> None:
    if "file" in settings:
        settings = {**settings, "file": str(keys)}
    with pytest.raises(ValidationError, match="keys are in a file or in the store"):
        made({"api_key": settings})


# -- names and passwords


@pytest.fixture
def users(tmp_path: Path) -> Path:
    from gateway.identity import passwords

    value = passwords._base64(passwords._scrypt(b"open:sesame", b"saltsaltsaltsalt", 4, 8, 1, 32))
    nfc = passwords._base64(passwords._scrypt("pässword".encode(), b"saltsaltsaltsalt", 4, 8, 1, 32))
    (tmp_path / "users.yaml").write_text(
        f'users:\n- {{name: ada, password: "{FAST}{value}", groups: [admin]}}\n- {{name: zoë, password: "{FAST}{nfc}"}}\n'
    )
    return tmp_path / "users.yaml"


@pytest.mark.parametrize(
    ("name", "password", "status"),
    [
        ("ada", "open:sesame", 200),  # RFC 7617, section 2: colons belong to the password
        ("ada", "open", 401),
        ("ada", "", 401),
        ("", "open:sesame", 401),
        ("Ada", "open:sesame", 401),
        ("bob", "open:sesame", 401),
        ("zoë", "pässword", 200),  # section 2.1: UTF-8
        ("zoe\u0308", "pa\u0308ssword", 200),  # and the same letters, put together otherwise
        ("zoe", "pässword", 401),
        ("ada", "open:sesame\n", 401),
        ("ada", "x" * 2000, 401),
    ],
)
def test_a_password(name: str, password: str, status: int, users: Path) -> None:
    reply, ex, upstream = ask(made({"basic": {"file": str(users), "realm": "Leads"}}), basic(name, password))
    assert reply.status == status and (ex.consumer is None) == (status == 401)
    if status == 200:
        assert "Authorization" not in upstream.requests[0][2]
    else:
        assert reply.headers.getall("WWW-Authenticate") == ['Basic realm="Leads", charset="UTF-8"']


@pytest.mark.parametrize("value", ["Basic", "Basic ", "Basic !", "Basic YWRh", "Basic /////w==", "Basic YWRh Om9wZW46c2VzYW1l"])
def test_malformed_credentials(value: str, users: Path) -> None:
    assert ask(made({"basic": {"file": str(users)}}), ("Authorization", value))[0].status == 401


def test_latin_1_is_not_guessed(users: Path) -> None:
    value = b64encode("zoë:pässword".encode("latin-1")).decode()
    assert ask(made({"basic": {"file": str(users)}}), ("Authorization", f"Basic {value}"))[0].status == 401


def counted(plugin: Plugin[Any], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names whose passwords are compared from now on."""
    (method,) = plugin._methods  # type: ignore[attr-defined]
    names: list[str] = []
    compare = method._compare

    def count(name: str, password: str) -> Any:
        names.append(name)
        return compare(name, password)

    monkeypatch.setattr(method, "_compare", count)
    return names


def test_a_right_password_is_remembered_for_a_moment_and_a_wrong_one_is_not(users: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    plugin = made({"basic": {"file": str(users), "remember": "1m"}}, clock=clock)
    names = counted(plugin, monkeypatch)
    for _ in range(3):
        assert ask(plugin, basic("ada", "open:sesame"))[0].status == 200
    assert names == ["ada"]
    for _ in range(2):
        assert ask(plugin, basic("ada", "wrong"))[0].status == 401
    assert len(names) == 3
    clock.advance(60)
    assert ask(plugin, basic("ada", "open:sesame"))[0].status == 200
    assert len(names) == 4


async def together(made: Pipeline, exchanges: Sequence[Exchange]) -> list[int]:
    return [reply.status for reply in await asyncio.gather(*(made.answer(ex) for ex in exchanges))]


async def test_a_storm_of_passwords_is_bounded(users: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same one is compared once, however often it comes; of different ones a few at a time, and those beyond are told to come back."""
    plugin = made({"basic": {"file": str(users)}})
    names = counted(plugin, monkeypatch)
    line = pipeline(plugin, upstream=FakeUpstream())
    same = [exchange(headers=[basic("ada", "open:sesame")]) for _ in range(100)]
    assert await together(line, same) == [200] * 100 and names == ["ada"]
    different = [exchange(headers=[basic("ada", str(n))]) for n in range(100)]
    assert sorted(await together(line, different)) == [401] * 36 + [503] * 64
    assert len(names) == 37


async def test_a_comparison_that_takes_too_long(users: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.identity.basic.WITHIN", 0.01)
    plugin = made({"basic": {"file": str(users)}})

    async def never(call: Any) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(type(plugin.host), "run_blocking", lambda self, call: never(call))
    reply = await pipeline(plugin).answer(exchange(headers=[basic("ada", "open:sesame")]))
    assert (reply.status, reply.headers["Retry-After"]) == (503, "5")


@pytest.mark.parametrize(
    ("kept", "right"),
    [
        ("$2b$04$WM0oVtrvHCcjmEAdVQ6yaesOEKtEwgmuPkBZuhnu4uhEfHJrKs5R6", None),
        ("$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$x", False),
    ],
)
def test_hashes_of_others_are_read(kept: str, right: bool | None) -> None:
    import argon2
    import bcrypt

    made = bcrypt.hashpw(b"sesame", bcrypt.gensalt(4)).decode() if right is None else argon2.PasswordHasher(1, 64, 1).hash("sesame")
    check = check_of(made)
    assert (check(b"sesame"), check(b"Sesame"), check(b"")) == (True, False, False)
    assert check_of(made)(b"sesame" + b"x" * 100) is False


@pytest.mark.parametrize(
    "kept",
    [
        "", "sesame", "$1$abc$def", "{SHA}2jmj7l5rSw0yVb", "$scrypt$ln=4,r=8,p=1$c2Fsd$AA", "$2b$04$short",
        f"$scrypt$ln=30,r=8,p=1$c2FsdHNhbHRzYWx0c2FsdA${'A' * 43}", f"$scrypt$ln=4,r=0,p=1$c2FsdHNhbHRzYWx0c2FsdA${'A' * 43}",
        "$argon2id$v=19$m=999999999,t=1,p=1$c2FsdHNhbHQ$AAAA",
    ],
)  # fmt: skip
def test_what_is_no_hash_is_refused_at_load_and_not_repeated(kept: str, tmp_path: Path) -> None:
    (tmp_path / "users.yaml").write_text(orjson.dumps({"users": [{"name": "ada", "password": kept}]}).decode())
    with pytest.raises(ValueError, match=r"^users\.yaml: the password of ada: ") as caught:
        made({"basic": {"file": str(tmp_path / "users.yaml")}})
    assert not kept or kept not in str(caught.value)


@pytest.mark.parametrize("content", ["users: [", "users: {}", "users: [{name: a}]", "users: [{name: 'a:b', password: x}]", "key: 1", "- a"])
def test_a_file_of_users_that_is_not_right(content: str, tmp_path: Path) -> None:
    (tmp_path / "users.yaml").write_text(content)
    with pytest.raises(ValueError, match=r"^users\.yaml: "):
        made({"basic": {"file": str(tmp_path / "users.yaml")}})


# -- several methods


TOKEN = hs({**CLAIMS, "roles": ["admin", "staff"]})
BEARER = ("Authorization", f"Bearer {TOKEN}")
KEY = ("X-API-Key", CRM.text)
BAD_BEARER, BAD_KEY = ("Authorization", f"Bearer {TOKEN}x"), ("X-API-Key", "wrong")


@pytest.mark.parametrize(
    ("how", "sent", "status", "consumer"),
    [
        ("any", [BEARER], 200, "ada"),
        ("any", [KEY], 200, "crm"),
        ("any", [BEARER, KEY], 200, "ada"),
        ("any", [BAD_BEARER, KEY], 200, "crm"),
        ("any", [BEARER, BAD_KEY], 200, "ada"),
        ("any", [BAD_BEARER, BAD_KEY], 401, None),
        ("any", [BAD_KEY], 401, None),
        ("any", [], 401, None),
        ("all", [BEARER, KEY], 200, "ada"),
        ("all", [BEARER], 401, None),
        ("all", [KEY], 401, None),
        ("all", [BEARER, BAD_KEY], 401, None),
        ("all", [BAD_BEARER, KEY], 401, None),
        ("all", [], 401, None),
        ("optional any", [], 200, None),
        ("optional any", [BEARER], 200, "ada"),
        ("optional any", [BAD_BEARER], 401, None),
        ("optional any", [("Authorization", "Negotiate abc")], 200, None),
        ("optional all", [], 200, None),
        ("optional all", [KEY], 401, None),
        ("optional all", [BEARER, KEY], 200, "ada"),
    ],
)
def test_any_all_and_optional(how: str, sent: list[tuple[str, str]], status: int, consumer: str | None, keys: Path) -> None:
    settings: dict[str, Any] = {how.split()[-1]: [JWT, api_key(keys)]}
    reply, ex, upstream = ask(made({**settings, "optional": how.startswith("optional")}), *sent)
    assert (reply.status, ex.consumer) == (status, consumer)
    assert len(upstream.requests) == (status == 200)
    if status == 401:
        assert len(reply.headers.getall("WWW-Authenticate")) == 2
    elif consumer:
        assert "X-API-Key" not in upstream.requests[0][2]  # also a wrong one: it was never for the upstream


def test_of_several_that_all_succeed_groups_and_claims_add_up(keys: Path) -> None:
    _, ex, _ = ask(made({"all": [api_key(keys), JWT]}), BEARER, KEY)
    assert (ex.consumer, ex.groups) == ("crm", ("readers", "staff", "admin"))
    assert (ex.claims["team"], ex.claims["sub"]) == ("sales", "ada")


def test_each_method_challenges(keys: Path) -> None:
    """RFC 9110, section 11.6.1; RFC 6750, section 3: an error is told of what was sent, and of nothing else."""
    plugin = made({"any": [JWT, api_key(keys)]})
    assert ask(plugin)[0].headers.getall("WWW-Authenticate") == ['Bearer realm="gateway"', 'ApiKey realm="gateway", header="X-API-Key"']
    assert ask(plugin, BAD_BEARER)[0].headers.getall("WWW-Authenticate")[0] == 'Bearer realm="gateway", error="invalid_token"'


@pytest.mark.parametrize(
    ("need", "status", "told"),
    [
        ({"groups": "admin"}, 200, b""),
        ({"groups": ["owner", "staff"]}, 200, b""),
        ({"groups": "owner"}, 403, b"This needs the group owner."),
        ({"groups": ["root", "owner"]}, 403, b"This needs the group owner or root."),
        ({"groups": "Admin"}, 403, b"Admin"),
        ({"claims": {"sub": "ada"}}, 200, b""),
        ({"claims": {"sub": ["bob", "ada"]}}, 200, b""),
        ({"claims": {"sub": "bob"}}, 403, b"the claim sub"),
        ({"claims": {"roles": "staff"}}, 200, b""),
        ({"claims": {"verified": True}}, 200, b""),
        ({"claims": {"verified": 1}}, 403, b"verified"),
        ({"claims": {"verified": "true"}}, 403, b"verified"),
        ({"claims": {"address.country": "NL"}}, 200, b""),
        ({"claims": {"address.city": "Delft"}}, 403, b"address.city"),
        ({"claims": {"nothing": "x"}}, 403, b"nothing"),
        ({"groups": "admin", "claims": {"sub": "bob"}}, 403, b"sub"),
    ],
)
def test_groups_and_claims(need: dict[str, Any], status: int, told: bytes) -> None:
    token = hs({**CLAIMS, "roles": ["admin", "staff"], "verified": True, "address": {"country": "NL"}})
    reply, ex, _ = ask(made({**JWT, **need}), ("Authorization", f"Bearer {token}"))
    assert reply.status == status and (ex.consumer == "ada") == (status == 200)
    if status == 403:
        assert reply.entity is not None and told in reply.entity.data
        assert reply.headers.getall("WWW-Authenticate") == ['Bearer realm="gateway", error="insufficient_scope"']


@pytest.mark.parametrize(
    ("claim", "groups"), [("a b", ("a", "b")), (["a b"], ("a b",)), ([1, "a", None, ""], ("a",)), ({"a": 1}, ()), (None, ())]
)
def test_what_groups_are_made_of(claim: Any, groups: tuple[str, ...]) -> None:
    assert ask(made(JWT), ("Authorization", f"Bearer {hs({**CLAIMS, 'roles': claim})}"))[1].groups == groups


# -- what the upstream is told


FORWARD = {"forward": {"consumer": "X-Consumer", "groups": "X-Groups", "claims": {"email": "X-Email", "org": "X-Org"}}}
SPOOFED = [
    ("x-consumer", "root"),
    ("X-CONSUMER", "root"),
    ("X-Groups", "admin"),
    ("X-Email", "root@example.com"),
    ("X-Org", "1"),
    ("X-Other", "kept"),
]


def told(plugin: Plugin[Any], *sent: tuple[str, str]) -> dict[str, str]:
    (request,) = ask(plugin, *SPOOFED, *sent)[2].requests
    return {name: value for name, value in request[2].items() if name not in ("Authorization", "X-Other")}


def test_the_upstream_is_told_who_asks_and_by_nobody_else() -> None:
    token = hs({**CLAIMS, "roles": ["admin", "staff"], "email": "ada@example.com"})
    sent = ("Authorization", f"Bearer {token}")
    expected = {"X-Consumer": "ada", "X-Groups": "admin,staff", "X-Email": "ada@example.com"}
    assert told(made({**JWT, **FORWARD}), sent) == expected
    assert told(made({**JWT, **FORWARD, "optional": True})) == {}  # nobody: and nobody said so


@pytest.mark.parametrize(
    ("value", "header"),
    [
        ("ada", "ada"),
        ("ada@example.com", "ada@example.com"),
        ("Ada Lovelace", "Ada Lovelace"),
        ("ada\r\nX-Admin: 1", "ada%0D%0AX-Admin: 1"),
        ("ada\0", "ada%00"),
        ("a,b", "a%2Cb"),
        ("100%", "100%25"),
        (" ada ", "%20ada%20"),
        ("  ", "%20%20"),
        ("zoë", "zo%C3%AB"),
        ("\ud800", "%ED%A0%80"),
        (7, "7"),
    ],
)
def test_values_stay_values(value: Any, header: str) -> None:
    assert told(made({**JWT, **FORWARD}), ("Authorization", f"Bearer {hs({**CLAIMS, 'sub': value})}"))["X-Consumer"] == header


@pytest.mark.parametrize(
    ("value", "header"),
    [(["a", "b,c"], "a,b%2Cc"), ([1, "a"], '[1,"a"]'), ({"a": "\r\né"}, '{"a":"\\r\\n\\u00e9"}'), (True, "true"), (1.5, "1.5"), ("", "")],
)
def test_claims_of_other_kinds(value: Any, header: str) -> None:
    assert told(made({**JWT, **FORWARD}), ("Authorization", f"Bearer {hs({**CLAIMS, 'org': value})}"))["X-Org"] == header


def test_groups_cannot_be_made_by_a_comma() -> None:
    token = hs({**CLAIMS, "roles": ["guests,admin"]})
    assert told(made({**JWT, **FORWARD}), ("Authorization", f"Bearer {token}"))["X-Groups"] == "guests%2Cadmin"


# -- the rest


def test_a_limit_below_counts_by_who_was_found_out() -> None:
    """From whichever address: and another consumer behind the same one is not held."""
    line = pipeline(made(JWT), load("rate_limit", {"limit": 1, "window": "1m", "by": "consumer"}), upstream=FakeUpstream())
    bob = ("Authorization", f"Bearer {hs({**CLAIMS, 'sub': 'bob'})}")
    asked = [(BEARER, "192.0.2.1"), (BEARER, "192.0.2.2"), (bob, "192.0.2.1")]
    assert [run(line, exchange(headers=[sent], client=client)).status for sent, client in asked] == [200, 429, 200]


def test_observed_it_refuses_nobody() -> None:
    plugin = made(JWT, mode="observe")
    upstream, ex = FakeUpstream(), exchange()
    assert run(pipeline(plugin, upstream=upstream, mode="observe"), ex).status == 200
    assert ex.notes == [("observe", {"plugin": "authenticate", "status": 401})]


def test_observed_it_tells_the_plugins_below_who_asks_and_the_upstream_nothing() -> None:
    upstream, ex = FakeUpstream(), exchange(headers=[*SPOOFED, BEARER])
    run(pipeline(made({**JWT, **FORWARD}, mode="observe"), upstream=upstream, mode="observe"), ex)
    assert ex.consumer == "ada"
    assert list(upstream.requests[0][2].items()) == [*SPOOFED, BEARER]


def test_why_is_in_the_log_alone() -> None:
    reply, ex, _ = ask(made(JWT), BAD_BEARER)
    assert getattr(ex.failure, "reason", "") == "not a token: it is not canonical base64url" or "signature" in getattr(
        ex.failure, "reason", ""
    )
    assert reply.entity is not None and b"signature" not in reply.entity.data and b"base64" not in reply.entity.data


@pytest.mark.parametrize(
    ("sent", "says"),
    [([BEARER], "is ada, in admin, staff"), ([KEY], "is crm, in readers, staff"), ([], "no credentials: passes as nobody")],
)
def test_explained(sent: list[tuple[str, str]], says: str, keys: Path) -> None:
    plugin = made({"any": [JWT, api_key(keys)], "optional": True})
    assert plugin.explain(exchange(headers=sent)) == says


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"any": []},
        {"any": [{}]},
        {"any": [{**JWT, "basic": {"file": "x"}}]},
        {**JWT, "any": [JWT]},
        {"any": [JWT], "all": [JWT]},
        {**JWT, "optional": True, "groups": ["admin"]},
        {**JWT, "forward": {"consumer": "X-A", "groups": "x-a"}},
        {**JWT, "forward": {"consumer": "Host"}},
        {**JWT, "forward": {"consumer": "X A"}},
        {**JWT, "any_of": []},
        {"api_key": {"file": "nowhere.yaml"}},
    ],
)
def test_settings_that_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        made(settings)


async def test_refusals_leave_nothing_to_the_collector(keys: Path) -> None:
    import gc

    line = pipeline(made({"any": [JWT, api_key(keys)]}), upstream=FakeUpstream())
    for sent in ([BAD_BEARER], [BAD_KEY], [], [("Authorization", "Bearer a.b.c")]):
        await line.answer(exchange(headers=sent))
    gc.collect()
    gc.disable()
    try:
        for sent in ([BAD_BEARER], [BAD_KEY], [], [("Authorization", "Bearer a.b.c")], [("Authorization", f"Bearer {hs('[')}")]):
            await line.answer(exchange(headers=sent))
        assert gc.collect() == 0
    finally:
        gc.enable()
