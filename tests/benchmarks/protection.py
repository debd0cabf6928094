"""What protection costs: `python -m tests.benchmarks.protection`. Microseconds of a request through one plugin, the best of several runs.

The request has the fields of a browser and a body of 200 bytes, the upstream answers at once with as many; the store is memory. What the
same pipeline costs without the plugin is taken off.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterable
from itertools import count
from time import perf_counter
from typing import Any

from gateway.exchange import End, Exchange, Headers, Reply
from gateway.pipeline import Pipeline
from gateway.plugin import Plugin
from gateway.signing import Message, content_digest, sign
from gateway.testing import Clock, exchange, host, load, pipeline
from tests.benchmarks.proxy.table import markdown

CALLS = 2_000
RUNS = 7
NOW = 1_800_000_000.0
SECRET = "0123456789abcdef0123456789abcdef"
BODY = b'{"name":"' + b"a" * 189 + b'"}'
USUAL = [
    ("User-Agent", "benchmark"), ("Accept", "application/json"), ("Accept-Encoding", "gzip"), ("Origin", "https://app.example.com"),
    ("Cookie", "session=1"), ("Sec-Fetch-Site", "same-site"), ("Content-Type", "application/json"),
]  # fmt: skip
_numbers = count()

Make = Callable[[], Exchange]


def post(*headers: tuple[str, str]) -> Exchange:
    ex = exchange("POST", "/leads", [*USUAL, *headers], scheme="https", host="api.test")
    ex.body_at_hand, ex.content_length = BODY, len(BODY)
    ex.consumer, ex.groups = "ada", ("admin",)
    return ex


def first() -> Exchange:
    return post(("Idempotency-Key", f"key-{next(_numbers)}"))


def again() -> Exchange:
    return post(("Idempotency-Key", "the-same"))


def signed() -> Exchange:
    ex = post(("Content-Digest", content_digest(BODY)))
    components = ("@method", "@target-uri", "content-digest")
    made = sign(
        Message("POST", "https", "api.test", "/leads", ex.headers), "crm", SECRET.encode(), components, int(NOW), str(next(_numbers))
    )
    ex.headers["Signature-Input"], ex.headers["Signature"] = made
    return ex


async def answered(ex: Exchange, chain: Pipeline) -> Reply:
    ex.attempts = (None,)  # type: ignore[assignment]
    return Reply(201, Headers([("Content-Type", "application/json")]), BODY)


async def measure(plugins: Iterable[Plugin[Any]], make: Make) -> float:
    """Seconds for one request."""
    chain = pipeline(*plugins)
    chain.send = answered
    best = float("inf")
    for _ in range(RUNS):
        exchanges = [make() for _ in range(CALLS)]
        gc.collect()
        gc.disable()
        began = perf_counter()
        for ex in exchanges:
            reply = await chain.answer(ex)
            chain.end(ex, End(reply.status))
        best = min(best, perf_counter() - began)
        gc.enable()
    return best / CALLS


ORIGINS = {"origins": ["https://app.example.com"]}
VERIFY = {"verify": {"keys": {"id": "crm", "secret": SECRET}}}
TABLE: list[tuple[str, str, object, Make]] = [
    ("security_headers: helmet", "security_headers", None, post),
    ("security_headers: owasp", "security_headers", "owasp", post),
    ("cors, an origin of a list", "cors", ORIGINS, post),
    ("cors, a sub-domain", "cors", {"origins": "https://*.example.com"}, post),
    ("https_only", "https_only", None, post),
    ("authorize, a group", "authorize", "admin", post),
    ("csrf, by origin", "csrf", ORIGINS, post),
    ("idempotency, no key", "idempotency", None, post),
    ("idempotency, the first with a key", "idempotency", None, first),
    ("idempotency, a repetition", "idempotency", None, again),
    ("signature, verified (RFC 9421)", "signature", VERIFY, signed),
]


async def main() -> None:
    clock = Clock(NOW)
    rows = []
    for what, name, settings, make in TABLE:
        bare = await measure([], make)
        cost = await measure([load(name, settings, host=host(clock=clock, time=clock))], make) - bare
        rows.append([what, f"{cost * 1e6:.1f}"])
    print(markdown(["plugin", "us"], rows))


if __name__ == "__main__":
    asyncio.run(main())
