"""What tests of plugins stand on behaves as what it stands for."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from gateway.errors import NotFound, Unavailable
from gateway.exchange import Exchange, Reply
from gateway.testing import Clock, FakeFiles, FakeUpstream, exchange, host, load, pipeline, run, streamed


def test_the_clock_stands_still_until_it_is_moved() -> None:
    clock = Clock(5.0)
    assert clock() == clock() == 5.0
    clock.advance(1.5)
    assert clock() == 6.5


def test_an_exchange_has_the_target_that_the_front_would_give_it() -> None:
    ex = exchange("POST", "/%61//b/?q=1", {"A": "b"}, b"body", params={"id": "7"}, route="r", client="192.0.2.9")
    assert (ex.target, ex.path, ex.query) == ("/a/b/?q=1", "/a/b/", "q=1")
    assert (ex.body_at_hand, ex.content_length, ex.params["id"], ex.route, ex.client) == (b"body", 4, "7", "r", "192.0.2.9")


@pytest.mark.parametrize(
    ("answer", "status"),
    [(Reply(204), 204), (Unavailable(), 503), (lambda ex: Reply(int(ex.query)), 418)],
)
def test_the_upstream_answers_as_told_and_keeps_what_it_was_sent(answer: Reply | Exception, status: int) -> None:
    upstream = FakeUpstream(answer)
    ex = exchange("POST", "/?418", {"A": "b"}, b"body")
    assert run(pipeline(upstream=upstream), ex).status == status
    method, target, headers, body = upstream.requests[0]
    assert (method, target, headers["A"], body) == ("POST", "/?418", "b", b"body")
    assert [attempt.number for attempt in ex.attempts] == [1]


def test_without_an_upstream_nothing_answers() -> None:
    ex = exchange()
    assert run(pipeline(), ex).status == 404
    assert isinstance(ex.failure, NotFound)


def test_load_checks_settings_as_the_policy_would() -> None:
    with pytest.raises(ValidationError):
        load("body_limit", {"maximum": "1KiB"})
    with pytest.raises(LookupError):
        load("nothing")


def test_the_host_has_twins_of_what_a_gateway_gives() -> None:
    lines: list[bytes] = []
    twin = host(lines=lines, ready=False, route="r", mode="observe")
    twin.write_line(b"a")
    assert (lines, twin.is_ready(), twin.route, twin.mode) == ([b"a"], False, "r", "observe")


async def test_a_stream_has_its_pieces_and_its_end() -> None:
    stream = streamed(b"a", b"b")
    assert [await stream.read(), await stream.read(), await stream.read()] == [b"a", b"b", b""]


def test_an_exchange_can_be_sent_through_more_than_one_pipeline() -> None:
    def path(ex: Exchange) -> Reply:
        return Reply.text(200, ex.path)

    for target in ("/a", "/b"):
        reply = run(pipeline(upstream=FakeUpstream(path)), exchange("GET", target))
        assert reply.entity is not None
        assert reply.entity.data == target.encode()


def test_a_file_changes_when_the_test_says_so() -> None:
    files = FakeFiles()
    seen: list[bytes] = []
    host(files=files).watch(Path("keys"), seen.append)
    files.change(Path("keys"), b"new")
    files.change(Path("others"), b"no")
    assert seen == [b"new"]
