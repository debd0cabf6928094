"""What checked bodies cost, themselves and others: `python -m tests.benchmarks.bodies`.

Microseconds for a lead of ten fields, the best of several runs, the exchange itself taken off. Then how long others wait while bodies of
a mebibyte come without end, two at a time: milliseconds, of a gateway in a process of its own.
"""

from __future__ import annotations

import asyncio
import gc
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import aiohttp
import orjson

from gateway.exchange import Exchange
from gateway.testing import exchange, load
from tests.benchmarks.proxy.table import markdown
from tests.content.attacks import ATTACKS, Attack
from tests.content.test_attacks import POLICY, attack
from tests.server.process import running

CALLS = 5_000
RUNS = 7
LEAD = {
    "name": "Grace Hopper",
    "email": "grace@example.com",
    "phone": "+49 30 901820",
    "company": "O'Reilly & Sons",
    "source": "web",
    "status": "new",
    "notes": "Met at the fair, wants to be called back on Monday",
    "street": "Hauptstraße 5",
    "city": "Berlin",
    "notes_html": "<p>Interested in <b>two</b> seats</p>",
}
SCHEMA = {
    "type": "object",
    "properties": {name: {"type": "string", "maxLength": 2000} for name in LEAD}
    | {"email": {"type": "string", "format": "email"}, "status": {"enum": ["new", "lost"]}},
    "required": ["name", "email"],
    "additionalProperties": False,
}
LARGE = {
    "harmless text": Attack(orjson.dumps({f"field{n}": "lorem ipsum dolor sit amet, " * 30 for n in range(1200)})),
    "harmless records": Attack(orjson.dumps({"rows": [LEAD] * 1800})),
}


def cost(act: Callable[[Exchange], object]) -> float:
    """Microseconds for one request."""
    body = orjson.dumps(LEAD)
    best = float("inf")
    for _ in range(RUNS):
        fresh = [exchange("POST", "/api/v1/leads", {"Content-Type": "application/json"}, body) for _ in range(CALLS)]
        gc.disable()
        began = perf_counter()
        for ex in fresh:
            act(ex)
        best = min(best, perf_counter() - began)
        gc.enable()
    return best / CALLS * 1e6


def costs() -> dict[str, float]:
    sanitize = load("sanitize", {"fields": {"notes_html": "allow"}}).on_request
    validate = load("validate", {"body": SCHEMA}).on_request

    def both(ex: Exchange) -> Any:
        return sanitize(ex), validate(ex)

    return {"sanitize": cost(sanitize), "validate": cost(validate), "both": cost(both)}


async def waits() -> list[list[str]]:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        async with running(POLICY, Path(folder)) as gateway, aiohttp.ClientSession() as session:
            nobody = Attack(b"{}")
            for name, one in {"{} alone": nobody, **LARGE, **ATTACKS}.items():
                _, waited = await attack(gateway, session, one)
                at = [waited[int(len(waited) * share)] * 1e3 for share in (0.5, 0.99)]
                rows.append([name, *(f"{value:.1f}" for value in (*at, waited[-1] * 1e3))])
    return rows


def main() -> None:
    print(markdown(["plugin", "us a request"], [[name, f"{value:.1f}"] for name, value in costs().items()]))
    print()
    print(markdown(["bodies of others", "p50 ms", "p99 ms", "most ms"], asyncio.run(waits())))


if __name__ == "__main__":
    main()
