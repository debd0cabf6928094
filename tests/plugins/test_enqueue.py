"""Jobs of what answers mean: which answers, with what, stored when; and that the client's answer is as it would be without."""

from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from gateway.errors import BadGateway
from gateway.exchange import Exchange, Headers, Reply
from gateway.jobs.contract import Enqueued, Job, JobsAway, PayloadRefused
from gateway.jobs.memory import MemoryJobs
from gateway.jobs.queue import Queue
from gateway.plugin import Host
from gateway.testing import Clock, FakeUpstream, Measured, exchange, host, load, pipeline, run, streamed

EMAIL = {"job": "email", "template": "welcome", "to": "{{ response.body.email }}", "data": {"name": "{{ response.body.name }}"}}
LEAD = {"id": 7, "email": "ada@example.com", "name": "Ada", "tags": ["a", "b"], "address": {"country": "DE"}, "nothing": None}


def created(content: object = LEAD, status: int = 201) -> FakeUpstream:
    return FakeUpstream(lambda ex: Reply.json(status, content))


def fired(settings: object, ex: Exchange | None = None, upstream: FakeUpstream | None = None, **options: Any) -> list[Job]:
    """The jobs that one exchange gives rise to."""
    jobs = MemoryJobs(lambda: 0.0)
    plugin = load("enqueue", settings, host=host(jobs=jobs, senders=["email"], **options))
    run(pipeline(plugin, upstream=upstream or created()), ex or exchange("POST", "/leads"))
    return list(asyncio.run(all_jobs(jobs)))


async def all_jobs(jobs: MemoryJobs) -> Any:
    return await jobs.page()


def test_a_job_is_stored() -> None:
    ex = exchange("POST", "/leads")
    ex.trace_id, ex.span_id, ex.trace_flags = "a" * 32, "b" * 16, "01"
    [job] = fired({**EMAIL, "on": {"status": 201}, "priority": 3, "delay": "10m"}, ex)
    assert (job.type, job.payload) == ("email", {"to": "ada@example.com", "template": "welcome", "data": {"name": "Ada"}})
    assert (job.state, job.priority, job.run_at) == ("delayed", 3, 600.0)
    assert (job.request_id, job.traceparent) == (ex.request_id, f"00-{'a' * 32}-{'b' * 16}-01")


@pytest.mark.parametrize(
    ("on", "method", "status", "fires"),
    [
        (None, "POST", 200, True),
        (None, "POST", 299, True),
        (None, "POST", 304, False),
        (None, "POST", 404, False),
        (201, "POST", 201, True),
        (201, "POST", 200, False),
        ("2xx", "POST", 204, True),
        (["4xx", 503], "POST", 404, True),
        (["4xx", 503], "POST", 503, True),
        (["4xx", 503], "POST", 500, False),
        ({"status": 201, "method": "POST"}, "POST", 201, True),
        ({"status": 201, "method": ["put", "PATCH"]}, "POST", 201, False),
        ({"status": 201, "method": ["put", "PATCH"]}, "PUT", 201, True),
    ],
)
def test_for_which_answers(on: object, method: str, status: int, fires: bool) -> None:
    settings = {"job": "email", "to": "a@example.com", **({} if on is None else {"on": on})}
    assert len(fired(settings, exchange(method, "/leads"), created(status=status))) == fires


@pytest.mark.parametrize(
    ("conditions", "fires"),
    [
        ({"name": "Ada"}, True),
        ({"name": "Eve"}, False),
        ({"name": ["Eve", "Ada"]}, True),
        ({"address.country": ["DE", "AT"]}, True),
        ({"address.city": "Berlin"}, False),
        ({"id": 7}, True),
        ({"id": "7"}, False),
        ({"id": True}, False),
        ({"nothing": None}, True),
        ({"missing": None}, False),
        ({"name.first": "Ada"}, False),
        ({"tags": "a"}, False),
        ({"name": "Ada", "id": 8}, False),
    ],
)
def test_conditions_on_the_answers_json(conditions: dict[str, object], fires: bool) -> None:
    assert len(fired({"job": "email", "to": "a@example.com", "on": {"json": conditions}})) == fires


def test_a_condition_on_what_is_no_json_does_not_hold() -> None:
    upstream = FakeUpstream(Reply.text(201, "made"))
    assert fired({"job": "email", "to": "a@example.com", "on": {"json": {"id": 7}}}, upstream=upstream) == []


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("{{ response.body.tags }}", ["a", "b"]),
        ("{{ response.body.id }}", 7),
        ("lead:{{ response.body.id }}", "lead:7"),
        ("{{ response.body['address'].country }}", "DE"),
        ("{{ response.body.tags[1] }}", "b"),
        ("{{ response.body.phone | default('none') }}", "none"),
        ("{{ response.status }}", 201),
        ("{{ response.headers['content-type'] }}", "application/json"),
        ("{{ request.method }} {{ request.path }}", "POST /leads/9"),
        ("{{ request.params.id }}", "9"),
        ("{{ request.query.src }}", "ad"),
        ("{{ request.headers['X-Source'] }}", "web"),
        ("{{ request.body.name | upper }}", "GRACE"),
        ("{{ consumer }}", "shop"),
        ("{{ claims.sub }}", "u1"),
        ("{{ groups | first }}", "staff"),
        ({"a": ["{{ response.body.id }}", 1, None, True]}, {"a": [7, 1, None, True]}),
    ],
)
def test_what_can_be_taken(written: object, value: object) -> None:
    ex = exchange("POST", "/leads/9?src=ad&src=other", {"X-Source": "web"}, b'{"name": "Grace"}', params={"id": "9"})
    ex.consumer, ex.claims, ex.groups = "shop", {"sub": "u1"}, ("staff",)
    [job] = fired({"job": "email", "to": "a@example.com", "data": {"x": written}}, ex)
    assert job.payload["data"]["x"] == value and job.state == "queued"


@pytest.mark.parametrize(
    ("reply", "settings", "reason"),
    [
        (Reply.json(201, {"name": "Ada"}), {}, "{{ response.body.email }}: 'dict object' has no attribute 'email'"),
        (Reply.json(201, []), {}, "{{ response.body.email }}: "),
        (Reply.json(201, LEAD), {"dedupe": "w:{{ response.body.nothing }}"}, "w:{{ response.body.nothing }}: null within a text"),
        (Reply.json(201, LEAD), {"dedupe": "w:{{ response.body.tags }}"}, "w:{{ response.body.tags }}: a list or an object within a text"),
        (Reply.text(201, "made"), {}, "the response's body is no JSON, larger than what is read of it, or cut short"),
        (Reply(201, Headers([("Content-Type", "application/json")]), b"{nonsense"), {}, "the response's body is no JSON"),
        (Reply.json(201, {**LEAD, "padding": "x" * 2000}), {"max_body": "1KiB"}, "the response's body is no JSON, larger than"),
        (
            Reply(201, Headers([("Content-Type", "application/json"), ("Content-Encoding", "br")]), b"..."),
            {},
            "the response's body is coded: br",
        ),
        (Reply.json(201, LEAD), {"to": "{{ request.body.email }}"}, "the request's body is no JSON"),
        (Reply.json(201, LEAD), {"to": "{{ claims.email }}"}, "{{ claims.email }}: 'dict object' has no attribute 'email'"),
    ],
)  # fmt: skip
def test_what_is_missing_parks_the_job(reply: Reply, settings: dict[str, str], reason: str, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is lost, and the reason is there to be read: in the job, in the log; but nothing personal."""
    metrics = Measured()
    [job] = fired({**EMAIL, **settings}, exchange("POST", "/leads", body=b"x"), FakeUpstream(reply), metrics=metrics)
    assert job.state == "parked" and job.reason.startswith(reason)
    assert metrics.value("enqueue.jobs", job="email", outcome="parked") == 1
    assert "a job is parked: job=email" in caplog.text and "ada@example.com" not in caplog.text


def test_a_compressed_answer_is_read() -> None:
    fields = Headers([("Content-Type", "application/json"), ("Content-Encoding", "gzip")])
    [job] = fired(EMAIL, upstream=FakeUpstream(Reply(201, fields, gzip.compress(orjson.dumps(LEAD)))))
    assert job.payload["to"] == "ada@example.com"


def test_a_bomb_is_not() -> None:
    fields = Headers([("Content-Type", "application/json"), ("Content-Encoding", "gzip")])
    [job] = fired(EMAIL, upstream=FakeUpstream(Reply(201, fields, gzip.compress(b'"' + b"a" * (64 << 20) + b'"'))))
    assert job.state == "parked" and "longer than 4194304 bytes" in job.reason


class TestTheSameJob:
    def twice(self, settings: object, second: dict[str, object], after: float = 0.0) -> int:
        clock = Clock()
        jobs = MemoryJobs(clock)
        plugin = load("enqueue", settings, host=host(jobs=jobs, senders=["email"], clock=clock))
        for content in (LEAD, {**LEAD, **second}):
            run(pipeline(plugin, upstream=created(content)), exchange("POST", "/leads"))
            clock.advance(after)
        return len(asyncio.run(all_jobs(jobs)))

    def test_by_its_key(self) -> None:
        settings = {**EMAIL, "dedupe": "welcome:{{ response.body.id }}"}
        assert self.twice(settings, {}) == 1
        assert self.twice(settings, {"id": 8}) == 2
        assert self.twice(settings, {}, after=86_401) == 2

    def test_for_a_time(self) -> None:
        settings = {**EMAIL, "dedupe": "welcome:{{ response.body.id }}", "cooldown": "1h"}
        assert self.twice(settings, {}, after=3599) == 1
        assert self.twice(settings, {}, after=3601) == 2

    def test_by_recipient_alone(self) -> None:
        settings = {**EMAIL, "cooldown": "1h"}
        assert self.twice(settings, {"id": 8}, after=3599) == 1
        assert self.twice(settings, {"email": "eve@example.com"}) == 2

    def test_without_either_there_is_none(self) -> None:
        assert self.twice(EMAIL, {}) == 2

    def test_no_recipient_can_be_read_from_a_key(self) -> None:
        [job] = fired({**EMAIL, "cooldown": "1h"})
        assert job.dedupe.startswith("welcome:") and "ada" not in job.dedupe


class Sick(Queue):
    """What plugins see, when storing fails or takes its time."""

    def __init__(self, storing: Callable[[], Any]) -> None:
        super().__init__(MemoryJobs(lambda: 0.0), ["email"])
        self.storing = storing
        self.stored: list[str] = []

    async def enqueue(self, type: str, payload: Any, **more: Any) -> Enqueued:  # noqa: A002
        await self.storing()
        self.stored.append(type)
        return Enqueued("id", True)


def sick_host(storing: Callable[[], Any], **options: Any) -> Host:
    made = host(**options)
    made.jobs = Sick(storing)
    return made


@pytest.mark.parametrize("error", [JobsAway("the disk is full"), PayloadRefused("the payload has 2000000 bytes")])
def test_a_job_that_cannot_be_stored_leaves_the_answer_as_it_is(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever keeps jobs tells of one that it could not keep; see tests/jobs."""

    async def fail() -> None:
        raise error

    metrics = Measured()
    plugin = load("enqueue", EMAIL, host=sick_host(fail, metrics=metrics))
    ex = exchange("POST", "/leads")
    reply = run(pipeline(plugin, upstream=created()), ex)
    assert (reply.status, reply.entity and reply.entity.data) == (201, orjson.dumps(LEAD))
    assert metrics.value("enqueue.jobs", outcome="lost") == 1
    told = f"a job is refused: job=email template=welcome request_id={ex.request_id}: {error}"
    assert (told in caplog.text) is isinstance(error, PayloadRefused)
    assert "ada@example.com" not in caplog.text


@pytest.mark.alone
async def test_no_client_waits_for_a_store_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The job is stored all the same, when the store comes back."""
    monkeypatch.setattr("gateway_plugins.enqueue.PATIENCE", 0.05)
    back = asyncio.Event()
    made = sick_host(back.wait)
    plugin = load("enqueue", EMAIL, host=made)
    begun = time.monotonic()
    reply = await pipeline(plugin, upstream=created()).answer(exchange("POST", "/leads"))
    assert reply.status == 201 and 0.04 < time.monotonic() - begun < 1.0
    back.set()
    await plugin.stop()
    assert made.jobs.stored == ["email"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(("durability", "waits"), [("before_reply", True), ("after_reply", False)])
async def test_when_the_client_has_its_answer(durability: str, waits: bool) -> None:
    back = asyncio.Event()
    made = sick_host(back.wait)
    plugin = load("enqueue", {**EMAIL, "durability": durability}, host=made)
    answering = asyncio.create_task(pipeline(plugin, upstream=created()).answer(exchange("POST", "/leads")))
    await asyncio.sleep(0.01)
    assert answering.done() is not waits
    back.set()
    assert (await answering).status == 201
    await plugin.stop()
    assert made.jobs.stored == ["email"]  # type: ignore[attr-defined]


async def test_a_client_that_leaves_while_it_is_stored_does_not_lose_it() -> None:
    back = asyncio.Event()
    made = sick_host(back.wait)
    plugin = load("enqueue", EMAIL, host=made)
    answering = asyncio.create_task(pipeline(plugin, upstream=created()).answer(exchange("POST", "/leads")))
    await asyncio.sleep(0.01)
    answering.cancel()
    await asyncio.wait([answering])
    back.set()
    await plugin.stop()
    assert made.jobs.stored == ["email"]  # type: ignore[attr-defined]


async def test_an_answer_that_is_cut_is_cut_for_the_client_as_it_would_be() -> None:
    stream = streamed(b'{"email": ')
    stream._ended = False
    stream.fail(BadGateway(reason="cut"))
    jobs = MemoryJobs(lambda: 0.0)
    plugin = load("enqueue", EMAIL, host=host(jobs=jobs, senders=["email"]))
    cut = Reply(201, Headers([("Content-Type", "application/json")]), None, stream=stream)
    reply = await pipeline(plugin, upstream=FakeUpstream(lambda ex: cut)).answer(exchange("POST", "/leads"))
    assert reply is cut and reply.stream is stream
    with pytest.raises(BadGateway):
        await stream.read()
    [job] = await jobs.page()
    assert job.state == "parked"


async def test_an_endless_answer_is_not_waited_for() -> None:
    """Server-sent events: no JSON, so nothing of it is read."""
    stream = streamed(b"data: 1\n\n")
    stream._ended = False
    jobs = MemoryJobs(lambda: 0.0)
    plugin = load("enqueue", EMAIL, host=host(jobs=jobs, senders=["email"]))
    events = Reply(200, Headers([("Content-Type", "text/event-stream")]), None, stream=stream)
    async with asyncio.timeout(1):
        assert await pipeline(plugin, upstream=FakeUpstream(lambda ex: events)).answer(exchange("GET", "/leads")) is events


@pytest.mark.parametrize("pieces", [(b'{"email": "ada@example.com", ', b'"name": "Ada"}'), (b"x" * 600_000, b"y")])
async def test_a_streamed_answer_reaches_the_client_whole(pieces: tuple[bytes, ...]) -> None:
    jobs = MemoryJobs(lambda: 0.0)
    plugin = load("enqueue", EMAIL, host=host(jobs=jobs, senders=["email"]))
    made = Reply(201, Headers([("Content-Type", "application/json")]), None, stream=streamed(*pieces))
    reply = await pipeline(plugin, upstream=FakeUpstream(lambda ex: made)).answer(exchange("POST", "/leads"))
    if reply.entity is not None:
        assert reply.entity.data == b"".join(pieces)
    else:
        assert reply.stream is not None
        assert b"".join([piece async for piece in pieces_of(reply.stream)]) == b"".join(pieces)
    assert len(await jobs.page()) == 1


async def pieces_of(stream: Any) -> Any:
    while piece := await stream.read():
        yield piece


def test_observed_it_says_what_it_would_have_stored() -> None:
    jobs, metrics = MemoryJobs(lambda: 0.0), Measured()
    settings = {**EMAIL, "data": {"name": "{{ response.body.name }}", "email": "{{ response.body.email }}"}}
    plugin = load("enqueue", settings, host=host(jobs=jobs, senders=["email"], mode="observe", metrics=metrics, pii=["email"]))
    ex = exchange("POST", "/leads")
    run(pipeline(plugin, upstream=created(), mode="observe"), ex)
    assert not asyncio.run(all_jobs(jobs))
    payload = {"template": "welcome", "data": {"name": "Ada", "email": "[redacted]"}}
    assert ex.notes == [("observe", {"plugin": "enqueue", "would": "store", "job": "email", "payload": payload})]
    assert metrics.value("enqueue.jobs", outcome="observed") == 1


@pytest.mark.parametrize(
    ("settings", "mode", "told"),
    [
        (EMAIL, "enforce", "stores a job for email (welcome) when the answer is 2xx"),
        ({**EMAIL, "on": [201, "3xx"]}, "enforce", "stores a job for email (welcome) when the answer is 201 or 3xx"),
        ({**EMAIL, "on": {"method": "PUT"}}, "enforce", "stores nothing for POST"),
        (EMAIL, "observe", "would say that it stores a job for email (welcome) when the answer is 2xx"),
    ],
)
def test_it_explains_itself(settings: object, mode: Any, told: str) -> None:
    assert load("enqueue", settings, host=host(senders=["email"], mode=mode)).explain(exchange("POST", "/leads")) == told


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({}, "Field required"),
        ({**EMAIL, "job": "emial"}, 'there is no sender "emial"; did you mean "email"?'),
        ({**EMAIL, "job": "sms"}, 'there is no sender "sms"; write jobs: {senders: {sms: ...}}'),
        ({**EMAIL, "on": 99}, "expected a status, as in 201, or a class of them, as in 2xx"),
        ({**EMAIL, "on": "6xx"}, "expected a status, as in 201, or a class of them, as in 2xx"),
        ({**EMAIL, "on": True}, "expected a status, as in 201, or a class of them, as in 2xx"),
        ({**EMAIL, "to": "{{ respons.body.email }}"}, 'there is no respons to take from; did you mean "response"?'),
        ({**EMAIL, "to": "{{ response.email }}"}, "response has no email; it has status, headers, body"),
        ({**EMAIL, "to": "{{ response.body.email"}, "is no expression: the }} at its end is missing"),
        ({**EMAIL, "to": "{{ response }}"}, "response is too much for a value"),
        ({**EMAIL, "data": {"a": ["{{ response.body.x() }}"]}}, "an expression takes values, and there is no call in it"),
        ({**EMAIL, "data": {"a": "{% for x in y %}{% endfor %}"}}, "an expression takes values, and there is no for in it"),
        ({**EMAIL, "data": {"a": "{{ 'a' * 1000 }}"}}, "an expression takes values, and there is no mul in it"),
        ({**EMAIL, "dedupe": "{{ response.body.x | reject }}"}, "there is no filter reject here"),
        ({**EMAIL, "priority": 10}, "less than or equal to 9"),
        ({**EMAIL, "delay": 60}, "a bare number is no duration"),
    ],
)
def test_mistakes_are_told_at_load(settings: object, why: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011
        load("enqueue", settings, host=host(senders=["email"]))
    assert why in str(error.value)


def test_what_its_sender_can_never_run_is_refused_at_load() -> None:
    def check(payload: Any) -> None:
        if "name" not in payload["data"]:
            raise PayloadRefused("the template welcome needs name, which data does not have")

    made = host()
    made.jobs = Queue(MemoryJobs(lambda: 0.0), ["email"], {"email": check})
    load("enqueue", EMAIL, host=made)
    with pytest.raises(ValueError, match="the template welcome needs name"):
        load("enqueue", {**EMAIL, "data": {}}, host=made)


def test_the_parameters_it_names_are_told() -> None:
    plugin = load("enqueue", EMAIL, host=host(senders=["email"]))
    settings = {**EMAIL, "dedupe": "{{ request.params.lead }}", "to": "{{ request.params['id'] }}"}
    assert list(plugin.placeholders(type(plugin).settings.model_validate(settings))) == [(("to",), "id"), (("dedupe",), "lead")]


@pytest.mark.parametrize(("written", "reads"), [("{{ request.body.email }}", True), ("{{ response.body.email }}", False), ("a@b.c", False)])
def test_whole_requests_are_read_when_they_must(written: str, reads: bool) -> None:
    cls = type(load("enqueue", EMAIL, host=host(senders=["email"])))
    assert getattr(cls.settings.model_validate({**EMAIL, "to": written}), "needs_body") is reads  # noqa: B009


@pytest.mark.alone
def test_one_that_does_not_fire_costs_next_to_nothing() -> None:
    """A bound of the issue's: 2 us. Measured here for both ways not to fire, with much room for a busy machine."""
    plugin = load("enqueue", {**EMAIL, "on": {"status": 201, "method": "POST"}}, host=host(senders=["email"]))
    ex, reply = exchange("GET", "/leads"), Reply.json(201, LEAD)
    best = min(_timed(lambda: (plugin.on_request(ex), plugin.on_response(ex, reply))) for _ in range(5))
    assert best < 2e-6


def _timed(call: Callable[[], object]) -> float:
    begun = time.perf_counter()
    for _ in range(10_000):
        call()
    return (time.perf_counter() - begun) / 10_000


@pytest.mark.parametrize("name", ["Ada", "x" * 10_000, "a\nb", "ü" * 300, "\u202e"])
def test_whatever_is_in_a_key_the_job_is_stored(name: str) -> None:
    [job] = fired({**EMAIL, "dedupe": "{{ response.body.name }}"}, upstream=created({**LEAD, "name": name}))
    assert job.state == "queued" and len(job.dedupe.encode()) <= 512


async def test_a_bug_of_whoever_stores_leaves_the_answer_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        raise RuntimeError("a bug")

    metrics = Measured()
    reply = await pipeline(load("enqueue", EMAIL, host=sick_host(fail, metrics=metrics)), upstream=created()).answer(exchange("POST", "/"))
    assert reply.status == 201 and metrics.value("enqueue.jobs", outcome="lost") == 1
    assert "RuntimeError: a bug" in caplog.text


def test_a_condition_that_could_not_be_looked_at_is_noted() -> None:
    ex = exchange("POST", "/leads")
    settings = {"job": "email", "to": "a@example.com", "on": {"json": {"id": 7}}, "max_body": "10B"}
    assert fired(settings, ex) == []
    assert ex.notes == [
        ("enqueue", {"job": "email", "unread": "the response's body is no JSON, larger than what is read of it, or cut short"})
    ]
