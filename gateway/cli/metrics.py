"""The table of docs/metrics.md, made from the metrics' own descriptions: `python -m gateway.cli.metrics`."""

from __future__ import annotations

import asyncio
import sys

from gateway.app import App
from gateway.config.policy import loads
from gateway.server.front import Front
from gateway.server.sampling import Sampler
from gateway.state.record import State
from gateway.supervisor.counting import workers
from gateway.telemetry.metrics.shape import Shape

HEAD = "| in Prometheus | in OpenTelemetry | labels | what it is |\n| --- | --- | --- | --- |\n"
POLICY = """
version: 1
plugins:
  - metrics: {legacy: true}
  - load_shedding
  - rate_limit: {limit: 1, window: 1s}
  - concurrency: 1
  - sanitize
  - validate: {query: {}}
  - csrf
  - signature: {verify: {keys: {id: a, secret: 0123456789abcdef}}}
  - idempotency
  - purge: anything
  - cache
  - enqueue: {job: webhook, to: "https://example.com/"}
routes:
  - {match: /, plugins: [whatsapp_status: {app_secret: a, verify_token: b}]}
jobs:
  senders: {webhook: {secret: whsec_bm90IGEgc2VjcmV0IGF0IGFsbCBidXQgbG9uZw==}}
"""
MERGED = {"sum": "", "max": " The greatest of all workers.", "worker": " For each worker."}


async def shapes() -> list[Shape]:
    """Every metric of the gateway itself and of its plugins, by name."""
    app = App(loads(POLICY), lambda line: None)
    front = Front(app, [])
    Sampler(front, lambda: State(0, ""))
    workers(app.metrics)
    return sorted(app.metrics.shapes, key=lambda shape: shape.prometheus)


def table() -> str:
    return HEAD + "".join(_row(shape) for shape in asyncio.run(shapes()))


def _row(shape: Shape) -> str:
    name = f"{shape.prometheus}_total" if shape.kind == "counter" else shape.prometheus
    labels = [*shape.labels, *(["worker"] if shape.merge == "worker" else [])]
    listed = ", ".join(f"`{label.replace('.', '_')}`" for label in labels)
    return f"| `{name}` | `{shape.name}`, {shape.kind} | {listed} | {shape.description}{MERGED[shape.merge]} |\n"


if __name__ == "__main__":
    sys.stdout.write(table())
