"""Signed requests: which pass, which do not, once and no more; and what the upstream is sent."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from gateway.exchange import Exchange, Headers, Reply
from gateway.plugin import Plugin
from gateway.signing import Message, Secrets, content_digest, sign, sign_webhook, verify, verify_webhook
from gateway.store.contract import StoreAway
from gateway.store.memory import MemoryStore
from gateway.testing import Clock, FakeUpstream, Measured, exchange, host, load, pipeline, run
from tests.support import RawClient, RawUpstream
from tests.support import gateway as serving

SECRET, OTHER = "0123456789abcdef0123456789abcdef", "another-secret-of-32-bytes-......"
KEYS = [{"id": "crm", "secret": SECRET}, {"id": "shop", "secret": [OTHER, "yet-another-secret-of-32-bytes-.."]}]
VERIFY: dict[str, Any] = {"verify": {"keys": KEYS}}
WEBHOOKS: dict[str, Any] = {"verify": {"keys": KEYS, "scheme": "webhooks"}}
NOW = 1_800_000_000.0


def made(settings: object = VERIFY, **more: Any) -> Plugin[Any]:
    clock = Clock(NOW)
    return load("signature", settings, host=host(clock=clock, time=clock, **more))


def request(
    body: bytes = b"hi", *, method: str = "POST", target: str = "/leads?a=1", key: str = "crm", secret: str = SECRET,
    created: float = NOW, covers: tuple[str, ...] = ("@method", "@target-uri"), nonce: str = "n",
) -> Exchange:  # fmt: skip
    """One that is signed by RFC 9421."""
    headers = Headers([("Content-Digest", content_digest(body))] if body else [])
    message = Message(method, "http", "gateway.test", target, headers)
    components = (*covers, "content-digest") if body else covers
    headers["Signature-Input"], headers["Signature"] = sign(message, key, secret.encode(), components, int(created), nonce)
    return whole(exchange(method, target, tuple(headers.items())), body)


def whole(ex: Exchange, body: bytes) -> Exchange:
    """With a body as it came: one that replaces another would take its digest off."""
    ex.body_at_hand, ex.content_length = body, len(body)
    return ex


def webhook(body: bytes = b"hi", *, secret: str = SECRET, created: float = NOW) -> Exchange:
    fields = {"webhook-id": "msg_1", "webhook-timestamp": str(int(created))}
    return exchange("POST", "/", fields | {"webhook-signature": sign_webhook("msg_1", int(created), body, secret.encode())}, body)


def status(plugin: Plugin[Any], ex: Exchange) -> int:
    return run(pipeline(plugin, upstream=FakeUpstream()), ex).status


@pytest.mark.parametrize("settings", [VERIFY, WEBHOOKS])
def test_who_signs_is_known(settings: object) -> None:
    for secret, key in ((SECRET, "crm"), (OTHER, "shop"), ("yet-another-secret-of-32-bytes-..", "shop")):
        ex = request(key=key, secret=secret) if settings is VERIFY else webhook(secret=secret)
        assert (status(made(settings), ex), ex.consumer) == (200, key)


def test_who_is_known_already_stays_who_it_is() -> None:
    ex = request()
    ex.consumer = "ada"
    assert (status(made(), ex), ex.consumer) == (200, "ada")


def changed(ex: Exchange, **parts: Any) -> Exchange:
    for name, value in parts.items():
        setattr(ex, name, value)
    return ex


def without(ex: Exchange, name: str) -> Exchange:
    ex.headers.popall(name)
    return ex


REFUSED: dict[str, tuple[object, Exchange]] = {
    "not signed": (VERIFY, exchange("POST", body=b"hi")),
    "not signed, without a body": (VERIFY, exchange("GET")),
    "another method": (VERIFY, changed(request(), method="PUT")),
    "another target": (VERIFY, changed(request(), target="/leads/2")),
    "another host": (VERIFY, changed(request(), host="evil.test")),
    "another scheme": (VERIFY, changed(request(), scheme="https")),
    "another body": (VERIFY, changed(request(), body_at_hand=b"ho")),
    "a body where there was none": (VERIFY, changed(request(b""), body_at_hand=b"ho")),
    "no body where there was one": (VERIFY, changed(request(), body_at_hand=b"")),
    "a digest that is not covered": (VERIFY, changed(request(b""), body_at_hand=b"hi", headers=None)),
    "no digest": (VERIFY, without(request(), "Content-Digest")),
    "a key that is not known": (VERIFY, request(key="nobody")),
    "another's key": (VERIFY, request(key="shop")),
    "another secret": (VERIFY, request(secret="x" * 32)),
    "too old": (VERIFY, request(created=NOW - 301)),
    "of the future": (VERIFY, request(created=NOW + 301)),
    "it covers too little": (VERIFY, request(covers=("@method",))),
    "it does not cover what is asked for": ({"verify": {"keys": KEYS, "components": ["@method", "date"]}}, request()),
    "garbage": (VERIFY, exchange("POST", headers={"Signature-Input": "\udcff(", "Signature": "\x01"})),
    "a webhook is no message": (VERIFY, webhook()),
    "a message is no webhook": (WEBHOOKS, request()),
    "a webhook of another body": (WEBHOOKS, changed(webhook(), body_at_hand=b"ho")),
    "a webhook by another secret": (WEBHOOKS, webhook(secret="x" * 32)),
    "a webhook that is too old": (WEBHOOKS, webhook(created=NOW - 301)),
}
_uncovered = REFUSED["a digest that is not covered"][1]
_uncovered.headers = request(b"").headers
_uncovered.headers["Content-Digest"] = content_digest(b"hi")


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name: str) -> None:
    settings, ex = REFUSED[name]
    upstream = FakeUpstream()
    reply = run(pipeline(made(settings), upstream=upstream), ex)
    assert (reply.status, upstream.requests, ex.consumer) == (401, [], None)
    assert reply.entity is not None and b"signature-invalid" in reply.entity.data
    assert reply.headers["WWW-Authenticate"] == 'Signature realm="gateway"'
    wants = reply.headers.get("Accept-Signature", "")
    assert (wants.startswith('gateway=("@method" ') and wants.endswith(';alg="hmac-sha256"')) or settings is WEBHOOKS


def test_a_request_without_a_body_needs_no_digest() -> None:
    assert status(made(), request(b"", method="GET")) == 200


@pytest.mark.parametrize("settings", [VERIFY, WEBHOOKS])
def test_a_signature_counts_once(settings: object) -> None:
    clock, measured = Clock(NOW), Measured()
    store = MemoryStore(clock)
    plugins = [load("signature", settings, host=host(clock=clock, time=clock, metrics=measured)) for _ in range(2)]
    for plugin in plugins:
        plugin.host.store = store
    ex = request if settings is VERIFY else webhook
    assert [status(plugin, ex()) for plugin in (*plugins, *plugins)] == [200, 401, 401, 401]
    assert status(plugins[0], ex(created=NOW + 1)) == 200  # signed again, it is another
    clock.advance(301)  # no longer remembered, and no longer good
    assert status(plugins[1], ex()) == 401
    assert measured.value("signature.requests", outcome="good") == 2
    assert measured.value("signature.requests", outcome="replayed") == 3
    assert measured.value("signature.requests", outcome="bad") == 1


@pytest.mark.parametrize("ahead", [-299, 0, 299])
def test_it_is_remembered_for_as_long_as_it_counts(ahead: float) -> None:
    """Clocks may differ by the window: one that is ahead keeps its signatures good for longer."""
    clock = Clock(NOW)
    plugin = load("signature", VERIFY, host=host(clock=clock, time=clock))
    assert status(plugin, request(created=NOW + ahead)) == 200
    for _ in range(61):
        assert status(plugin, request(created=NOW + ahead)) == 401
        clock.advance(10)


class Away(MemoryStore):
    async def set(self, *args: Any, **named: Any) -> bool:
        raise StoreAway("it is frozen")


@pytest.mark.parametrize(("on_failure", "expected"), [("closed", 503), ("open", 200)])
def test_while_the_store_is_away(on_failure: str, expected: int) -> None:
    plugin = made({"verify": {"keys": KEYS, "on_failure": on_failure}})
    plugin.host.store = Away(Clock())
    assert [status(plugin, request()), status(plugin, request(secret="x" * 32))] == [expected, 401]


def test_observed() -> None:
    ex = exchange("POST", body=b"hi")
    assert run(pipeline(made(VERIFY, mode="observe"), upstream=FakeUpstream(), mode="observe"), ex).status == 200
    assert ex.notes == [("observe", {"plugin": "signature", "status": 401})]


async def test_explained() -> None:
    plugin = made({**VERIFY, "sign": {"key": KEYS[0]}})
    for _ in range(2):  # it is not used up
        assert await plugin.explain(request()) == "is signed by crm, signs what goes upstream as crm"  # type: ignore[misc]


# what the upstream is sent

SIGN: dict[str, Any] = {"sign": {"key": {"id": "gw", "secret": [SECRET, OTHER]}}}
GATEWAY = Secrets({"gw": [SECRET]})


@pytest.mark.parametrize("body", [b"hi", b""])
@pytest.mark.parametrize("components", [None, ["@method", "@authority", "@path", "@query", "x-request-id"]])
def test_the_upstream_can_verify(body: bytes, components: list[str] | None) -> None:
    upstream = FakeUpstream()
    settings = {"sign": SIGN["sign"] | ({"components": components} if components else {})}
    headers = {"Signature": "gateway=:AAAA:", "Signature-Input": 'gateway=("date")', "Content-Digest": "md5=:AAAA:", "X-Request-Id": "r1"}
    run(pipeline(made(settings), upstream=upstream), whole(exchange("POST", "/leads?a=1", headers), body))
    ((method, target, sent, received),) = upstream.requests
    message = Message(method, "http", "upstream.test", target, sent)
    covered = (*(components or ("@method", "@target-uri")), *(["content-digest"] if body else []))
    assert verify(message, GATEWAY, covered, NOW, 1).key == "gw"
    assert sent.getall("Content-Digest", []) == ([content_digest(body)] if body else []) and received == body
    with pytest.raises(ValueError, match=r"."):
        verify(replace(message, target="/leads?a=2"), GATEWAY, covered, NOW, 1)


def test_each_try_is_signed_anew() -> None:
    upstream, chain = FakeUpstream(), pipeline(made(SIGN))
    chain.send = upstream.send

    async def twice(ex: Exchange, pipeline: Any) -> Reply:
        await upstream.send(ex, pipeline)
        return await upstream.send(ex, pipeline)

    chain.send = twice
    run(chain, exchange("POST", body=b"hi"))
    signatures = [sent.getall("Signature") for _, _, sent, _ in upstream.requests]
    assert [len(found) for found in signatures] == [1, 1] and signatures[0] != signatures[1]


def test_signed_as_a_webhook() -> None:
    upstream = FakeUpstream()
    plugin = made({"sign": SIGN["sign"] | {"scheme": "webhooks"}})
    ex = exchange("POST", headers={"webhook-id": "theirs", "webhook-signature": "v1,AAAA"}, body=b"hi")
    run(pipeline(plugin, upstream=upstream), ex)
    ((_, _, sent, _),) = upstream.requests
    assert verify_webhook(sent, b"hi", GATEWAY, NOW, 1).key == "gw"
    assert sent.getall("webhook-id") == [f"msg_{ex.request_id}"]


def test_what_is_to_be_signed_must_be_there() -> None:
    plugin = made({"sign": SIGN["sign"] | {"components": ["@method", "date"]}})
    assert status(plugin, exchange("POST", body=b"hi")) == 400


POLICY = """
version: 1
upstreams: {{service: {{targets: ["{url}"]}}}}
plugins: [signature: {{sign: {{key: {{id: gw, secret: 0123456789abcdef0123456789abcdef}}}}}}]
routes: [{{name: all, match: "/**", upstream: service}}]
"""


async def test_over_a_real_connection() -> None:
    async with (
        RawUpstream() as upstream,
        serving(POLICY.format(url=upstream.url)) as running,
        RawClient(running.port) as client,
    ):
        client.send(b"POST /t?a=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi")
        (reply,) = await client.read(1)
    (received,) = upstream.received
    headers = Headers([(name.decode(), value.decode()) for name, value in received.fields])
    message = Message(received.method.decode(), "http", headers["Host"], received.target.decode(), headers)
    assert reply.status == 200
    assert verify(message, GATEWAY, ("@method", "@target-uri", "content-digest"), time.time(), 60)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"verify": {}},
        {"verify": {"keys": []}},
        {"verify": {"keys": [{"id": "a"}]}},
        {"verify": {"keys": [{"id": "a", "secret": "short"}]}},
        {"verify": {"keys": [{"id": "a", "secret": "whsec_notbase64notbase64!"}]}},
        {"verify": {"keys": [{"id": "a", "secret": []}]}},
        {"verify": {"keys": [{"id": 'a"b', "secret": SECRET}]}},
        {"verify": {"keys": [KEYS[0], KEYS[0]]}},
        {"verify": {"keys": KEYS, "scheme": "aws4"}},
        {"verify": {"keys": KEYS, "window": "2d"}},
        {"verify": {"keys": KEYS, "components": []}},
        {"verify": {"keys": KEYS, "components": ["Date"]}},
        {"verify": {"keys": KEYS, "components": ["date", "date"]}},
        {"verify": {"keys": KEYS, "components": ["@status"]}},
        {"sign": {"scheme": "webhooks"}},
        {"sign": {"key": {"id": "a", "secret": ""}}},
    ],
)
def test_refused_at_load(settings: Any) -> None:
    with pytest.raises(ValidationError):
        load("signature", settings)
