"""What was counted, for Prometheus: its text format or OpenMetrics, whichever is asked for, as prometheus_client writes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from gateway.telemetry.metrics.reading import WORKER, Merged, merge
from gateway.telemetry.metrics.shape import Shape
from gateway.telemetry.metrics.slots import Source

Encode = Callable[[Collector], bytes]
number: Callable[[float], str] = floatToGoString

FORMS = 4
"""Formats whose lines are kept: a scraper asks for the same one again and again."""
EOF = "# EOF\n"


class Exposition:
    """Writes the same lines again and again, with other numbers.

    prometheus_client takes 10 us for a line, most of it to escape labels: so each line is written by it once, and its beginning kept.
    """

    def __init__(self) -> None:
        self._forms: dict[str, dict[str, _Lines]] = {}

    def write(self, sources: Sequence[Source], accept: str = "") -> tuple[str, bytes]:
        """The content type, by the request's Accept field, and the body."""
        encode, content_type = choose_encoder(accept)
        if content_type not in self._forms and len(self._forms) >= FORMS:
            self._forms.clear()
        kept = self._forms.setdefault(content_type, {})
        rest = encode(_Some(_processes(sources))).decode()
        return content_type, "".join([*self._metrics(merge(sources), kept, encode), rest]).encode()

    def _metrics(self, metrics: Iterable[Merged], kept: dict[str, _Lines], encode: Encode) -> Iterator[str]:
        for merged in metrics:
            lines = kept.get(merged.shape.name)
            series = tuple(merged.series)
            if lines is None or (lines.shape, lines.series) != (merged.shape, series):
                text = encode(_Some([metric(merged)])).decode().removesuffix(EOF)
                lines = kept[merged.shape.name] = _Lines.of(merged, text)
            yield lines.filled([value for slots in merged.series.values() for value in _values(merged, slots)])


@dataclass(frozen=True, slots=True)
class _Lines:
    """A metric's text without its numbers."""

    shape: Shape
    series: tuple[tuple[str, ...], ...]
    comments: str
    beginnings: list[str]

    @classmethod
    def of(cls, merged: Merged, text: str) -> _Lines:
        lines = text.split("\n")[:-1]
        comments = "".join([f"{line}\n" for line in lines if line.startswith("#")])
        beginnings = [line[: line.rindex(" ") + 1] for line in lines if not line.startswith("#")]
        return cls(merged.shape, tuple(merged.series), comments, beginnings)

    def filled(self, values: list[float]) -> str:
        lines = [f"{beginning}{number(value)}\n" for beginning, value in zip(self.beginnings, values, strict=True)]
        return "".join([self.comments, *lines])


class _Some(Collector):
    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def metric(merged: Merged) -> Metric:
    """For prometheus_client: its samples are in the order of `_values`."""
    shape = merged.shape
    labels = [name.replace(".", "_") for name in merged.labels]
    if shape.kind == "histogram":
        histogram = HistogramMetricFamily(shape.prometheus, shape.description, labels=labels)
        for values, slots in merged.series.items():
            histogram.add_metric(values, [(number(end), count) for end, count in merged.buckets(slots)], slots[0])
        return histogram
    family = CounterMetricFamily if shape.kind == "counter" else GaugeMetricFamily
    plain = family(shape.prometheus, shape.description, labels=labels)
    for values, slots in merged.series.items():
        plain.add_metric(values, slots[0])
    return plain


def _values(merged: Merged, slots: list[float]) -> list[float]:
    """A series' numbers in the order in which they are told."""
    if merged.shape.kind != "histogram":
        return slots
    counts = [count for _, count in merged.buckets(slots)]
    return [*counts, counts[-1], slots[0]]


def _processes(sources: Sequence[Source]) -> list[Metric]:
    """prometheus_client's own metrics of a process, for each worker that runs."""
    found: dict[str, Metric] = {}
    for source in sources:
        if source.process:
            for one in ProcessCollector(pid=lambda: source.process, registry=None).collect():  # noqa: B023 - it is called at once
                known = found.setdefault(one.name, Metric(one.name, one.documentation, one.type))
                for sample in one.samples:
                    known.add_sample(sample.name, {**sample.labels, WORKER: source.worker}, sample.value)
    return list(found.values())
