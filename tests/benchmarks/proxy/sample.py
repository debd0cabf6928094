"""One measurement of a peer, and the row that several rounds of it make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from tests.benchmarks.proxy import load
from tests.benchmarks.proxy.process import NotServing, Process


@dataclass(frozen=True, slots=True)
class Sample:
    us: float  # CPU microseconds a request, of the server's process tree
    rate: float  # requests a second
    p50: float  # milliseconds
    p99: float
    resident: float  # bytes
    errors: int


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    does: str
    typical: Sample  # each figure the median over the rounds, the errors those of all
    least: float  # CPU us
    most: float


def measure(process: Process, url: str, connections: int, seconds: int, status: int) -> Sample:
    """Warmed up for a second first. Raises NotServing when nothing was answered."""
    load.run(url, connections, 1)
    before = process.cpu()
    done = load.run(url, connections, seconds)
    spent = process.cpu() - before
    if not done.requests:
        raise NotServing(f"none of {connections:,} connections was answered in {seconds} s")
    unexpected = done.refused if status < 400 else done.requests - done.refused
    return Sample(
        us=spent / done.requests * 1e6,
        rate=done.requests / done.seconds,
        p50=done.p50,
        p99=done.p99,
        resident=process.resident(),
        errors=unexpected + done.broken,
    )


def row(name: str, does: str, samples: Sequence[Sample]) -> Row:
    costs = [sample.us for sample in samples]
    typical = Sample(
        us=median(costs),
        rate=median(sample.rate for sample in samples),
        p50=median(sample.p50 for sample in samples),
        p99=median(sample.p99 for sample in samples),
        resident=median(sample.resident for sample in samples),
        errors=sum(sample.errors for sample in samples),
    )
    return Row(name, does, typical, min(costs), max(costs))
