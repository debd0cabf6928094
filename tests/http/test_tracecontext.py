"""Trace context through the gateway: what the W3C's harness asks, over real sockets, and what callers may not force on us."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest

from tests.http.recording import Step
from tests.support import RESET, RawClient, RawUpstream, Received, gateway, ok, raw
from tests.tracecontext import CASES, SPAN, TRACE, Case, tp

POLICY = """
version: 1
server: {{trusted_proxies: [{trusted}]}}
telemetry: {{traces: {{sample: {sample}}}}}
upstreams: {{leads: {{targets: "{url}"}}}}
plugins: [request_id, {{tracing: {trust}}}]
routes: [{{match: "/**", upstream: leads}}]
"""
EMITTED = re.compile(rb"00-([0-9a-f]{32})-([0-9a-f]{16})-0([0-3])")


def policy(upstream: RawUpstream, trusted: str = "", sample: str = "0", trust: str = "proxies") -> str:
    return POLICY.format(url=upstream.url, trusted=trusted, sample=sample, trust=trust)


def sent(received: Received) -> tuple[str, str, int]:
    """Trace id, parent id and flags: of the one traceparent that must be there."""
    (value,) = received.all(b"traceparent")
    match = EMITTED.fullmatch(value)
    assert match is not None, value
    return match[1].decode(), match[2].decode(), int(match[3])


def request(*fields: tuple[str, str]) -> bytes:
    return b"".join([b"GET / HTTP/1.1\r\nHost: gateway.test\r\n", *(f"{name}: {value}\r\n".encode() for name, value in fields), b"\r\n"])


def of(case: Case) -> bytes:
    return request(*(("traceparent", value) for value in case.parents), *(("tracestate", value) for value in case.states))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.test)
async def test_as_the_harness_asks(case: Case) -> None:
    async with RawUpstream() as upstream, gateway(policy(upstream)) as running, RawClient(running.port) as client:
        for n in (1, 2):  # the second head is known from the first
            client.send(of(case))
            assert [answer.status for answer in await client.read(n)] == [200] * n
    trace_ids, span_ids, _ = zip(*map(sent, upstream.received), strict=True)
    assert set(trace_ids) == {TRACE} if case.goes_on else not {TRACE, "0" * 32}.intersection(trace_ids) and len(set(trace_ids)) == 2
    assert len({SPAN, "0" * 16, *span_ids}) == 4
    for received in upstream.received:
        assert b",".join(received.all(b"tracestate")).decode() == (case.state or "")


@pytest.mark.parametrize(
    ("name", "goes_on"),  # test_traceparent_header_name, test_traceparent_header_name_valid_casing
    [("trace-parent", False), ("trace.parent", False), ("TraceParent", True), ("TrAcEpArEnT", True), ("TRACEPARENT", True)],
)
async def test_the_name_of_traceparent(name: str, goes_on: bool) -> None:
    async with RawUpstream() as upstream, gateway(policy(upstream)) as running:
        await raw(running.port, request((name, tp())))
    assert (sent(upstream.received[0])[0] == TRACE) == goes_on


@pytest.mark.parametrize(
    ("name", "goes_on"),  # test_tracestate_header_name, test_tracestate_header_name_valid_casing
    [("trace-state", False), ("trace.state", False), ("TraceState", True), ("TrAcEsTaTe", True), ("TRACESTATE", True)],
)
async def test_the_name_of_tracestate(name: str, goes_on: bool) -> None:
    async with RawUpstream() as upstream, gateway(policy(upstream)) as running:
        await raw(running.port, request(("traceparent", tp()), (name, "foo=1")))
    assert upstream.received[0].all(b"tracestate") == ([b"foo=1"] if goes_on else [])


@pytest.mark.parametrize("parent", [tp(), "", tp(trace="0" * 32)])
async def test_every_request_has_a_parent_id_of_its_own(parent: str) -> None:
    """test_multiple_requests_with_valid_traceparent, ..._without_traceparent, ..._with_illegal_traceparent."""
    async with RawUpstream() as upstream, gateway(policy(upstream)) as running, RawClient(running.port) as client:
        client.send(3 * request(*[("traceparent", parent)] if parent else []))
        await client.read(3)
    found = [sent(received) for received in upstream.received]
    assert len({span_id for _, span_id, _ in found}) == 3
    assert ({trace_id for trace_id, _, _ in found} == {TRACE}) == (parent == tp())


@pytest.mark.parametrize("flags", ["02", "03"])
async def test_the_random_flag_goes_on(flags: str) -> None:
    """test_propagates_random_flag, of level 2."""
    async with RawUpstream() as upstream, gateway(policy(upstream)) as running:
        await raw(running.port, request(("traceparent", tp(flags=flags))))
        await raw(running.port, request(("traceparent", tp(flags="00"))))
    assert [sent(received)[2] & 2 for received in upstream.received] == [2, 0]


@pytest.mark.parametrize(
    ("trusted", "trust", "sample", "flags", "is_sampled"),
    [
        ("127.0.0.1", "proxies", "0", "01", True),
        ("127.0.0.1", "proxies", "1", "00", False),
        ("", "proxies", "0", "01", False),
        ("", "proxies", "1", "00", True),
        ("10.0.0.0/8", "proxies", "0", "01", False),
        ("", "everyone", "0", "01", True),
        ("", "everyone", "1", "00", False),
        ("127.0.0.1", "nobody", "0", "01", False),
        ("127.0.0.1", "nobody", "1", "00", True),
    ],
)
async def test_whose_sampled_flag_decides(trusted: str, trust: str, sample: str, flags: str, is_sampled: bool) -> None:
    async with RawUpstream() as upstream, gateway(policy(upstream, trusted, sample, trust)) as running, RawClient(running.port) as client:
        client.send(2 * request(("traceparent", tp(flags=flags))))
        await client.read(2)
    assert [bool(sent(received)[2] & 1) for received in upstream.received] == [is_sampled] * 2


async def test_each_try_has_a_parent_id_of_its_own() -> None:
    """A connection found closed is tried again: the second try is another span of the same trace."""

    def stale(received: Received) -> Sequence[Step]:
        return [RESET] if received.nth > 1 else [ok()]

    async with RawUpstream(stale) as upstream, gateway(policy(upstream)) as running, RawClient(running.port) as client:
        client.send(request())
        await client.read(1)
        client.send(request())
        assert len(await client.read(2)) == 2
    _, stale_one, good_one = map(sent, upstream.received)
    assert stale_one[0] == good_one[0] and stale_one[1] != good_one[1]


async def test_a_thousand_entries_of_baggage_pass_as_they_are() -> None:
    baggage = [f"key{n}=value{n}" for n in range(1000)]
    fields = [("baggage", ",".join(baggage[n : n + 50])) for n in range(0, 1000, 50)]
    text = POLICY.replace("server: {{", "server: {{limits: {{head: 64KiB}}, ")
    async with RawUpstream() as upstream, gateway(text.format(url=upstream.url, trusted="", sample="0", trust="proxies")) as running:
        (answer,) = await raw(running.port, request(*fields, ("traceparent", tp())))
    assert answer.status == 200
    assert b",".join(upstream.received[0].all(b"baggage")).decode() == ",".join(baggage)


async def test_more_baggage_than_a_head_may_hold_is_refused() -> None:
    async with RawUpstream() as upstream, gateway(policy(upstream)) as running:
        (answer,) = await raw(running.port, request(("baggage", "k=v," * 5000)))
    assert answer.status == 431 and not upstream.received


async def test_the_log_names_the_trace() -> None:
    async with (
        RawUpstream([ok(b"x")]) as upstream,
        gateway(policy(upstream).replace("request_id,", "access_log, request_id,")) as running,
    ):
        await raw(running.port, request(("traceparent", tp())))
    assert f'"trace_id":"{TRACE}"'.encode() in running.lines[0]
