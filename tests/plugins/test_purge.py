"""What a change purges, when, and what becomes of it while the others cannot be told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any

import pytest
from pydantic import ValidationError

from gateway.caching.memory import MemoryCache
from gateway.exchange import Exchange, Headers, Reply
from gateway.plugin import Host
from gateway.store.contract import StoreAway
from gateway.testing import FakeUpstream, Measured, exchange, host, load, pipeline, run, streamed

JSON = Headers({"Content-Type": "application/json"})


class Told(MemoryCache):
    """Keeps what is purged; telling the others ends as `end` does."""

    def __init__(self, end: Awaitable[None] | None = None) -> None:
        super().__init__(1 << 20)
        self.purged: list[tuple[list[str], bool]] = []
        self._end = end

    def purge(self, marks: Sequence[str], *, soft: bool = False) -> Awaitable[None] | None:
        self.purged.append((list(marks), soft))
        return self._end


def told(cache: Told, **more: Any) -> Host:
    made = host(paths={"list": "/leads", "read": "/leads/{id}"}, **more)
    made.cache = cache
    return made


def purged(settings: object, reply: Reply, ex: Exchange | None = None, **more: Any) -> list[list[str]]:
    cache = Told()
    made = pipeline(load("purge", settings, host=told(cache, **more)), upstream=FakeUpstream(reply))
    assert run(made, ex or exchange("POST", "/leads", body=b"{}", params={"id": "7"})).status == reply.status
    return [marks for marks, _ in cache.purged]


@pytest.mark.parametrize(
    ("settings", "marks"),
    [
        ("leads", ["tag:leads"]),
        (["leads", "lead:{id}"], ["tag:leads", "tag:lead:7"]),
        ({"routes": ["list"]}, ["route:list"]),
        ({"routes": "read", "tags": "leads"}, ["route:read", "tag:leads"]),
        ("lead:{body.id}", ["tag:lead:42"]),
        ("tag:{body.tags}", ["tag:tag:a", "tag:tag:b"]),
        ("item:{body.items.id}", ["tag:item:1", "tag:item:2"]),
        ("owner:{body.owner.id}-{id}", ["tag:owner:x-7"]),
    ],
)
def test_what_is_purged(settings: object, marks: list[str]) -> None:
    body = b'{"id": 42, "tags": ["a", "b"], "items": [{"id": 1}, {"id": 2}], "owner": {"id": "x"}}'
    assert purged(settings, Reply(201, JSON.copy(), body)) == [marks]


@pytest.mark.parametrize(
    ("on", "purging"),
    [
        (None, {200, 201, 204, 299}),
        ("2xx", {200, 201, 204, 299}),
        (201, {201}),
        ([201, 303], {201, 303}),
        ({"status": ["3xx", 404]}, {303, 404}),
    ],
)
def test_which_answers_purge(on: object, purging: set[int]) -> None:
    settings = {"tags": "leads"} | ({} if on is None else {"on": on})
    for status in (200, 201, 204, 299, 303, 400, 404, 500):
        assert bool(purged(settings, Reply(status))) is (status in purging), status


def test_an_answer_that_was_made_here_shows_no_change() -> None:
    cache = Told()
    made = pipeline(load("purge", "leads", host=told(cache)), load("respond", {"status": 200}), upstream=FakeUpstream())
    run(made, exchange("POST"))
    assert not cache.purged


@pytest.mark.parametrize(
    "reply",
    [
        Reply(201, JSON.copy(), b"not json"),
        Reply(201, JSON.copy(), b""),
        Reply(201, JSON.copy(), b'{"name": "Ada"}'),
        Reply(201, JSON.copy(), b'{"id": {"is": "an object"}}'),
        Reply(201, JSON.copy(), b'{"id": "' + b"7" * (1 << 20) + b'"}'),
        Reply(201, Headers({"Content-Encoding": "gzip"}), b'{"id": 7}'),
        Reply(204),
    ],
)
def test_an_answer_without_the_field_purges_the_rest_and_is_counted(reply: Reply) -> None:
    metrics = Measured()
    assert purged(["leads", "lead:{body.id}"], reply, metrics=metrics) == [["tag:leads"]]
    assert metrics.value("purge.unreadable") == 1


async def test_a_streamed_answer_is_read_and_sent_all_the_same() -> None:
    cache = Told()
    reply = Reply(201, JSON.copy(), None, stream=streamed(b'{"id"', b": 42}"))
    made = pipeline(load("purge", "lead:{body.id}", host=told(cache)), upstream=FakeUpstream(reply))
    found = await made.answer(exchange("POST"))
    assert cache.purged == [(["tag:lead:42"], False)]
    assert found.entity is not None and found.entity.data == b'{"id": 42}'


async def test_a_streamed_answer_of_which_nothing_is_wanted_is_not_read() -> None:
    reply = Reply(201, JSON.copy(), None, stream=streamed(b"x"))
    made = pipeline(load("purge", "leads", host=told(Told())), upstream=FakeUpstream(reply))
    assert (await made.answer(exchange("POST"))).entity is None


@pytest.mark.parametrize(("tags", "asked"), [("leads", "gzip"), ("lead:{body.id}", None)])
def test_an_answer_that_is_to_be_read_is_asked_for_as_it_is(tags: str, asked: str | None) -> None:
    upstream = FakeUpstream()
    run(pipeline(load("purge", tags, host=told(Told())), upstream=upstream), exchange("POST", headers={"Accept-Encoding": "gzip"}))
    ((_, _, headers, _),) = upstream.requests
    assert headers.get("Accept-Encoding") == asked


async def test_the_client_has_its_answer_after_the_purge() -> None:
    end: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    made = pipeline(load("purge", "leads", host=told(Told(end))), upstream=FakeUpstream(Reply(201)))
    answer = asyncio.create_task(made.answer(exchange("POST")))
    await asyncio.sleep(0.01)
    assert not answer.done()
    end.set_result(None)
    assert (await answer).status == 201


async def test_others_that_cannot_be_told_are_no_reason_to_fail_what_was_done(caplog: pytest.LogCaptureFixture) -> None:
    end: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    end.set_exception(StoreAway("it is away"))
    metrics = Measured()
    made = pipeline(load("purge", "leads", host=told(Told(end), metrics=metrics)), upstream=FakeUpstream(Reply(201)))
    assert (await made.answer(exchange("POST"))).status == 201
    assert metrics.value("purge.purges", outcome="late") == 1
    assert "tag:leads did not reach all gateways yet: it is away" in caplog.text


def test_soft() -> None:
    cache = Told()
    run(pipeline(load("purge", {"tags": "leads", "soft": True}, host=told(cache)), upstream=FakeUpstream()), exchange("POST"))
    assert cache.purged == [(["tag:leads"], True)]


def test_observed_it_purges_nothing_and_says_what_it_would() -> None:
    metrics, ex = Measured(), exchange("POST", params={"id": "7"})
    assert purged("lead:{id}", Reply(201), ex, mode="observe", metrics=metrics) == []
    assert metrics.value("purge.purges", outcome="observed") == 1
    assert ex.notes == [("observe", {"plugin": "purge", "would": "purge", "marks": ["tag:lead:7"]})]


def test_explain() -> None:
    plugin = load("purge", {"tags": ["lead:{id}", "lead:{body.id}"], "routes": "list"}, host=told(Told()))
    assert plugin.explain(exchange(params={"id": "7"})) == "purges route:list, tag:lead:{body.id}, tag:lead:7 when the answer is 2xx"


def test_it_runs_to_its_end_though_the_client_left() -> None:
    assert pipeline(load("purge", "leads")).survives_client


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"tags": []},
        {"tags": "lead:{"},
        {"tags": "a", "on": "6xx"},
        {"tags": "a", "on": 99},
        {"tags": "a", "on": True},
        {"routes": ["nowhere"]},
    ],
)
def test_mistakes_are_refused(settings: object) -> None:
    with pytest.raises((ValidationError, ValueError)):
        load("purge", settings)


def test_the_parameters_that_it_names_are_looked_for_in_the_route() -> None:
    cls = type(load("purge", "x"))
    settings = cls.settings.model_validate({"tags": ["lead:{id}", "lead:{body.id}"]})
    assert list(cls.placeholders(settings)) == [(("tags",), "id")]
