"""What Meta tells of messages: believed with its signature alone, kept with the job, and told again when it could not be kept."""

from __future__ import annotations

import asyncio
import hmac
from typing import Any

import orjson
import pytest

from gateway.exchange import Reply
from gateway.jobs.contract import JobsAway, NewJob
from gateway.jobs.memory import MemoryJobs
from gateway.jobs.queue import Queue
from gateway.plugin import Plugin
from gateway.testing import Clock, Measured, exchange, host, load, pipeline, run

SECRET = "app-secret"
SETTINGS = {"app_secret": SECRET, "verify_token": "our-token"}


def plugin(jobs: MemoryJobs | None = None, **more: Any) -> Plugin[Any]:
    return load("whatsapp_status", SETTINGS, host=host(jobs=jobs, senders=["whatsapp"], **more))


def told(made: Plugin[Any], content: object, signature: str | None = None, secret: str = SECRET) -> Reply:
    body = content if isinstance(content, bytes) else orjson.dumps(content)
    signature = f"sha256={hmac.digest(secret.encode(), body, 'sha256').hex()}" if signature is None else signature
    return run(pipeline(made), exchange("POST", "/whatsapp", {"X-Hub-Signature-256": signature} if signature else {}, body))


def status(state: str, job: object = "job1", **more: Any) -> dict[str, Any]:
    one = {"id": "wamid.1", "status": state, "timestamp": "1790000000", "recipient_id": "4915112345678", "biz_opaque_callback_data": job}
    return {
        "object": "whatsapp_business_account",
        "entry": [{"id": "1", "changes": [{"field": "messages", "value": {"statuses": [one | more]}}]}],
    }


def kept(jobs: MemoryJobs) -> Any:
    job = asyncio.run(jobs.get("job1"))
    assert job is not None
    return dict(job.notes)


@pytest.fixture
def jobs() -> MemoryJobs:
    made = MemoryJobs(Clock())
    asyncio.run(made.enqueue(NewJob(id="job1", type="whatsapp", payload={})))
    return made


def test_statuses_are_kept_in_whatever_order_they_come(jobs: MemoryJobs) -> None:
    metrics = Measured()
    made = plugin(jobs, metrics=metrics)
    for state in ("read", "sent", "delivered", "sent"):
        assert told(made, status(state)).status == 200
    assert kept(jobs) == {state: {"at": "1790000000"} for state in ("read", "sent", "delivered")}
    assert metrics.value("whatsapp.statuses", status="sent") == 2


def test_a_failure_is_kept_with_its_reason(jobs: MemoryJobs) -> None:
    failure = [{"code": 131026, "title": "Message undeliverable", "error_data": {"details": "to 4915112345678"}}]
    told(plugin(jobs), status("failed", errors=failure))
    assert kept(jobs) == {"failed": {"at": "1790000000", "code": 131026, "why": "Message undeliverable"}}


@pytest.mark.parametrize("signature", ["", "sha256=", "sha256=00", "sha1=abc", "sha256=ü"])
def test_without_the_right_signature_nothing_is_believed(jobs: MemoryJobs, signature: str) -> None:
    assert told(plugin(jobs), status("read"), signature).status == 403
    assert told(plugin(jobs), status("read"), secret="another").status == 403
    assert kept(jobs) == {}


@pytest.mark.parametrize(
    "content",
    [
        {},
        [],
        7,
        {"entry": 7},
        {"entry": [7]},
        {"entry": [{"changes": {"value": 1}}]},
        {"entry": [{"changes": [{"value": None}]}]},
        {"entry": [{"changes": [{"value": {"messages": [{"text": "a message of a customer's"}]}}]}]},
        status("read", job=None),
        status("read", job=["job1"]),
        status("read", job="another"),
        status("burnt"),
        status("failed", errors="all"),
    ],
)
def test_what_is_none_of_ours_is_taken_and_forgotten(jobs: MemoryJobs, content: object) -> None:
    """Else it is told again and again, for days."""
    assert told(plugin(jobs), content).status == 200
    assert set(kept(jobs)) <= {"failed"}


def test_what_is_no_json_is_refused(jobs: MemoryJobs) -> None:
    assert told(plugin(jobs), b"{nonsense").status == 400


def test_what_cannot_be_kept_is_to_be_told_again() -> None:
    class Away(Queue):
        async def note(self, id: str, notes: Any) -> bool:  # noqa: A002
            raise JobsAway("the disk is full")

    made = host()
    made.jobs = Away(MemoryJobs(Clock()), ["whatsapp"])
    assert told(load("whatsapp_status", SETTINGS, host=made), status("read")).status == 503


@pytest.mark.parametrize(
    ("query", "code", "body"),
    [
        ("hub.mode=subscribe&hub.verify_token=our-token&hub.challenge=1158201444", 200, b"1158201444"),
        ("hub.mode=subscribe&hub.verify_token=wrong&hub.challenge=1158201444", 403, None),
        ("hub.mode=subscribe&hub.challenge=1158201444", 403, None),
        ("hub.mode=other&hub.verify_token=our-token&hub.challenge=1158201444", 403, None),
        ("hub.mode=subscribe&hub.verify_token=our-token", 400, None),
        ("hub.mode=subscribe&hub.verify_token=our-token&hub.challenge=<script>", 400, None),
        ("", 403, None),
    ],
)
def test_metas_question_is_answered(query: str, code: int, body: bytes | None) -> None:
    reply = run(pipeline(plugin()), exchange("GET", f"/whatsapp?{query}"))
    assert reply.status == code and reply.entity is not None
    assert body is None or reply.entity.data == body


def test_other_methods_are_not_allowed() -> None:
    assert run(pipeline(plugin()), exchange("PUT", "/whatsapp", body=b"")).status == 405


def test_it_explains_itself() -> None:
    assert plugin().explain(exchange("GET", "/")) == "would answer Meta's challenge"
    assert plugin().explain(exchange("POST", "/")) == "would keep what Meta tells of messages"
