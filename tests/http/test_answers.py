"""Every case of the table of answers: what the client sees of it, and that the next answer is its own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

import pytest

from tests.http import judge
from tests.http.case import get, lines
from tests.http.cases.answers import CASES, CUT, AnswerCase
from tests.http.client import Answer, RawClient, answers
from tests.http.recording import Received, Step, closed_port, echo
from tests.support import RawUpstream, gateway

POLICY = """
version: 1
upstreams:
  service: {{targets: ["{url}"]}}
plugins: [request_id, problem_details]
routes: [{{name: all, match: "/**", upstream: service}}]
"""
PROBE = get(target=b"/probe")


def test_the_cases_have_names_of_their_own() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 150


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_answer(case: AnswerCase, caplog: pytest.LogCaptureFixture) -> None:
    def script(request: Received) -> Sequence[Step]:
        return case.steps if request.target == b"/t" else echo(request)

    async with RawUpstream(script) as upstream, gateway(POLICY.format(url=upstream.url)) as running:
        async with RawClient(running.port) as client:
            client.send(lines(case.method.encode() + b" /t HTTP/1.1", b"Host: h", *case.asks))
            if case.status:
                found = await client.read(1, [case.method])
                _judge(case, found)
                await _judge_next(case, client, upstream)
            else:
                await client.read_to_end()
                _judge_cut(client)
        async with RawClient(running.port) as other:
            other.send(PROBE)
            (answer,) = await other.read(1)
            assert (answer.status, answer.body) == (200, b"GET /probe")
        assert not upstream.violations
        assert upstream.targets.count(b"/t") == 1
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
@pytest.mark.parametrize("case", CUT, ids=lambda case: case.name)
async def test_a_cut_answer_is_never_whole_in_10(case: AnswerCase, version: bytes) -> None:
    """RFC 9112, section 8: there the end of the connection may be the end of the body, so it must not come in order."""
    async with RawUpstream(case.steps) as upstream, gateway(POLICY.format(url=upstream.url)) as running, RawClient(running.port) as client:
        client.send(get(b"Connection: close", version=version))
        await client.read_to_end()
        assert client.reset or b" 502 " in client.data, client.data


async def test_nothing_listens() -> None:
    async with closed_port() as port, gateway(POLICY.format(url=f"http://127.0.0.1:{port}")) as running, RawClient(running.port) as client:
        client.send(PROBE * 2)
        for answer in await client.read(2):
            assert answer.status == 502
            judge.is_problem(answer)
            assert answer.json["type"] == "urn:gateway:problem:upstream-unreachable"


def _judge(case: AnswerCase, found: Sequence[Answer]) -> None:
    *interim, answer = found
    assert case.interim is None or [one.status for one in interim] == list(case.interim)
    for one in interim:
        assert not one.all(b"connection") and not one.all(b"keep-alive")
    assert answer.status == case.status, answer
    judge.dated([answer])
    assert not answer.all(b"x-poison")
    if case.status == 502:
        if case.method != "HEAD":
            judge.is_problem(answer)
        return
    assert (answer.body, answer.trailers) == (case.body, case.trailers)
    if case.reason is not None:
        assert answer.reason == case.reason
    for line in case.has:
        name, _, value = line.partition(b": ")
        assert value in answer.all(name), answer
    for name in case.lacks:
        assert not answer.all(name), answer


async def _judge_next(case: AnswerCase, client: RawClient, upstream: RawUpstream) -> None:
    """The upstream's fault is not the client's: its connection goes on, and what it asks next is answered by that."""
    await asyncio.sleep(0.03)  # what the upstream still sends has come by then
    before = client.data
    client.send(PROBE)
    *_, last = await client.read(2, [case.method, "GET"])
    assert (last.status, last.body) == (200, b"GET /probe"), client.data
    assert client.data.startswith(before)
    if case.reused is not None:
        assert (upstream.connections == 1) == case.reused
    if case.status == 502:
        assert upstream.connections == 2


def _judge_cut(client: RawClient) -> None:
    """A 200 whose body does not end, and then a reset; or a 502 when nothing had been sent yet: never a whole 200."""
    found, rest = answers(client.data)
    assert [answer.status for answer in found if answer.status < 400] == [], client.data
    assert found or rest.startswith(b"HTTP/1.1 200 OK\r\n")
    if rest:
        assert client.reset
