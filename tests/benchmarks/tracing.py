"""What a traced request costs: `python -m tests.benchmarks.tracing`. Microseconds of CPU, from a known head to the upstream's bytes.

The same requests pass several policies in turn, in one process and without sockets: the head is read the short way, as of a client that
repeats itself, but for the trace it is in; the upstream is a connection that answers at once,
and nothing is delivered. What a row costs over `nothing` is its
plugin's, with all that it makes others do; that is what counts, for the rest differs between machines.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import uvloop

from gateway.app import App
from gateway.config.policy import loads
from gateway.config.upstream import UpstreamSettings
from gateway.exchange import End, Exchange, Reply
from gateway.server.front import Front
from gateway.server.head import Peer
from gateway.span import Span
from gateway.telemetry.tracing.destination import Destination
from gateway.telemetry.tracing.exporter import SpanExporter
from gateway.upstream import Target, Upstream
from gateway.wire import HeadParser
from tests.benchmarks.proxy import load
from tests.benchmarks.proxy.sink import LEADS
from tests.benchmarks.proxy.table import markdown

REQUESTS = 4000  # of one round
ROUNDS = 15
PARENT = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00\r\n"

POLICY = """
version: 1
server: {{trusted_proxies: [127.0.0.1]}}
telemetry: {{{telemetry}}}
upstreams: {{leads: {{targets: "http://127.0.0.1:1"}}}}
plugins: [{plugins}]
routes: [{{match: "/**", upstream: leads}}]
"""


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    plugins: str = ""
    telemetry: str = ""
    fields: str = ""  # that the client sends beside the usual ones; these are new in every request

    @property
    def floor(self) -> str:
        """The row that it is compared to."""
        return "nothing, by a caller with a trace" if self.fields else "nothing"


UNSAMPLED = "traces: {sample: 0, endpoint: 'http://127.0.0.1:1'}"
SAMPLED = "traces: {sample: 1, endpoint: 'http://127.0.0.1:1'}"
ROWS = (
    Row("nothing"),
    Row("nothing, by a caller with a trace", fields=PARENT),
    Row("request_id", "request_id"),
    Row("unsampled", "tracing", UNSAMPLED),
    Row("unsampled, request_id", "request_id, tracing", UNSAMPLED),
    Row("unsampled, by a caller with a trace", "tracing", UNSAMPLED, PARENT),
    Row("sampled", "tracing", SAMPLED),
)


class Answering:
    """A connection whose answer is there at once."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.sent = b""

    def ask(self, head: bytes, *_: object) -> asyncio.Future[Reply]:
        self.sent = head
        answer = self.loop.create_future()
        answer.set_result(Reply(200))
        return answer


class Ready(Target):
    def __init__(self, url: str) -> None:
        super().__init__(url, connect=1, head=1, idle=1, keepalive=1, kept=0, tls=None)
        self.connection: Any = Answering()

    def free(self) -> Any:
        return self.connection


def _upstream(name: str, settings: UpstreamSettings) -> Upstream:
    return Upstream(name, [Ready(url) for url in settings.targets], settings)


def requests(row: Row) -> Callable[[int], Any]:
    """A coroutine function that makes so many requests one after another. Raises RuntimeError when the upstream sees a wrong one."""
    app = App(loads(POLICY.format(plugins=row.plugins, telemetry=row.telemetry)), _nowhere, upstream=_upstream, exporter=_Nowhere)
    front = Front(app, ())
    fields = "".join(f"{name}: {value}\r\n" for name, value in load.HEADERS.items())
    head = f"GET {LEADS} HTTP/1.1\r\nHost: 127.0.0.1\r\n{fields}{row.fields}\r\n".encode()
    message = HeadParser(front.loop).feed(head)
    peer = Peer("127.0.0.1", "http", front.forwarding)
    known = front.heads.exchange(message, peer, head)[3]
    if row.fields:
        other = head.replace(b"0af76519", b"ffffffff")
        known = front.heads.exchange(HeadParser(front.loop).feed(other), peer, other, known)[3]
    assert known is not None and (len(known.names) == 1) == bool(row.fields)

    def read() -> Exchange:
        found = front.heads.again(head, known)
        assert found is not None
        return found[0]

    async def some(count: int) -> None:
        for _ in range(count):
            ex = read()
            pipeline = app.find(ex)
            reply = await pipeline.answer(ex)
            pipeline.end(ex, End(reply.status, 0, 0, 0.001, ex.attempts, ex.failure))
        target = app.upstreams["leads"].targets[0]
        assert isinstance(target, Ready)
        if (b"\r\ntraceparent: 00-" in target.connection.sent) != ("tracing" in row.plugins or bool(row.fields)):
            raise RuntimeError(target.connection.sent.decode())

    return some


def _nowhere(line: bytes) -> None:
    """The access log is not asked about here."""


class _Nowhere(SpanExporter):
    """Takes spans and forgets them."""

    def __init__(self, to: Destination) -> None:
        super().__init__(to.connect)

    def record(self, spans: Sequence[Span]) -> None:
        self.sent += len(spans)


async def measured(rows: tuple[Row, ...]) -> dict[str, list[float]]:
    """Microseconds a request, of each round; the rows take turns, so that a slow hour is every row's."""
    runs = {row.name: requests(row) for row in rows}
    gc.collect()  # as the gateway does when it has started
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    for run in runs.values():
        await run(REQUESTS)
    times: dict[str, list[float]] = {row.name: [] for row in rows}
    for _ in range(ROUNDS):
        for name, run in runs.items():
            begun = time.process_time()
            await run(REQUESTS)
            times[name].append((time.process_time() - begun) / REQUESTS * 1e6)
    return times


def report(times: dict[str, list[float]]) -> str:
    rows = []
    for row in ROWS:
        least, floor = min(times[row.name]), min(times[row.floor])
        over = "" if row.name == row.floor else f"{least - floor:+.2f}"
        rows.append((row.name, f"{least:.2f}", f"{statistics.median(times[row.name]):.2f}", over))
    return markdown(("one GET", "least us", "median us", "least, to nothing"), rows)


def main() -> int:
    argparse.ArgumentParser(
        prog="python -m tests.benchmarks.tracing", description=__doc__.partition("\n")[0] if __doc__ else ""
    ).parse_args()
    print(report(uvloop.run(measured(ROWS))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
