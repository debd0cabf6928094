"""A gateway process that traces, an upstream, and a real OTLP receiver: the tree of spans, and a receiver that does not answer."""

from __future__ import annotations

import asyncio
import signal
import time
from functools import partial
from pathlib import Path

import pytest

from tests.http.client import RawClient
from tests.http.recording import RawUpstream, Received, Step, ok
from tests.server.process import GatewayProcess, running
from tests.server.test_reload import until
from tests.telemetry.tracing.receiver import Receiver, receiving
from tests.telemetry.tracing.test_exporter import attributes

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"

POLICY = """
version: 1
environment: test
server: {{listen: "127.0.0.1:0", trusted_proxies: [127.0.0.1], timeouts: {{drain: 1s, lame_duck: 0s}}}}
telemetry:
  service_name: {service}
  traces: {{endpoint: "{receiver}", sample: {sample}}}
  pii: [email]
upstreams: {{leads: {{targets: "{upstream}"}}}}
plugins: [request_id, tracing, problem_details]
routes: [{{name: read, match: "GET /leads/{{id}}", upstream: leads}}]
"""


def policy(receiver: Receiver, upstream: RawUpstream, sample: float = 1, service: str = "leads-gateway") -> str:
    return POLICY.format(receiver=receiver.url, upstream=upstream.url, sample=sample, service=service)


def get(target: str, *fields: str) -> bytes:
    return "\r\n".join([f"GET {target} HTTP/1.1", "Host: api.test", *fields, "", ""]).encode()


async def ended(process: GatewayProcess) -> float:
    """Seconds that the end took."""
    begun = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert await process.ended() == 0
    return time.monotonic() - begun


def reloaded(process: GatewayProcess, revision: int) -> bool:
    return f"revision {revision}" in process.log


async def test_the_tree_of_spans(tmp_path: Path) -> None:
    def script(received: Received) -> list[Step]:
        return [ok(b"{}", status=b"503 Busy") if received.target.endswith(b"busy") else ok(b"{}")]

    with receiving() as receiver:
        async with (
            RawUpstream(script) as upstream,
            running(policy(receiver, upstream), tmp_path) as process,
            RawClient(process.port) as client,
        ):
            client.send(get("/leads/7?email=a%40b.test&q=1", f"traceparent: 00-{TRACE}-{CALLER}-01", "User-Agent: curl/8"))
            client.send(get("/leads/busy"))
            client.send(get("/nowhere"))
            assert [answer.status for answer in await client.read(3)] == [200, 503, 404]
            await ended(process)
    spans = {(span.name, span.kind, attributes(span.attributes).get("url.path")): span for span in receiver.spans if span.kind == 2}
    assert {key[0] for key in spans} == {"GET /leads/{id}", "GET"} and len(spans) == 3
    server = spans["GET /leads/{id}", 2, "/leads/7"]
    (client_span,) = [span for span in receiver.spans if span.parent_span_id == server.span_id]
    assert (server.trace_id.hex(), server.parent_span_id.hex(), client_span.trace_id) == (TRACE, CALLER, server.trace_id)
    assert upstream.received[0].all(b"traceparent") == [f"00-{TRACE}-{client_span.span_id.hex()}-01".encode()]
    assert server.start_time_unix_nano <= client_span.start_time_unix_nano
    assert client_span.start_time_unix_nano < client_span.end_time_unix_nano <= server.end_time_unix_nano
    assert abs(server.end_time_unix_nano / 1e9 - time.time()) < 60
    told = attributes(server.attributes)
    assert told["url.query"] == "email=REDACTED&q=1" and told["client.address"] == "127.0.0.1" and told["http.route"] == "/leads/{id}"
    assert attributes(client_span.attributes)["url.full"] == f"{upstream.url}/leads/7?email=REDACTED&q=1"
    busy = spans["GET /leads/{id}", 2, "/leads/busy"]
    assert busy.status.code == 2 and busy.parent_span_id == b"" and busy.trace_id != server.trace_id
    unrouted = spans["GET", 2, "/nowhere"]
    assert unrouted.status.code == 0 and attributes(unrouted.attributes)["http.response.status_code"] == 404
    (resource,) = {request.resource_spans[0].resource.SerializeToString() for request in receiver.requests}
    assert b"leads-gateway" in resource and b"deployment.environment.name" in resource


@pytest.mark.alone
@pytest.mark.slow
async def test_a_receiver_that_never_answers_is_felt_by_nobody(tmp_path: Path) -> None:
    """Nor does the end wait for it longer than it must; what was lost is told."""
    with receiving(hangs=True) as receiver:
        async with (
            RawUpstream([ok(b"{}")]) as upstream,
            running(policy(receiver, upstream), tmp_path) as process,
            RawClient(process.port) as client,
        ):
            times = []
            for _ in range(500):
                begun = time.monotonic()
                client.data = b""
                client.send(get("/leads/7"))
                await client.read(1)
                times.append(time.monotonic() - begun)
            assert sorted(times)[len(times) // 2] < 0.05 and max(times) < 1
            assert await ended(process) < 7
    assert "spans were not delivered" in process.log
    assert "Traceback" not in process.log


async def test_nothing_is_sent_of_what_is_not_sampled(tmp_path: Path) -> None:
    with receiving() as receiver:
        async with (
            RawUpstream() as upstream,
            running(policy(receiver, upstream, 0), tmp_path) as process,
            RawClient(process.port) as client,
        ):
            client.send(get("/leads/7"))
            await client.read(1)
            await ended(process)
    assert receiver.paths == []
    assert upstream.received[0].all(b"traceparent")[0].endswith(b"-02")


async def test_a_reload_keeps_the_exporter_or_flushes_it(tmp_path: Path) -> None:
    """Another share goes on with the same one; another service has one of its own, and no span of the old is lost."""
    with receiving() as receiver:
        async with RawUpstream() as upstream, running(policy(receiver, upstream), tmp_path) as process:
            for n, (sample, service) in enumerate([(1.0, "leads-gateway"), (0.999999, "leads-gateway"), (1.0, "other")]):
                if n:
                    (tmp_path / "gateway.yaml").write_text(policy(receiver, upstream, sample, service))
                    process.send_signal(signal.SIGHUP)
                    await until(partial(reloaded, process, n + 1))
                async with RawClient(process.port) as client:
                    client.send(get(f"/leads/{n}"))
                    await client.read(1)
            await asyncio.sleep(0.5)  # the replaced policy ends
            await ended(process)
    by_service = {b"leads-gateway": 0, b"other": 0}
    for request in receiver.requests:
        for resource in request.resource_spans:
            name = attributes(resource.resource.attributes)["service.name"]
            by_service[str(name).encode()] += sum(len(scope.spans) for scope in resource.scope_spans)
    assert by_service == {b"leads-gateway": 4, b"other": 2}
