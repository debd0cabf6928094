"""Every case of the tables of requests, in three deliveries: at once, cut behind its head, and byte by byte."""

from __future__ import annotations

import logging

import pytest

from tests.http import judge
from tests.http.case import Case, get
from tests.http.cases import chunks, fields, forwarding, framing, hops, hosts, limits, lines, paths, sequences, upgrades
from tests.http.client import Answer, RawClient
from tests.support import RawUpstream, Running, gateway

POLICY = """
version: 1
server:
  trusted_proxies: [{trusted}]
  limits: {{head: 8KiB, target: 2KiB, headers: 64, body: 64KiB}}
upstreams:
  service: {{targets: ["{url}"]}}
plugins: [request_id, problem_details]
routes:
  - {{name: guarded, match: "/admin/**", plugins: [{{respond: {{status: 403}}}}]}}
  - {{name: rest, match: "/**", upstream: service}}
"""
UNTRUSTING = (
    *framing.CASES,
    *chunks.CASES,
    *fields.CASES,
    *lines.CASES,
    *hosts.CASES,
    *paths.CASES,
    *hops.CASES,
    *forwarding.UNTRUSTED,
    *upgrades.CASES,
    *limits.CASES,
    *sequences.CASES,
)
CASES = (*UNTRUSTING, *forwarding.TRUSTED)
PROBE = get(target=b"/probe")


def whole(data: bytes) -> list[bytes]:
    return [data]


def behind_the_head(data: bytes) -> list[bytes]:
    end = data.find(b"\r\n\r\n") + 4
    return [data[:end], data[end:]] if 3 < end < len(data) else [data]


def byte_by_byte(data: bytes) -> list[bytes]:
    """Longer ones in some hundred pieces."""
    size = max(1, len(data) // 150)
    return [data[at : at + size] for at in range(0, len(data), size)]


DELIVERIES = (whole, behind_the_head, byte_by_byte)


def test_the_cases_have_names_of_their_own() -> None:
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names) >= 400


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_request(case: Case, caplog: pytest.LogCaptureFixture) -> None:
    trusted = "" if case in UNTRUSTING else "127.0.0.0/8, 10.0.0.0/8"
    for delivery in DELIVERIES:
        segments = delivery(case.sent)
        if delivery is not whole and len(segments) == 1:
            continue
        async with RawUpstream() as upstream, gateway(POLICY.format(url=upstream.url, trusted=trusted)) as running:
            await _converse(case, segments, running, upstream)
        assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def _converse(case: Case, segments: list[bytes], running: Running, upstream: RawUpstream) -> None:
    async with RawClient(running.port) as client:
        await client.send_segments(segments)
        found = await client.read(len(case.status), case.methods)
        keeps = _judge_answers(case, found)
        if keeps:
            client.send(PROBE)
            *_, last = await client.read(len(case.status) + 1, case.methods)
            assert (last.status, last.body) == (200, b"GET /probe"), last
            assert not client.closed
        else:
            await client.read_to_end()
            assert len(await client.read(99, case.methods)) == len(found), client.data
            assert not client.reset
    _judge_requests(case, upstream, (b"/probe",) * keeps)


def _judge_answers(case: Case, found: list[Answer]) -> bool:
    """Whether the connection goes on."""
    final = [answer for answer in found if answer.status >= 200]
    assert tuple(answer.status for answer in final) == case.status, found
    judge.dated(final)
    for answer in final:
        if answer.status >= 400 and answer.body:
            judge.is_problem(answer)
    keeps = case.keeps(final[-1].closes)
    assert final[-1].closes == (not keeps), final[-1]
    return keeps


def _judge_requests(case: Case, upstream: RawUpstream, probes: tuple[bytes, ...]) -> None:
    assert upstream.violations == []
    assert tuple(upstream.targets) == case.targets + probes
    for request in upstream.received:
        judge.is_unambiguous(request)
    if not case.targets:
        return
    first = upstream.received[0]
    assert first.body == case.body
    for line in case.has:
        name, _, value = line.partition(b": ")
        assert value in first.all(name), first.raw
    for name in case.lacks:
        assert not first.all(name), first.raw
