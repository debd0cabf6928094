"""WhatsApp messages, to a stub of the Cloud API over real sockets: what is sent, and what each of its answers makes of the job."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from gateway.jobs.contract import LATER, Dead, Park, PayloadRefused, Retry
from gateway.testing import host as made_host
from tests.jobs.senders.support import CREATED, HANG, Calling, answer, answering, job, sender

PAYLOAD = {"to": "+49 151 1234-5678", "template": "new_lead", "data": {"name": "Ada", "city": "London"}}
TAKEN = answer(200, b'{"messaging_product": "whatsapp", "messages": [{"id": "wamid.1"}]}')


def refused(code: object, status: int = 400, *fields: str, **more: Any) -> bytes:
    return answer(status, json.dumps({"error": {"message": "(#1) No", "code": code, **more}}).encode(), *fields)


@asynccontextmanager
async def sending(*answers: bytes, folder: Path = Path(), **settings: Any) -> AsyncIterator[tuple[Any, Any]]:
    calling = Calling()
    async with answering(*answers) as api:
        settings = {"url": f"http://127.0.0.1:{api.port}/v23.0", "token": "t0ken", "phone_number_id": "4711", **settings}
        handler = sender("whatsapp", settings, folder, made_host(service=calling, time=lambda: CREATED))  # type: ignore[arg-type]
        try:
            yield handler, api
        finally:
            await handler.stop()
            await calling.outbound.close()


@pytest.mark.parametrize(
    ("settings", "parameters"),
    [
        (
            {},
            [{"type": "text", "parameter_name": "name", "text": "Ada"}, {"type": "text", "parameter_name": "city", "text": "London"}],
        ),
        ({"parameters": "positional"}, [{"type": "text", "text": "Ada"}, {"type": "text", "text": "London"}]),
    ],
)
async def test_a_template_is_sent(settings: dict[str, Any], parameters: list[dict[str, str]]) -> None:
    async with sending(TAKEN, language="en_US", **settings) as (handler, api):
        assert await handler.run(job(PAYLOAD, "whatsapp")) == {"message": "wamid.1"}
    [(line, headers, body)] = api.requests
    assert line == "POST /v23.0/4711/messages HTTP/1.1"
    assert (headers["authorization"], headers["content-type"]) == ("Bearer t0ken", "application/json")
    assert json.loads(body) == {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": "+4915112345678",
        "biz_opaque_callback_data": "0af7651916cd43dd8448eb211c80319c",
        "type": "template",
        "template": {"name": "new_lead", "language": {"code": "en_US"}, "components": [{"type": "body", "parameters": parameters}]},
    }


async def test_a_text_is_sent() -> None:
    async with sending(TAKEN) as (handler, api):
        await handler.run(job({"to": "+4915112345678", "data": {"text": "Hello\nAda"}}, "whatsapp"))
    sent = json.loads(api.requests[0][2])
    assert (sent["type"], sent["text"]) == ("text", {"body": "Hello\nAda"})


async def test_a_copy_of_the_template_says_what_is_sent(tmp_path: Path) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates/new_lead.whatsapp.txt").write_text("A lead from {{ city }}: {{ name }}, of {{ city }}.")
    async with sending(TAKEN, folder=tmp_path, templates="templates", parameters="positional") as (handler, api):
        await handler.run(job({**PAYLOAD, "data": {**PAYLOAD["data"], "phone": "1"}}, "whatsapp"))  # type: ignore[dict-item]
        with pytest.raises(PayloadRefused, match="the template new_lead needs city, which data does not have"):
            handler.check({**PAYLOAD, "data": {"name": "Ada"}})
        with pytest.raises(PayloadRefused, match=r'there is no template "old_lead" for WhatsApp: old_lead\.whatsapp\.txt belongs into'):
            handler.check({**PAYLOAD, "template": "old_lead"})
    [component] = json.loads(api.requests[0][2])["template"]["components"]
    assert [one["text"] for one in component["parameters"]] == ["London", "Ada"]


@pytest.mark.parametrize(
    ("sent", "outcome", "after"),
    [
        (refused(130429, 400), Retry, None),
        (refused(130429, 429, "Retry-After: 7"), Retry, 7.0),
        (refused(131056, 400, "Retry-After: 999999999"), Retry, 86400.0),
        (refused(131000, 500), Retry, None),
        (refused(131016, 503, "Retry-After: Mon, 21 Sep 2026 14:14:20 GMT"), Retry, 60.0),
        (refused(80007, 400), Retry, None),
        (refused(2, 200), Retry, None),
        (refused(190, 401), Park, None),
        (refused(190, 200), Park, None),
        (refused("190", 400), Park, None),
        (refused("130429", 400), Retry, None),
        (refused(10, 403), Park, None),
        (refused(131031, 403), Park, None),
        (refused(131026, 400), Dead, None),
        (refused(131026, 200), Dead, None),
        (refused(132000, 400), Dead, None),
        (refused(131047, 400), Dead, None),
        (refused(999999, 400), Dead, None),
        (refused(999999, 500), Retry, None),
        (refused("x", 400), Dead, None),
        (refused({"a": 1}, 400), Dead, None),
        (answer(429, b"slow down", "Retry-After: 3"), Retry, 3.0),
        (answer(502, b"<html>"), Retry, None),
        (answer(401, b""), Park, None),
        (answer(301, b"", "Location: https://example.com"), Park, None),
        (answer(404, b"<html>"), Dead, None),
        (answer(200, b"<html>welcome to our portal"), Retry, None),
        (answer(200, b""), Retry, None),
        (answer(200, b"[]"), Retry, None),
        (answer(200, b'{"messages": []}'), Retry, None),
        (answer(200, b'{"messages": [{"id": null}]}'), Retry, None),
        (answer(200, b'{"messages": [{"id": ""}]}'), Retry, None),
        (answer(200, b'{"error": "no"}'), Retry, None),
        (answer(200, b"x" * 70_000), Retry, None),
        (b"SSH-2.0-OpenSSH\r\n", Retry, None),
        (b"", Retry, None),
    ],
)
async def test_what_the_api_answers(sent: bytes, outcome: type[Exception], after: float | None) -> None:
    """By the code, whatever the status: an error may come with 200. Codes: docs/whatsapp/cloud-api/support/error-codes."""
    async with sending(sent) as (handler, _):
        with pytest.raises(outcome) as error:
            await handler.run(job(PAYLOAD, "whatsapp"))
        assert getattr(error.value, "after", None) == after


async def test_an_api_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.jobs.senders.whatsapp.WITHIN", 0.2)
    async with sending(HANG) as (handler, _):
        with pytest.raises(Retry, match=re.escape("no whole answer within 0.2 s")):
            await handler.run(job(PAYLOAD, "whatsapp"))


async def test_no_number_gets_into_a_reason() -> None:
    details = {"details": "Recipient +4915112345678 (or 4915112345678) not on WhatsApp\r\nSet-Cookie: x"}
    async with sending(refused(131026, error_data=details)) as (handler, _):
        with pytest.raises(Dead) as error:
            await handler.run(job(PAYLOAD, "whatsapp"))
    assert str(error.value) == "the API refuses: 131026 Recipient [redacted] (or [redacted]) not on WhatsApp Set-Cookie: x"


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        ({"to": "12"}, "to: expected a telephone number"),
        ({"to": "+0151123456"}, "to: expected a telephone number"),
        ({"to": "+4915112345678\r\nX: y"}, "to: expected a telephone number"),
        ({"to": "+4915112345678,+4915112345679"}, "to: expected a telephone number"),
        ({"to": ["+4915112345678"]}, "to: expected a telephone number"),
        ({"to": ""}, "to is missing"),
        ({"template": "", "data": {}}, "a message has a template, or data: {text: ...}"),
        ({"template": "", "data": {"text": "x" * 5000}}, "a message has a template, or data: {text: ...}"),
        ({"template": "", "data": {"text": 7}}, "a message has a template, or data: {text: ...}"),
    ],
)
async def test_what_is_refused(payload: dict[str, Any], why: str) -> None:
    async with sending(TAKEN) as (handler, api):
        with pytest.raises(PayloadRefused) as error:
            handler.check({**PAYLOAD, **payload})
        assert str(error.value).startswith(why)
        handler.check({"to": LATER, "template": "new_lead", "data": {"name": LATER}})
        handler.check({"to": LATER, "data": {"text": LATER}})
    assert api.requests == []


@pytest.mark.parametrize("value", [None, "", " \n ", True, ["a"], {"a": 1}])
async def test_a_parameter_without_text_is_parked(value: object) -> None:
    async with sending(TAKEN) as (handler, api):
        with pytest.raises(Park, match="data: name is no text, or an empty one"):
            await handler.run(job({**PAYLOAD, "data": {"name": value}}, "whatsapp"))
    assert api.requests == []


async def test_a_parameter_is_one_line() -> None:
    async with sending(TAKEN) as (handler, api):
        await handler.run(job({**PAYLOAD, "data": {"name": "Ada\n\tLovelace     Byron"}}, "whatsapp"))
    assert json.loads(api.requests[0][2])["template"]["components"][0]["parameters"][0]["text"] == "Ada Lovelace Byron"


async def test_the_outbox_has_what_would_be_sent(tmp_path: Path) -> None:
    handler = sender("whatsapp", {"url": "outbox:var/outbox"}, tmp_path)
    assert await handler.run(job(PAYLOAD, "whatsapp")) == {"file": "20260921T141320Z-whatsapp-0af7651916cd43dd8448eb211c80319c.json"}
    [file] = (tmp_path / "var/outbox").iterdir()
    assert json.loads(file.read_bytes())["template"]["name"] == "new_lead"


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"url": "graph.facebook.com"}, "expected the URL of the Cloud API"),
        ({"token": ""}, "token is missing"),
        ({"phone_number_id": ""}, "phone_number_id is missing"),
        ({"phone_number_id": "+49"}, "String should match pattern"),
        ({"language": "English"}, "String should match pattern"),
    ],
)
def test_mistakes_are_told_at_load(settings: dict[str, str], why: str) -> None:
    with pytest.raises(ValidationError) as error:
        sender("whatsapp", {"url": "https://graph.facebook.com/v23.0", "token": "t", "phone_number_id": "1", **settings})
    assert why in str(error.value)
