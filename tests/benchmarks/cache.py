"""What a hit costs, and whether a hundred thousand stored answers make any request late: `python -m tests.benchmarks.cache`.

Beside nginx: `make bench ARGS='--only nginx-cached gateway-cached'`.
"""

from __future__ import annotations

import gc
import timeit
from array import array
from collections.abc import Callable, Iterator
from time import thread_time_ns
from typing import Any

from gateway.caching.answering import whole
from gateway.caching.deciding import decide
from gateway.caching.memory import MemoryCache
from gateway.caching.record import Record
from gateway.caching.wishes import Wishes
from gateway.exchange import Entity, Exchange, Headers, Reply
from gateway.plugin import Plugin
from gateway.server.setup import tune_collector
from gateway.testing import FakeUpstream, exchange, host, load, pipeline, run
from tests.benchmarks.proxy.load import HEADERS
from tests.benchmarks.proxy.sink import BODY

NOW = 1_800_000_000.0
FIELDS = (
    ("Content-Type", "application/json"),
    ("Cache-Control", "max-age=3600"),
    ("ETag", '"5f3-abc"'),
    ("Date", "Fri, 15 Jan 2027 08:00:00 GMT"),
    ("Server", "x"),
    ("Last-Modified", "Fri, 15 Jan 2027 07:00:00 GMT"),
)
HITS = 200_000


def cost(call: Callable[[], object], n: int = 50_000) -> float:
    """Microseconds, the best of five."""
    return min(timeit.repeat(call, number=n, repeat=5)) / n * 1e6


def cached(entries: int) -> tuple[Plugin[Any], Record]:
    """A plugin whose memory holds so many answers, of which it can serve `/0`, `/1`, ...; and the first of them."""
    mine = host(time=lambda: NOW)
    mine.cache = cache = MemoryCache(8 << 30)
    plugin = load("cache", host=mine)
    upstream = FakeUpstream(lambda ex: Reply(200, Headers(FIELDS), BODY))
    line = pipeline(plugin, upstream=upstream)
    run(line, asked(0))
    ((name, (first,)),) = list(cache.items())
    for n in range(1, entries):
        cache.put(name.replace("/0", f"/{n}"), copied(first, n))
    for one in [records[0] for _, records in cache.items()]:
        one.checked = cache.epochs.version
    return plugin, first


def copied(record: Record, n: int) -> Record:
    """As if it had come by itself: nothing of it is shared with another."""
    fields = tuple([(name, f"{value} "[:-1]) for name, value in record.fields])
    marks = (*record.marks[:2], f"url:http://gateway.test/{n}", f"tag:lead:{n}")
    body = Entity(BODY[:-1] + b"}")
    return Record(200, fields, body, made=NOW, stored=NOW, fresh_until=NOW + 3600, etag=record.etag, marks=marks, route=record.route)


def asked(n: int) -> Exchange:
    return exchange("GET", f"/{n}", list(HEADERS.items()))


def latencies(entries: int) -> tuple[list[float], float, int]:
    """CPU microseconds of each of many hits, sorted, with what requests leave for the collector; how long that once looks at everything,
    in milliseconds; and how much it has to look at."""
    tune_collector()
    plugin, _ = cached(entries)
    requests = [asked(n % entries) for n in range(0, 100 * 997, 997)]
    found = array("d")  # nothing that the collector would look at
    kept: list[object] = []
    for n in range(HITS):
        ex = requests[n % 100]
        begun = thread_time_ns()
        reply = plugin.on_request(ex)
        kept.append({"reply": reply, "n": [n]})  # what a request in flight holds
        if len(kept) > 1000:
            kept.clear()
        found.append((thread_time_ns() - begun) / 1000)
    begun = thread_time_ns()
    gc.collect()
    collection = (thread_time_ns() - begun) / 1e6
    return sorted(found), collection, len(gc.get_objects())


def rows() -> Iterator[str]:
    plugin, record = cached(1)
    ex = asked(0)
    picky = Wishes(max_age=60.0, min_fresh=1.0)
    yield f"a decision                          {cost(lambda: decide(record, None, NOW)):8.2f} us"
    yield f"a decision with wishes of a client  {cost(lambda: decide(record, picky, NOW)):8.2f} us"
    yield f"a reply from a record               {cost(lambda: whole(record, NOW)):8.2f} us"
    yield f"a hit, the plugin whole             {cost(lambda: plugin.on_request(ex)):8.2f} us"
    for entries in (100, 100_000):
        found, collection, objects = latencies(entries)
        percentiles = "".join(f"{found[int(len(found) * share)]:10.1f}" for share in (0.5, 0.99, 0.999, 0.9999))
        yield f"hits with {entries:,} answers: p50, p99, p99.9, p99.99 us{percentiles}, the latest {found[-1] / 1000:.1f} ms"
        yield f"  a whole collection {collection:.1f} ms, of {objects:,} objects"


if __name__ == "__main__":
    for row in rows():
        print(row, flush=True)
