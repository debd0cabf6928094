"""What Prometheus gets, read back with prometheus_client's own parsers."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.exposition import choose_encoder
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from gateway.telemetry.metrics.exposition import Exposition, _Some, metric
from gateway.telemetry.metrics.families import Metrics
from gateway.telemetry.metrics.reading import merge
from gateway.telemetry.metrics.slots import Source

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
PROMETHEUS_3 = (  # what Prometheus 3.4 sends
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


def samples(exposition: Exposition, sources: list[Source], accept: str = "") -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    content_type, body = exposition.write(sources, accept)
    parse = parse_openmetrics if content_type.startswith("application/openmetrics-text") else parse_text
    families = list(parse(body.decode()))
    assert len({family.name for family in families}) == len(families)
    return {(one.name, tuple(sorted(one.labels.items()))): one.value for family in families for one in family.samples}


VALUES = st.text(max_size=20)
NUMBERS = st.one_of(st.integers(0, 10**18), st.floats(0, 1e20))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(VALUES, VALUES, NUMBERS), max_size=6), st.lists(st.tuples(VALUES, VALUES, NUMBERS), max_size=6))
@pytest.mark.parametrize("accept", ["", OPENMETRICS])
def test_kept_lines_are_those_that_prometheus_client_would_write(
    accept: str, first: list[tuple[str, str, float]], second: list[tuple[str, str, float]]
) -> None:
    """Whatever is in a label, and also when series have come since."""
    metrics = Metrics()
    exposition = Exposition()
    encode = choose_encoder(accept)[0]
    for numbers in (first, second, second):
        for a, b, number in numbers:
            metrics.counter("c", "C \\ \n é", ("a", "b.c")).bind(**{"a": a, "b.c": b}).add(number)
            metrics.gauge("g", "G.", ("a",), unit="By").bind(a=a).set(number)
            metrics.histogram("h", "H.", ("a",)).bind(a=b).observe(number)
        source = Source("0", 0, metrics.read().entries)
        expected = encode(_Some([metric(one) for one in merge([source])]))
        assert exposition.write([source], accept)[1] == expected


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", "text/plain; version=0.0.4; charset=utf-8"),
        ("*/*", "text/plain; version=0.0.4; charset=utf-8"),
        ("text/html", "text/plain; version=0.0.4; charset=utf-8"),
        (OPENMETRICS, "application/openmetrics-text; version=1.0.0; charset=utf-8"),
        (PROMETHEUS_3, "application/openmetrics-text; version=1.0.0; charset=utf-8"),
        ("\x00\udcff;q=;;,,", "text/plain; version=0.0.4; charset=utf-8"),
    ],
)
def test_the_form_is_the_one_that_is_asked_for(accept: str, content_type: str) -> None:
    found, body = Exposition().write([Metrics().read()], accept)
    assert found.startswith(content_type)
    assert body.endswith(b"# EOF\n") == found.startswith("application/openmetrics-text")


@pytest.mark.parametrize("accept", ["", OPENMETRICS])
def test_what_four_workers_tell(accept: str) -> None:
    workers = []
    for n in range(4):
        metrics = Metrics()
        metrics.counter("gateway.hits", "Hits.", ("route",)).bind(route="/{id}").add(n + 1)
        metrics.histogram("http.server.request.duration", "D.", ("http.route",)).bind(**{"http.route": "/{id}"}).observe(0.003)
        workers.append(Source(str(n), metrics.read().process if n else 0, metrics.read().entries))
    found = samples(Exposition(), workers, accept)
    route = (("http_route", "/{id}"),)
    assert found["gateway_hits_total", (("route", "/{id}"),)] == 10
    assert found["http_server_request_duration_seconds_count", route] == 4
    assert found["http_server_request_duration_seconds_sum", route] == pytest.approx(0.012)
    assert found["http_server_request_duration_seconds_bucket", (*route, ("le", "0.005"))] == 4
    assert {labels for name, labels in found if name == "process_open_fds"} <= {(("worker", str(n)),) for n in range(1, 4)}
    assert found.get(("process_resident_memory_bytes", (("worker", "1"),)), 2.0) > 1


def test_the_forms_of_a_hostile_scraper_are_not_all_kept() -> None:
    exposition = Exposition()
    for n in range(50):
        exposition.write([], f"application/openmetrics-text; version={n}.0.0; escaping=values")
    assert len(exposition._forms) <= 4
