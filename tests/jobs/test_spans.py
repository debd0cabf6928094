"""Attempts at jobs as spans: of sampled requests alone, linked to them, and told by what came of them."""

from __future__ import annotations

import pytest

from gateway.jobs.contract import Job
from gateway.jobs.measures import Result
from gateway.jobs.spans import record
from gateway.span import Link, Span, Traces
from gateway.telemetry.tracing.otlp import Encoder

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def job(traceparent: str) -> Job:
    return Job(
        id="job1", type="email", payload={"to": "ada@example.com"}, state="active", attempt=2, traceparent=traceparent, request_id="r1"
    )


def recorded(traceparent: str, result: Result = "done", reason: str = "") -> list[Span]:
    spans: list[Span] = []
    record(Traces(1.0, spans.extend), job(traceparent), 100, 200, result, reason)
    return spans


def test_a_span_of_its_own_trace_that_links_to_the_request() -> None:
    [span] = recorded(f"00-{TRACE}-{SPAN}-01")
    assert (span.name, span.kind, span.start, span.end, span.parent_id, span.failed) == ("run email", "consumer", 100, 200, "", False)
    assert span.trace_id != TRACE and span.links == (Link(TRACE, SPAN),)
    assert span.attributes["messaging.message.id"] == "job1" and span.attributes["gateway.job.attempt"] == 2
    assert "ada@example.com" not in repr(span)


@pytest.mark.parametrize("traceparent", ["", f"00-{TRACE}-{SPAN}-00", "nonsense", f"00-{'0' * 32}-{SPAN}-01"])
def test_none_of_what_was_not_sampled(traceparent: str) -> None:
    assert recorded(traceparent) == []


def test_none_when_nobody_wants_them() -> None:
    record(Traces(), job(f"00-{TRACE}-{SPAN}-01"), 100, 200, "done", "")


@pytest.mark.parametrize(("result", "failed"), [("done", False), ("released", False), ("retried", True), ("dead", True), ("parked", True)])
def test_what_failed_says_why(result: Result, failed: bool) -> None:
    [span] = recorded(f"00-{TRACE}-{SPAN}-01", result, "550 no such user")
    assert (span.failed, span.attributes.get("error.type")) == (failed, result if failed else None)
    assert [event.attributes for event in span.events] == ([{"exception.message": "550 no such user"}] if failed else [])


def test_it_is_sent_with_its_link() -> None:
    request = Encoder("gateway", "").request(recorded(f"00-{TRACE}-{SPAN}-01"))
    [sent] = request.resource_spans[0].scope_spans[0].spans
    assert (sent.kind, sent.links[0].trace_id.hex(), sent.links[0].span_id.hex()) == (5, TRACE, SPAN)
