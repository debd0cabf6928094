"""For tests of plugins, ours and yours: an exchange, a host, a clock moved by hand and an upstream that answers as told.

plugin = load("rate_limit", {"limit": 2, "window": "1m"}, host=host(clock=clock))
reply = run(pipeline(plugin), exchange("GET", "/"))
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from gateway.caching.memory import MemoryCache
from gateway.control import Arguments, Control
from gateway.detached import fetch
from gateway.errors import CallFailed, GatewayError
from gateway.exchange import Attempt, End, Exchange, Headers, Reply
from gateway.jobs.memory import MemoryJobs as MemoryJobs
from gateway.jobs.queue import Queue
from gateway.pii import Mask
from gateway.pipeline import Entry, Pipeline, no_upstream
from gateway.plugin import Host, Mode, Plugin
from gateway.registry import Registry
from gateway.rehearsal.clock import Clock as Clock
from gateway.span import Span, Traces
from gateway.store.memory import MemoryStore
from gateway.stream import Stream
from gateway.target import canonical
from gateway.telemetry.metrics.families import Metrics
from gateway.telemetry.metrics.owned import OwnedMetrics
from gateway.telemetry.metrics.reading import merge


@dataclass(slots=True)
class FakeUpstream:
    """Answers with `reply` (a Reply, an exception, or a function of the exchange) and keeps what it was sent."""

    reply: Reply | Exception | Callable[[Exchange], Reply] = field(default_factory=lambda: Reply.json(200, {"ok": True}))
    requests: list[tuple[str, str, Headers, bytes]] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)

    async def send(self, ex: Exchange, pipeline: Pipeline) -> Reply:
        attempt = Attempt(len(ex.attempts) + 1, "http://upstream.test", ex.headers)
        ex.attempts = (*ex.attempts, attempt)
        pipeline.attempt(ex, attempt)
        self.attempts.append(attempt)
        self.requests.append((ex.method, ex.target, attempt.headers, await ex.body()))
        if isinstance(self.reply, Exception):
            attempt.error = self.reply if isinstance(self.reply, GatewayError) else None
            raise self.reply
        reply = self.reply(ex) if callable(self.reply) else self.reply
        attempt.status = reply.status
        reply.upstream = attempt.target
        return reply


@dataclass(slots=True)
class FakeService:
    """What `Host.http` asks. Answers with `reply` (a Reply, an exception, or a function of method and URL) and keeps what it was asked."""

    reply: Reply | Exception | Callable[[str, str], Reply] = field(default_factory=lambda: CallFailed(reason="nothing is served here"))
    requests: list[tuple[str, str, Mapping[str, str], bytes]] = field(default_factory=list)

    async def call(self, method: str, url: str, headers: Mapping[str, str], body: bytes, within: float, limit: int) -> Reply:
        self.requests.append((method, url, headers, body))
        if isinstance(self.reply, Exception):
            raise self.reply
        return self.reply(method, url) if callable(self.reply) else self.reply


@dataclass(slots=True)
class FakeFiles:
    """What `Host.watch` watches: a file changes when the test says so."""

    watched: list[tuple[Path, Callable[[bytes], None]]] = field(default_factory=list)

    def change(self, path: Path, content: bytes) -> None:
        for _, changed in [one for one in self.watched if one[0] == path]:
            changed(content)

    def watch(self, host: Host, path: Path, changed: Callable[[bytes], None]) -> None:
        self.watched.append((path, changed))


def exchange(
    method: str = "GET",
    target: str = "/",
    headers: Mapping[str, str] | Sequence[tuple[str, str]] = (),
    body: bytes | None = None,
    *,
    client: str = "192.0.2.1",
    host: str = "gateway.test",
    scheme: str = "http",
    params: Mapping[str, str] | None = None,
    route: str = "test",
    started: float = 0.0,
) -> Exchange:
    """An exchange as the front would make it, its body ready to be read."""
    address = canonical(target)
    ex = Exchange(
        method, address.target, address.path, address.query, Headers(headers), host=host, client=client, scheme=scheme, started=started
    )
    ex.params = params or {}
    ex.route = route
    if body is not None:
        ex.set_body(body)
    return ex


def streamed(*pieces: bytes) -> Stream:
    """A stream that has these pieces and its end. Needs a running loop."""
    stream = Stream(asyncio.get_running_loop())
    for piece in pieces:
        stream.feed(piece)
    stream.end()
    return stream


class Measured(OwnedMetrics):
    """Metrics in memory, and what they count."""

    def __init__(self) -> None:
        self._all = Metrics()
        super().__init__(self._all, "test", "", {})

    def value(self, name: str, **labels: object) -> float:
        """Of a counter or gauge, by the name it was made with; of a histogram, how many it observed. Over all series with these labels."""
        found = 0.0
        for merged in merge([self._all.read()]):
            if merged.shape.name in (name, f"gateway.{name}"):
                for values, slots in merged.series.items():
                    known = dict(zip(merged.labels, values, strict=True))
                    if all(known.get(label) == str(value) for label, value in labels.items()):
                        found += sum(slots[1:]) if merged.shape.kind == "histogram" else slots[0]
        return found


def host(
    *,
    clock: Callable[[], float] | None = None,
    mode: Mode = "enforce",
    route: str = "",
    lines: list[bytes] | None = None,
    logs: dict[Path, list[bytes]] | None = None,
    ready: bool = True,
    stale: bool = False,
    draining: bool | None = None,
    answers: Mapping[str, Any] | None = None,
    service: FakeService | None = None,
    files: FakeFiles | None = None,
    time: Callable[[], float] = time.time,
    metrics: Measured | None = None,
    paths: Mapping[str, str] | None = None,
    vital: Iterable[str] = (),
    sample: float = 1.0,
    spans: list[Span] | None = None,
    pii: Sequence[str] = (),
    jobs: MemoryJobs | None = None,
    senders: Iterable[str] = (),
) -> Host:
    """A host whose store and metrics are memory, whose access log is the list `lines`, or that of its path in `logs`.

    Ready, and with a policy gone stale, if you say so. Its plugin calls `service` and watches `files`; what lies below it is known once
    it is in a `pipeline`. One that is not ready drains unless you say otherwise; `answers` are those of the operations that a plugin
    asks for by name. The `sample` of traces that begin here is sampled, and their spans are put into the list `spans`, if there is one;
    `pii` is masked. `paths` are the templates of the routes; the only one is that of `exchange`, "test". `vital` are those
    that are never refused for want of capacity. What is enqueued for the `senders` is kept in `jobs`.
    """
    clock = clock or Clock()
    kept = [] if lines is None else lines
    filed = {} if logs is None else logs
    return Host(
        clock=clock,
        mode=mode,
        route=route,
        store=MemoryStore(clock),
        cache=MemoryCache(1 << 20),
        log=logging.getLogger("gateway.test"),
        write_line=kept.append,
        open_lines=lambda file: filed.setdefault(file, []).append,
        is_ready=lambda: ready,
        metrics=metrics or Measured(),
        paths={"test": "/**"} if paths is None else paths,
        vital=frozenset(vital),
        has_stale_policy=lambda: stale,
        traces=Traces(sample, None if spans is None else spans.extend),
        mask=Mask(pii),
        is_draining=lambda: not ready if draining is None else draining,
        ask=_control(answers or {}).call,
        below=partial(fetch, lambda route: None),
        outbound=(service or FakeService()).call,
        watched=(files or FakeFiles()).watch,
        time=time,
        jobs=Queue(jobs or MemoryJobs(time), senders),
    )


def _control(answers: Mapping[str, Any]) -> Control:
    control = Control()
    for name, answer in answers.items():

        async def operation(arguments: Arguments, answer: Any = answer) -> Any:
            return answer

        control.offer(name, operation)
    return control


def load(name: str, settings: object = None, *, host: Host | None = None, registry: Registry | None = None) -> Plugin[Any]:
    """The plugin `name` with these settings, checked as the policy's would be. Raises pydantic's ValidationError."""
    cls = (registry or Registry()).load(name)
    return cls(cls.settings.model_validate({} if settings is None else settings), host or globals()["host"]())


def pipeline(*plugins: Plugin[Any], upstream: FakeUpstream | None = None, mode: Mode = "enforce") -> Pipeline:
    """A pipeline of these plugins, outermost first."""
    entries = [Entry(type(plugin).__module__.rpartition(".")[2], plugin, mode) for plugin in plugins]
    made = Pipeline(entries, no_upstream if upstream is None else upstream.send)
    for plugin in plugins:
        plugin.host.below = partial(fetch, lambda route: made)
    return made


def run(pipeline: Pipeline, ex: Exchange) -> Reply:
    """Answer `ex` and end it, as the front would; for tests that need no loop of their own."""

    async def whole() -> Reply:
        reply = await pipeline.answer(ex)
        data = b"" if reply.entity is None else reply.entity.data
        pipeline.end(ex, End(reply.status, bytes_out=len(data), attempts=ex.attempts, error=ex.failure))
        return reply

    return asyncio.run(whole())
