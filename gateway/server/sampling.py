"""What nobody tells as it happens is looked at now and then: the event loop's lag, connections, the store, reloads, what logs dropped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from time import monotonic
from typing import Protocol
from weakref import WeakKeyDictionary

from gateway.app import App
from gateway.state.record import State
from gateway.telemetry.metrics.families import Counter, Metrics
from gateway.telemetry.watchdog import Watchdog

EVERY = 0.5  # seconds between two looks
LAG = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
STORE = {
    "trips": "Times that the store was taken to be away.",
    "errors": "Errors that it answered.",
    "away": "What was not asked of it, for it was away.",
    "alone": "Requests that were decided without it.",
}
UPSTREAM = {
    "replays": "Requests sent again on another connection.",
    "retries": "Requests sent again because they failed.",
    "withheld": "Retries that the budget did not allow.",
    "ejections": "Times that a target was left out because requests failed.",
    "refused": "Requests refused because there were `max_in_flight`.",
}
CONNECTION = ("http.connection.state", "server.address", "server.port")


class Sampled(Protocol):
    """The front; or who runs jobs alone, and has no connections."""

    @property
    def app(self) -> App: ...

    @property
    def connections(self) -> int: ...


class Sampler:
    """`start` and `stop` in the event loop whose lag it measures. A look costs some microseconds, whatever the traffic."""

    def __init__(self, front: Sampled, reloads: Callable[[], State] | None) -> None:
        """`reloads`: how they went, where this process is the one to count them."""
        self._front = front
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0
        self._followed: list[_Followed] = []
        self._connections: dict[tuple[str, str, int], int] = {}
        self._out: dict[str, tuple[int, int]] = {}  # by upstream, targets that are in and out
        metrics = front.app.metrics
        self._lag = metrics.histogram("gateway.loop.lag", "How late the event loop does what is due.", bounds=LAG).bind()
        self._clients = metrics.gauge("gateway.connections", "Connections of clients, WebSockets among them.").bind()
        self._upstream = metrics.gauge(
            "http.client.open_connections",
            "Connections to upstreams' targets; an active one is in use, or being made.",
            CONNECTION,
        )
        self._targets = metrics.gauge(
            "gateway.upstream.targets", "Targets of an upstream, by whether they are asked.", ("upstream", "state")
        )
        self._counted = {what: metrics.counter(f"gateway.upstream.{what}", told, ("upstream",)) for what, told in UPSTREAM.items()}
        self._keys = metrics.gauge("gateway.store.keys", "Keys that the limits tell apart in this process.").bind()
        self._store_up = metrics.gauge("gateway.store.up", "Processes for which the store is there.").bind()
        self._store = _bound(metrics, "gateway.store", STORE)
        self._spans = metrics.counter("gateway.traces.spans", "Spans that were sent, found no room, or were not taken.", ("outcome",))
        self._seen: WeakKeyDictionary[object, dict[str, float]] = WeakKeyDictionary()
        self._dropped = metrics.counter("gateway.log.dropped", "Lines of a log that nobody read in time.", ("log",))
        self._cache = CacheSampler(front)
        self._stalls = metrics.counter("gateway.loop.stalls", "Times that the event loop did not turn for a quarter of a second.").bind()
        self._stalled = metrics.counter("gateway.loop.stalled", "How long it did not turn then, in all.", unit="s").bind()
        self._reloads = None if reloads is None else ReloadSampler(metrics, reloads)

    def follow(self, counter: Counter, total: Callable[[], float]) -> None:
        """Count what something else counts already."""
        self._followed.append(_Followed(counter, total))

    def follow_log(self, name: str, dropped: Callable[[], float]) -> None:
        """Tell how many lines the log of this name has dropped."""
        self.follow(self._dropped.bind(log=name), dropped)

    def follow_watchdog(self, watchdog: Watchdog) -> None:
        self.follow(self._stalls, lambda: watchdog.stalls)
        self.follow(self._stalled, lambda: watchdog.stalled)

    def start(self) -> None:
        self._due = monotonic() + EVERY
        self._timer = asyncio.get_running_loop().call_later(EVERY, self._look)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self.sample()

    def _look(self) -> None:
        self._lag.observe(max(0.0, monotonic() - self._due))
        self.start()
        self.sample()

    def sample(self) -> None:
        """Look now."""
        app = self._front.app
        self._clients.set(self._front.connections)
        self._keys.set(app.store.keys)
        self._cache.sample()
        self._store_up.set(app.store.state().is_up)
        self._follow(app.store, app.store.counters, self._store)
        if (exporter := app.running.exporter) is not None:
            counts = {"sent": exporter.sent, "dropped": exporter.dropped, "failed": exporter.failed}
            self._follow(exporter, counts, {outcome: self._spans.bind(outcome=outcome) for outcome in counts})
        if self._reloads is not None:
            self._reloads.sample()
        self._look_at_upstreams()
        for followed in self._followed:
            followed.look()

    def _follow(self, owner: object, counts: Mapping[str, float], counters: Mapping[str, Counter]) -> None:
        """Of one that a reload may put another in the place of, which begins at 0."""
        last = self._seen.setdefault(owner, {})
        for name, counter in counters.items():
            counter.add(counts.get(name, 0) - last.get(name, 0))
        last.update(counts)

    def _look_at_upstreams(self) -> None:
        out = dict.fromkeys(self._out, (0, 0))
        for name, upstream in self._front.app.upstreams.items():
            number = len(upstream.out)
            out[name] = (len(upstream.targets) - number, number)
        for name, numbers in out.items():
            for state, number in zip(("in", "out"), numbers, strict=True):
                self._targets.bind(upstream=name, state=state).set(number)
        self._out = out
        found = dict.fromkeys(self._connections, 0)  # a target that a reload took away has none
        for name, upstream in self._front.app.upstreams.items():
            counts = {what: getattr(upstream, what) for what in UPSTREAM}
            self._follow(upstream, counts, {what: family.bind(upstream=name) for what, family in self._counted.items()})
            for target in upstream.targets:
                for state, number in (("active", target.active), ("idle", target.idle)):
                    which = (state, target.host, target.port)
                    found[which] = found.get(which, 0) + number
        for which, number in found.items():
            self._upstream.bind(**dict(zip(CONNECTION, which, strict=True))).set(number)
        self._connections = found


class CacheSampler:
    """How full the cache is. A reload may begin another, whose counts begin anew."""

    def __init__(self, front: Sampled) -> None:
        self._front = front
        metrics = front.app.metrics
        self._bytes = metrics.gauge("gateway.cache.memory", "Bytes of stored answers in memory.", unit="By").bind()
        self._limit = metrics.gauge("gateway.cache.memory.limit", "Bytes that they may have.", unit="By").bind()
        self._records = metrics.gauge("gateway.cache.records", "Stored answers in memory.").bind()
        self._evicted = metrics.counter("gateway.cache.evictions", "Answers that left the memory because it was full, by keys.").bind()
        self._too_large = metrics.counter("gateway.cache.too_large", "Answers that were not kept because they alone would fill it.").bind()
        self._shared = metrics.counter(
            "gateway.cache.shared", "What became of looks and purges in the store that gateways share.", ("what",)
        )
        self._last: dict[str, int] = {}

    def sample(self) -> None:
        """Look now."""
        stats = self._front.app.cache.stats()
        self._bytes.set(stats.bytes)
        self._limit.set(stats.limit)
        self._records.set(stats.records)
        self._follow("evictions", self._evicted, stats.evictions)
        self._follow("too large", self._too_large, stats.too_large)
        for what, total in stats.shared.items():
            self._follow(what, self._shared.bind(what=what), total)

    def _follow(self, name: str, counter: Counter, total: int) -> None:
        last = self._last.get(name, 0)
        counter.add(total - last if total >= last else total)
        self._last[name] = total


def _bound(metrics: Metrics, prefix: str, counted: Mapping[str, str]) -> dict[str, Counter]:
    return {name: metrics.counter(f"{prefix}.{name}", description).bind() for name, description in counted.items()}


class ReloadSampler:
    """What the reloads of one gateway came to, however many processes took part in them."""

    def __init__(self, metrics: Metrics, reloads: Callable[[], State]) -> None:
        self._reloads = reloads
        self._revision = metrics.gauge("gateway.policy.revision", "Of the policy in force; 0: it is not kept.", merge="worker").bind()
        self._stale = metrics.gauge("gateway.policy.stale", "1 while a newer policy is refused.", merge="worker").bind()
        self._reloaded = metrics.gauge("gateway.reload.time", "When the last reload ended, Unix time.", unit="s", merge="max").bind()
        reloaded = metrics.counter("gateway.reloads", "Reloads of the policy.", ("result",))
        self._followed = (
            _Followed(reloaded.bind(result="success"), lambda: reloads().ended - reloads().failed),
            _Followed(reloaded.bind(result="failure"), lambda: reloads().failed),
        )

    def sample(self) -> None:
        """Look now."""
        state = self._reloads()
        self._revision.set(state.revision)
        self._stale.set(state.last is not None and not state.last.ok)
        if state.last is not None:
            self._reloaded.set(datetime.fromisoformat(state.last.time).timestamp())
        for followed in self._followed:
            followed.look()


class _Followed:
    """A counter that is told how far something else has counted, which begins at 0 with each worker, as the counter does not."""

    __slots__ = ("_counter", "_last", "_total")

    def __init__(self, counter: Counter, total: Callable[[], float]) -> None:
        self._counter = counter
        self._total = total
        self._last = 0.0

    def look(self) -> None:
        total = self._total()
        self._counter.add(total - self._last)
        self._last = total
