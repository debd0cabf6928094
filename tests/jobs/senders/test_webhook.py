"""Webhooks: signed as Standard Webhooks, by its own test vector, and what each answer makes of the job."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pydantic import ValidationError

from gateway.jobs.contract import LATER, Dead, PayloadRefused, Retry
from gateway.jobs.senders.webhook import secret
from gateway.testing import host as made_host
from tests.jobs.senders.support import CREATED, HANG, Calling, answer, answering, job, sender

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = f"whsec_{base64.b64encode(b'o' * 32).decode()}"


@asynccontextmanager
async def calling(*answers: bytes, **settings: Any) -> AsyncIterator[tuple[Any, Any, dict[str, Any]]]:
    service = Calling()
    async with answering(*answers) as listener:
        handler = sender("webhook", {"secret": SECRET, **settings}, host=made_host(service=service, time=lambda: CREATED + 9.7))  # type: ignore[arg-type]
        payload = {"to": f"http://127.0.0.1:{listener.port}/hooks?a=1", "template": "lead.created", "data": {"id": 7}}
        try:
            yield handler, listener, payload
        finally:
            await service.outbound.close()


async def test_a_webhook_is_signed() -> None:
    async with calling(answer(204), secret=[SECRET, OTHER]) as (handler, listener, payload):
        assert await handler.run(job(payload, "webhook", id="msg_1")) == {"status": 204}
    [(line, headers, body)] = listener.requests
    assert line == "POST /hooks?a=1 HTTP/1.1"
    assert json.loads(body) == {"type": "lead.created", "timestamp": "2026-09-21T14:13:20.000Z", "data": {"id": 7}}
    assert (headers["webhook-id"], headers["idempotency-key"], headers["webhook-timestamp"]) == ("msg_1", "msg_1", "1790000009")
    signed = b"msg_1.1790000009." + body
    wanted = [f"v1,{base64.b64encode(hmac.digest(secret(one), signed, 'sha256')).decode()}" for one in (SECRET, OTHER)]
    assert headers["webhook-signature"] == " ".join(wanted)


def test_the_signature_is_that_of_the_specification(monkeypatch: pytest.MonkeyPatch) -> None:
    """The example that the specification's libraries are all tested with."""
    handler = sender("webhook", {"secret": SECRET})
    headers = handler._headers(job({}, id="msg_p5jXN8AQM9LWM0D4loKWxJek"), 1614265330, b'{"test": 2432232314}')
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(
    ("sent", "outcome", "after"),
    [
        (answer(500), Retry, None),
        (answer(503, b"", "Retry-After: 30"), Retry, 30.0),
        (answer(429, b"", "Retry-After: nonsense"), Retry, None),
        (answer(404), Retry, None),
        (answer(302, b"", "Location: http://127.0.0.1:1/"), Retry, None),
        (answer(410), Dead, None),
        (answer(200, b"x" * 70_000), Retry, None),
        (b"", Retry, None),
    ],
)
async def test_what_the_other_side_answers(sent: bytes, outcome: type[Exception], after: float | None) -> None:
    async with calling(sent) as (handler, listener, payload):
        with pytest.raises(outcome) as error:
            await handler.run(job(payload, "webhook"))
        assert getattr(error.value, "after", None) == after
        assert len(listener.requests) == 1


async def test_one_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.jobs.senders.webhook.WITHIN", 0.2)
    async with calling(HANG) as (handler, _, payload):
        with pytest.raises(Retry):
            await handler.run(job(payload, "webhook"))


@pytest.mark.parametrize(
    ("to", "hosts", "why"),
    [
        ("ftp://example.com/", (), "to: expected the URL of who listens"),
        ("https://", (), "to: expected the URL of who listens"),
        ("https://user:password@example.com/", (), "to: expected the URL of who listens"),
        ("https://example.com/a b", (), "to: expected the URL of who listens"),
        ("https://example.com/\r\nX: y", (), "to: expected the URL of who listens"),
        ("https://[::1", (), "to: expected the URL of who listens"),
        (7, (), "to: expected the URL of who listens"),
        ("https://evil.example.net/", ("hooks.example.com",), "to: evil.example.net is none of the hosts"),
        ("https://hooks.example.com.evil.net/", ("hooks.example.com",), "to: hooks.example.com.evil.net is none of the hosts"),
    ],
)
def test_where_none_goes(to: object, hosts: tuple[str, ...], why: str) -> None:
    handler = sender("webhook", {"secret": SECRET, "hosts": hosts})
    with pytest.raises(PayloadRefused) as error:
        handler.check({"to": to, "template": "x"})
    assert str(error.value).startswith(why)
    handler.check({"to": "https://HOOKS.example.com/", "template": "x"})
    handler.check({"to": LATER, "template": "x"})


@pytest.mark.parametrize("value", ["", [], None])
def test_without_a_secret_none_is_sent(value: object) -> None:
    with pytest.raises(PayloadRefused, match="has no secret"):
        sender("webhook", {"secret": value}).check({"to": "https://example.com"})


@pytest.mark.parametrize("value", ["sesame", "whsec_", "whsec_c2hvcnQ=", "whsec_not base64", f"whsec_{'A' * 200}"])
def test_what_is_no_secret(value: str) -> None:
    with pytest.raises(ValidationError, match="no secret of Standard Webhooks; make one"):
        sender("webhook", {"secret": value})
