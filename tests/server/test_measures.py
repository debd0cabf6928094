"""The metrics of a gateway that serves: they equal what it was sent, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.app import App
from gateway.config.policy import loads
from gateway.control import Control
from gateway.server.measures import Measures
from gateway.server.sampling import Sampler
from gateway.state.record import Reload, State
from gateway.telemetry.metrics.exposition import Exposition
from gateway.telemetry.metrics.slots import Source, read_all
from gateway.telemetry.tracing.exporter import SpanExporter
from gateway.telemetry.watchdog import Watchdog
from tests.http.recording import RawUpstream
from tests.server.process import running
from tests.support import RawClient, Running, gateway, raw

POLICY = """version: 1
server: {limits: {target: 1KiB, head: 4KiB}}
upstreams: {a: {targets: "URL"}}
plugins: [metrics, body_limit: 10B]
routes:
  - {name: here, match: "/here/{id}", plugins: [respond: 204]}
  - {name: there, match: {methods: [GET, POST, PROPFIND], path: "/there/**"}, upstream: a}
  - name: watched
    match: /watched
    plugins:
      - rate_limit: {limit: 1, window: 1h, by: client}
        mode: observe
      - body_limit: 0B
        mode: observe
      - ip_filter: {allow: 192.0.2.0/24}
        mode: observe
      - respond: 200
"""

OBSERVED = """version: 1
server: {listen: "127.0.0.1:0", observe: "127.0.0.1:0"}
plugins: [metrics]
routes: [{name: here, match: /here, plugins: [respond: 204]}]
"""
OBSERVE = re.compile(r"observe port on http://127\.0\.0\.1:(\d+)")

Samples = dict[str, list[tuple[dict[str, str], float]]]


def samples(body: str) -> Samples:
    found: Samples = {}
    for family in text_string_to_metric_families(body):
        for one in family.samples:
            found.setdefault(one.name, []).append((one.labels, one.value))
    return found


def total(found: Samples, name: str, **labels: str) -> float:
    return sum(value for known, value in found.get(name, []) if labels.items() <= known.items())


def told(*sources: Source) -> Samples:
    return samples(Exposition().write(sources)[1].decode())


def request(target: str, method: str = "GET", body: bytes = b"") -> bytes:
    return f"{method} {target} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


async def test_the_counts_are_those_of_the_requests() -> None:
    sent = [
        *[("GET", "/here/7", "204", "/here/{id}", b"")] * 5,
        *[("POST", "/here/8", "204", "/here/{id}", b"123")] * 3,
        *[("GET", "/there/x", "200", "/there/**", b"")] * 4,
        *[("PROPFIND", "/there/x", "200", "/there/**", b"")] * 2,
        *[("GET", "/nowhere", "404", "", b"")] * 2,
        *[("POST", "/there/y", "413", "/there/**", b"x" * 11)] * 2,
    ]
    async with RawUpstream() as upstream, gateway(POLICY.replace("URL", upstream.url)) as serving:
        for method, target, status, _, body in sent:
            (answer,) = await raw(serving.port, request(target, method, body))
            assert str(answer.status) == status
        found = told(serving.app.metrics.read())
    name = "http_server_request_duration_seconds_count"
    expected = Counter((method if method != "PROPFIND" else "_OTHER", route, status) for method, _, status, route, _ in sent)
    assert {
        (labels["http_request_method"], labels["http_route"], labels["http_response_status_code"]): value for labels, value in found[name]
    } == expected
    assert total(found, "http_client_request_duration_seconds_count", http_response_status_code="200") == 6
    assert total(found, "http_server_request_body_size_bytes_sum", http_route="/here/{id}") == 9
    assert total(found, "http_server_active_requests") == 0


async def test_every_plugin_that_only_observes_is_counted_alike() -> None:
    async with gateway(POLICY.replace("URL", "http://127.0.0.1:1")) as serving:
        for _ in range(3):
            assert (await raw(serving.port, request("/watched", "POST", b"1234")))[0].status == 200
        found = told(serving.app.metrics.read())
    assert {(labels["plugin"], labels["route"], labels["status"]): value for labels, value in found["gateway_observed_total"]} == {
        ("rate_limit", "watched", "429"): 2,
        ("body_limit", "watched", "413"): 3,
        ("ip_filter", "watched", "403"): 3,
    }


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"nonsense\r\n\r\n", "400"),
        (b"GET / HTTP/1.1\r\n\r\n", "400"),
        (b"GET /" + b"x" * 2000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", "414"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 5000 + b"\r\n\r\n", "431"),
        (b"GET / HTTP/3.0\r\nHost: a\r\n\r\n", "505"),
    ],
)
async def test_what_is_refused_before_it_is_an_exchange_is_counted_too(data: bytes, status: str) -> None:
    async with gateway(POLICY.replace("URL", "http://127.0.0.1:1")) as serving:
        (answer,) = await raw(serving.port, data)
        assert str(answer.status) == status
        assert answer.all(b"x-content-type-options") == [b"nosniff"] and answer.all(b"cache-control") == [b"no-store"]
        found = told(serving.app.metrics.read())
    assert found["gateway_refused_total"] == [({"status": status}, 1.0)]


async def test_a_client_that_leaves_has_no_status() -> None:
    async with RawUpstream([b""]) as upstream, gateway(POLICY.replace("URL", upstream.url)) as serving:
        async with RawClient(serving.port) as client:
            client.send(request("/there/x"))
            while not serving.app.running.exchanges:
                await asyncio.sleep(0.005)
        while serving.app.running.exchanges:
            await asyncio.sleep(0.005)
        found = told(serving.app.metrics.read())
    assert total(found, "http_server_request_duration_seconds_count", http_response_status_code="") == 1
    assert total(found, "http_server_active_requests") == 0


async def test_a_reload_and_scrapes_under_load_lose_nothing() -> None:
    """Counters never go back from one scrape to the next, and at the end they are what was sent."""
    policy = POLICY.replace("URL", "http://127.0.0.1:1")
    sent = 0
    async with gateway(policy) as serving:
        measures = Measures(lambda: [serving.front.app.metrics.read()], None)
        enough = asyncio.Event()

        async def load() -> int:
            number = 0
            async with RawClient(serving.port) as client:
                while not enough.is_set():
                    client.data = b""
                    client.send(request(f"/here/{number}"))
                    await client.read(1)
                    number += 1
            return number

        loads_ = [asyncio.create_task(load()) for _ in range(3)]
        last = 0.0
        for _ in range(10):
            before = serving.front.app
            app = await asyncio.to_thread(App, loads(policy), lambda line: None, before=before)
            scraping = asyncio.create_task(measures.metrics({}))
            await app.start()
            app.running.succeed(before.running)
            serving.front.adopt(app)
            found = samples((await scraping)["text"])
            now = total(found, "http_server_request_duration_seconds_count", http_route="/here/{id}")
            assert now >= last
            last = now
        enough.set()
        sent = sum(await asyncio.gather(*loads_))
        found = samples((await measures.metrics({}))["text"])
    assert total(found, "http_server_request_duration_seconds_count", http_route="/here/{id}") == sent > 0


def sampler(serving: Running, state: State) -> Sampler:
    return Sampler(serving.front, lambda: state)


async def test_what_is_looked_at() -> None:
    last = Reload(False, "2026-01-01T00:00:00Z", 0.1)
    state = State(1, "p", revision=7, begun=5, ended=5, failed=2, last=last)
    async with RawUpstream() as upstream, gateway(POLICY.replace("URL", upstream.url)) as serving, RawClient(serving.port) as client:
        looking = sampler(serving, state)
        dropped = 3.0
        looking.follow_log("access", lambda: dropped)
        watchdog = Watchdog()
        watchdog.stalls, watchdog.stalled = 2, 1.5
        looking.follow_watchdog(watchdog)
        exporter = SpanExporter(lambda: pytest.fail("nobody connects"))
        exporter.sent, exporter.dropped, exporter.failed = 7, 2, 1
        serving.app.running.exporter = exporter
        serving.app.store.counters["trips"] = 3  # type: ignore[index]
        client.send(request("/there/x"))
        await client.read(1)
        serving.app.upstreams["a"].replays, serving.app.upstreams["a"].refused = 4, 5
        for _ in range(2):
            looking.sample()  # what is followed is added once
        found = told(serving.app.metrics.read())
        assert total(found, "gateway_connections") == 1
        assert total(found, "http_client_open_connections", http_connection_state="idle", server_address="127.0.0.1") == 1
        assert total(found, "http_client_open_connections", http_connection_state="active") == 0
        assert total(found, "gateway_upstream_replays_total", upstream="a") == 4
        assert total(found, "gateway_upstream_refused_total", upstream="a") == 5
        assert total(found, "gateway_log_dropped_total", log="access") == 3
        assert total(found, "gateway_loop_stalls_total") == 2 and total(found, "gateway_loop_stalled_seconds_total") == 1.5
        assert [total(found, "gateway_traces_spans_total", outcome=one) for one in ("sent", "dropped", "failed")] == [7, 2, 1]
        assert total(found, "gateway_store_trips_total") == 3 and total(found, "gateway_store_up") == 1
        assert total(found, "gateway_reloads_total", result="success") == 3
        assert total(found, "gateway_reloads_total", result="failure") == 2
        assert total(found, "gateway_policy_revision", worker="0") == 7
        assert total(found, "gateway_policy_stale", worker="0") == 1
        assert total(found, "gateway_reload_time_seconds") == 1767225600
        serving.app.upstreams.clear()  # as a reload that takes them away
        again = serving.app.running.exporter = SpanExporter(lambda: pytest.fail("nobody connects"))
        again.sent = 5  # less than the one before it: it began anew
        looking.sample()
        assert total(told(serving.app.metrics.read()), "gateway_traces_spans_total", outcome="sent") == 12
        serving.app.running.exporter = None
        assert total(told(serving.app.metrics.read()), "http_client_open_connections") == 0


async def test_a_loop_that_is_held_up_shows() -> None:
    async with gateway(POLICY.replace("URL", "http://127.0.0.1:1")) as serving:
        looking = sampler(serving, State(1, "p"))
        looking.start()
        looking._due -= 3.0  # as if what is due now had been so for 3 s
        looking._look()
        looking.stop()
        found = told(serving.app.metrics.read())
    assert total(found, "gateway_loop_lag_seconds_count") == 1
    assert 2.0 < total(found, "gateway_loop_lag_seconds_sum") < 3.0


async def test_what_can_be_asked_by_name(tmp_path: Path) -> None:
    control = Control()
    async with gateway(POLICY.replace("URL", "http://127.0.0.1:1")) as serving:
        now = 1_767_225_600.0
        Measures(lambda: [serving.app.metrics.read()], tmp_path, lambda: now).offer(control)
        for _ in range(6):
            await raw(serving.port, request("/here/1"))
        now += 60.0
        plain = await control.call("metrics")
        assert plain["content_type"].startswith("text/plain; version=0.0.4")
        other = await control.call("metrics", {"accept": "application/openmetrics-text; version=1.0.0"})
        assert other["content_type"].startswith("application/openmetrics-text") and other["text"].endswith("# EOF\n")
        answer: Any = json.loads(json.dumps(await control.call("metrics_json")))
    assert answer["requests"] == {"active": 0, "since_start": 6}
    assert answer["1m"]["rate"] == answer["1m"]["routes"]["/here/{id}"]["rate"] == 0.1


async def test_the_observe_port_tells(tmp_path: Path) -> None:
    async with running(OBSERVED, tmp_path, listeners=1) as process:
        await raw(process.port, request("/here"))
        async with asyncio.timeout(30):
            while not (ports := OBSERVE.findall(process.log)):
                await asyncio.sleep(0.01)
        (text, summary) = [
            (await raw(int(ports[0]), request(target).replace(b"Host: a", b"Host: localhost\r\nConnection: close")))[0]
            for target in ("/metrics", "/health/metrics")
        ]
    assert (text.status, summary.status) == (200, 200)
    assert total(samples(text.body.decode()), "http_server_request_duration_seconds_count", http_route="/here") == 1
    assert json.loads(summary.body)["requests"]["since_start"] == 1


async def test_a_process_is_read_from_outside_also_when_it_was_killed(tmp_path: Path) -> None:
    policy = """version: 1
server: {listen: "127.0.0.1:0"}
plugins: [metrics]
routes: [{name: here, match: "/here/{id}", plugins: [respond: 204]}]
"""
    folder = tmp_path / "var" / "gateway"
    for sent in (40, 2):  # the second begins anew
        async with running(policy, tmp_path) as process:
            async with RawClient(process.port) as client:
                for n in range(sent):
                    client.data = b""
                    client.send(request(f"/here/{n}"))
                    await client.read(1)
                (source,) = read_all(folder)
                assert source.process
                found = told(source)
                assert total(found, "process_resident_memory_bytes", worker="0") > 1e6
            process.send_signal(signal.SIGKILL)
            await process.ended()
        (source,) = read_all(folder)
        found = told(source)
        assert source.process == 0
        counted = total(found, "http_server_request_duration_seconds_count", http_route="/here/{id}")
        assert counted in (sent, sent - 1)  # the last answer may have been read before it had ended
        assert total(found, "http_server_active_requests") == 0 == total(found, "process_resident_memory_bytes")


async def test_the_hour_outlives_the_process(tmp_path: Path) -> None:
    policy = """version: 1
server: {listen: "127.0.0.1:0", timeouts: {lame_duck: 0s, drain: 0s}}
plugins: [metrics]
routes: [{name: here, match: /here, plugins: [respond: 204]}]
"""
    file = tmp_path / "var" / "gateway" / "metrics" / "hour.json"
    for expected in (1, 2):
        async with running(policy, tmp_path) as process:
            await raw(process.port, request("/here"))
            process.send_signal(signal.SIGTERM)
            assert await process.ended() == 0
        slices = json.loads(file.read_text())["slices"]
        assert sum(sum(one["routes"].get("/here", [0])[1:]) for one in slices) == expected
