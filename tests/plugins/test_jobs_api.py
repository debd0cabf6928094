"""Jobs over HTTP: 202 when one is stored and not before, the same one for the same key, and nothing for strangers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import orjson
import pytest

from gateway.config.policy import loads
from gateway.errors import ConfigError
from gateway.exchange import Reply
from gateway.jobs.contract import Enqueued, JobsAway, PayloadRefused
from gateway.jobs.memory import MemoryJobs
from gateway.jobs.queue import Queue
from gateway.plugin import Host, Plugin
from gateway.testing import Clock, exchange, host, load, pipeline, run

PAYLOAD = {"to": "ada@example.com", "template": "welcome", "data": {"name": "Ada"}}
ROUTE: dict[str, Any] = {"route": "jobs", "paths": {"jobs": "/internal/jobs/{job}"}}


def api(settings: object = None, jobs: MemoryJobs | None = None, **more: Any) -> Plugin[Any]:
    return load("jobs_api", settings, host=host(jobs=jobs or MemoryJobs(Clock()), senders=["email", "sms"], **ROUTE, **more))


def asked(
    plugin: Plugin[Any],
    method: str,
    name: str,
    content: object = PAYLOAD,
    headers: Mapping[str, str] | None = None,
    *,
    consumer: str | None = "shop",
    query: str = "",
) -> Reply:
    body = None if method != "POST" else content if isinstance(content, bytes) else orjson.dumps(content)
    ex = exchange(method, f"/internal/jobs/{name}{query}", headers or {}, body, params={"job": name})
    ex.consumer = consumer
    return run(pipeline(plugin), ex)


def told(reply: Reply) -> Any:
    assert reply.entity is not None
    return orjson.loads(reply.entity.data)


def test_a_job_is_stored_and_asked_for() -> None:
    plugin = api(jobs=MemoryJobs(lambda: 100.0))
    reply = asked(plugin, "POST", "email", query="?delay=10m&priority=2")
    answer = told(reply)
    assert (reply.status, answer["type"], answer["known"]) == (202, "email", False)
    assert reply.headers["Location"] == f"/internal/jobs/{answer['id']}"
    reply = asked(plugin, "GET", answer["id"])
    assert (reply.status, reply.headers["Cache-Control"]) == (200, "no-store")
    assert told(reply) == {"id": answer["id"], "type": "email", "state": "delayed", "attempt": 0, "created": 100.0, "run_at": 700.0}
    assert "ada" not in repr(told(reply))


class TestTheSameKey:
    def test_is_the_same_job(self) -> None:
        jobs = MemoryJobs(Clock())
        plugin = api(jobs=jobs)
        first, second = (told(asked(plugin, "POST", "email", headers={"Idempotency-Key": "order-7"})) for _ in range(2))
        assert first["id"] == second["id"] and (first["known"], second["known"]) == (False, True)
        assert len(asyncio.run(page(jobs))) == 1

    def test_with_another_payload_is_a_mistake(self) -> None:
        plugin = api()
        asked(plugin, "POST", "email", headers={"Idempotency-Key": "order-7"})
        reply = asked(plugin, "POST", "email", {**PAYLOAD, "to": "eve@example.com"}, {"Idempotency-Key": "order-7"})
        assert reply.status == 422 and "ada" not in repr(told(reply))

    def test_a_consumers_name_does_not_run_into_the_key(self) -> None:
        plugin = api()
        asking = [("shop:eu", "order-7"), ("shop", "eu:order-7"), ("s" * 600, "order-7")]
        replies = [asked(plugin, "POST", "email", headers={"Idempotency-Key": key}, consumer=consumer) for consumer, key in asking]
        assert [reply.status for reply in replies] == [202, 202, 202]
        assert len({told(reply)["id"] for reply in replies}) == 3

    def test_of_another_consumer_or_type_is_another(self) -> None:
        plugin = api()
        found = {
            told(asked(plugin, "POST", kind, headers={"Idempotency-Key": "order-7"}, consumer=consumer))["id"]
            for kind in ("email", "sms")
            for consumer in ("shop", "crm")
        }
        assert len(found) == 4

    def test_later_it_is_another(self) -> None:
        clock = Clock()
        plugin = api({"cooldown": "1h"}, MemoryJobs(clock))
        first = told(asked(plugin, "POST", "email", headers={"Idempotency-Key": "a"}))["id"]
        clock.advance(3601)
        assert told(asked(plugin, "POST", "email", headers={"Idempotency-Key": "a"}))["id"] != first

    @pytest.mark.parametrize("key", ["", "x" * 256, "a\tb", "ü"])
    def test_one_that_is_none(self, key: str) -> None:
        assert asked(api(), "POST", "email", headers={"Idempotency-Key": key}).status == 400


async def page(jobs: MemoryJobs) -> Any:
    return await jobs.page()


@pytest.mark.parametrize(
    ("method", "name", "content", "query", "status"),
    [
        ("POST", "pigeon", PAYLOAD, "", 404),
        ("GET", "nothing", None, "", 404),
        ("DELETE", "email", None, "", 405),
        ("POST", "email", b"{nonsense", "", 400),
        ("POST", "email", b'{"a": "' + b"x" * 70_000 + b'"}', "", 413),
        ("POST", "email", PAYLOAD, "?delay=600", 400),
        ("POST", "email", PAYLOAD, "?delay=soon", 400),
        ("POST", "email", PAYLOAD, "?priority=10", 400),
        ("POST", "email", PAYLOAD, "?urgent", 400),
    ],
)
def test_what_is_refused(method: str, name: str, content: object, query: str, status: int) -> None:
    jobs = MemoryJobs(Clock())
    assert asked(api(jobs=jobs), method, name, content, query=query).status == status
    assert not asyncio.run(page(jobs))


def test_a_job_of_another_kind_is_not_told_of() -> None:
    jobs = MemoryJobs(Clock())
    name = told(asked(api(jobs=jobs), "POST", "sms"))["id"]
    assert asked(api({"types": "email"}, jobs), "GET", name).status == 404
    assert asked(api({"types": "email"}, jobs), "POST", "sms").status == 404


@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
def test_strangers_get_nothing(method: str) -> None:
    jobs = MemoryJobs(Clock())
    name = told(asked(api(jobs=jobs), "POST", "email"))["id"]
    assert asked(api(jobs=jobs), method, "email" if method == "POST" else name, consumer=None).status == 401
    assert len(asyncio.run(page(jobs))) == 1


def test_unless_they_may() -> None:
    assert asked(api({"anonymous": True}), "POST", "email", consumer=None).status == 202


class Failing(Queue):
    def __init__(self, error: Exception) -> None:
        super().__init__(MemoryJobs(Clock()), ["email"])
        self.error = error

    async def enqueue(self, type: str, payload: Any, **more: Any) -> Enqueued:  # noqa: A002
        raise self.error


@pytest.mark.parametrize(
    ("error", "status"), [(JobsAway("the disk is full"), 503), (PayloadRefused("to: expected one address, as in ada@example.com"), 422)]
)
def test_202_is_not_said_of_what_is_not_stored(error: Exception, status: int) -> None:
    made: Host = host(**ROUTE)
    made.jobs = Failing(error)
    reply = asked(load("jobs_api", host=made), "POST", "email")
    assert reply.status == status
    assert reply.headers.get("Retry-After") == ("2" if status == 503 else None)
    assert "disk" not in repr(told(reply))


def test_what_its_sender_refuses_is_refused() -> None:
    def check(payload: Any) -> None:
        raise PayloadRefused("the template welcome needs name, which data does not have")

    made: Host = host(**ROUTE)
    made.jobs = Queue(MemoryJobs(Clock()), ["email"], {"email": check})
    reply = asked(load("jobs_api", host=made), "POST", "email")
    assert reply.status == 422 and told(reply)["detail"].startswith("The job is refused: the template welcome needs name")


def test_it_explains_itself() -> None:
    plugin = api({"types": "email", "anonymous": True})
    assert plugin.explain(exchange("POST", "/")) == "would store a job of one of email"
    assert plugin.explain(exchange("GET", "/")) == "would tell of a job"


@pytest.mark.parametrize(
    ("settings", "route", "why"),
    [
        ({"types": "pigeon"}, ROUTE, 'there is no sender "pigeon"'),
        (None, {"route": "", "paths": {}}, "it stands in a route, whose path ends in a parameter"),
        (None, {"route": "jobs", "paths": {"jobs": "/jobs"}}, "it stands in a route, whose path ends in a parameter"),
    ],
)
def test_mistakes_are_told_at_load(settings: object, route: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        load("jobs_api", settings, host=host(senders=["email"], **route))


def test_a_policy_without_jobs_has_nothing_to_store() -> None:
    with pytest.raises(ValueError, match="the policy has no jobs"):
        load("jobs_api", host=host(**ROUTE))


POLICY = """
version: 1
upstreams: {{leads: {{targets: http://127.0.0.1:3000}}}}
plugins: [{common}]
routes:
  - match: /leads
    upstream: leads
  - name: jobs
    match: "/internal/jobs/{{job}}"
    plugins: [{own}]
"""
KNOWN = "authenticate: {api_key: {keys: []}}"


@pytest.mark.parametrize(
    ("common", "own", "good"),
    [
        ("", "jobs_api", False),
        ("", "jobs_api: {anonymous: true}", True),
        ("", "forward_auth: {url: http://127.0.0.1:1/}, jobs_api", True),
        ("forward_auth: {url: http://127.0.0.1:1/}", "jobs_api", True),
        ("", "jobs_api, forward_auth: {url: http://127.0.0.1:1/}", False),
        ("", "{forward_auth: {url: http://127.0.0.1:1/}, mode: observe}, jobs_api", False),
    ],
)
def test_who_asks_must_be_known(common: str, own: str, good: bool) -> None:
    text = POLICY.format(common=common, own=own)
    if good:
        loads(text, env={})
        return
    with pytest.raises(ConfigError) as error:
        loads(text, env={})
    [mistake] = error.value.mistakes
    assert mistake.path == "routes[1].plugins[0]" or mistake.path.startswith("routes[1].plugins")
    assert "nobody above jobs_api says who asks" in mistake.why
