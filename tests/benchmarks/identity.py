"""What it costs to find out who asks: `python -m tests.benchmarks.identity`. Microseconds a decision, the best of several runs.

A whole `on_request`, the credential found in the headers of an exchange, which is made anew for each; what that costs is taken off.
"""

from __future__ import annotations

import asyncio
import gc
import random
import tempfile
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from time import perf_counter
from typing import Any

from gateway.errors import GatewayError
from gateway.exchange import Exchange
from gateway.identity import keyfile
from gateway.identity.operations import KEYS
from gateway.testing import Clock, exchange, host, load
from tests.benchmarks.proxy.table import markdown
from tests.identity import tokens

CALLS = 5_000
RUNS = 7
NETWORKS = 10_000
FORWARD = {"consumer": "X-Consumer", "groups": "X-Consumer-Groups"}


def measure(act: Callable[[Exchange], object], exchanges: list[Exchange]) -> float:
    """Seconds for one call."""
    best = float("inf")
    for _ in range(RUNS):
        fresh = [_again(ex) for ex in exchanges]
        gc.disable()
        began = perf_counter()
        for ex in fresh:
            with suppress(GatewayError):
                act(ex)
        best = min(best, perf_counter() - began)
        gc.enable()
    return best / len(exchanges)


def _again(ex: Exchange) -> Exchange:
    return exchange("GET", "/api/v1/leads", list(ex.headers.items()), client=ex.client)


def asked(*headers: tuple[str, str], client: str = "192.0.2.1") -> list[Exchange]:
    usual = [("Host", "api.test"), ("User-Agent", "benchmark"), ("Accept", "application/json"), ("Accept-Encoding", "gzip")]
    return [exchange("GET", "/api/v1/leads", [*usual, *headers], client=client) for _ in range(CALLS)]


def plugin(settings: dict[str, Any], name: str = "authenticate") -> Any:
    return load(name, settings, host=host(time=lambda: tokens.NOW, clock=Clock())).on_request


def bearer(token: str) -> list[Exchange]:
    return asked(("Authorization", f"Bearer {token}"))


def lines(folder: Path) -> dict[str, tuple[Callable[[Exchange], object], list[Exchange]]]:
    made = [keyfile.new(f"consumer {n}", ["staff"], datetime.now(UTC), None, {}) for n in range(1000)]
    (folder / "keys.yaml").write_text(keyfile.text([one.kept for one in made]))
    key = {"api_key": {"file": str(folder / "keys.yaml")}}
    (folder / "rsa.pem").write_bytes(tokens.pem(tokens.rsa_key()))
    (folder / "ec.pem").write_bytes(tokens.pem(tokens.ec_key()))
    hs = {"jwt": {"secret": tokens.SECRET, "algorithms": "HS256", "groups": "roles"}}
    claims = {**tokens.CLAIMS, "roles": ["staff"], "iss": "https://issuer.example.com", "email": "ada@example.com"}
    token = tokens.hs(claims)
    each = [exchange(headers={"Authorization": f"Bearer {tokens.hs({**claims, 'sub': n + 1})}"}) for n in range(CALLS)]
    numbers = random.Random(1)
    nets = sorted({f"{ip_address(numbers.getrandbits(32) >> 8 << 8)}/24" for _ in range(NETWORKS)})
    filtered = plugin({"deny": nets}, "ip_filter")
    addresses = [str(ip_address(numbers.getrandbits(32))) for _ in range(CALLS)]
    return {
        "nothing (the loop)": (lambda ex: None, asked()),
        "api_key, of 1000": (plugin(key), asked(("X-API-Key", made[500].text))),
        "api_key, of 1000 in the store": (_of_store(made), asked(("X-API-Key", made[500].text))),
        "api_key, forwarded": (plugin({**key, "forward": FORWARD}), asked(("X-API-Key", made[500].text))),
        "api_key, unknown": (plugin(key), asked(("X-API-Key", made[500].text[:-1]))),
        "jwt, verified before": (plugin(hs), bearer(token)),
        "jwt, verified before, forwarded": (plugin({**hs, "forward": FORWARD}), bearer(token)),
        "jwt HS256, first seen": (plugin(hs), each),
        "jwt HS256, wrong": (plugin(hs), bearer(token[:-2] + "AA")),
        "jwt RS256, wrong": (
            plugin({"jwt": {"key": str(folder / "rsa.pem"), "algorithms": "RS256"}}),
            bearer(_wrong("RS256", tokens.rsa_key())),
        ),
        "jwt ES256, wrong": (
            plugin({"jwt": {"key": str(folder / "ec.pem"), "algorithms": "ES256"}}),
            bearer(_wrong("ES256", tokens.ec_key())),
        ),
        "any of jwt and api_key, by key": (plugin({"any": [hs, key]}), asked(("X-API-Key", made[500].text))),
        f"ip_filter, {len(nets)} networks, IPv4": (filtered, [exchange(client=address) for address in addresses]),
        f"ip_filter, {len(nets)} networks, IPv6": (filtered, asked(client="2001:db8::1")),
    }


def _of_store(keys: list[keyfile.NewKey]) -> Any:
    own = host(time=lambda: tokens.NOW, clock=Clock())
    for key in keys:
        asyncio.run(own.store.shared_set(KEYS).add(key.kept.id, keyfile.note(key.kept)))
    return load("authenticate", {"api_key": {"store": True}}, host=own).on_request


def _wrong(algorithm: str, key: Any) -> str:
    """One whose signature has the right form."""
    head, payload, _ = tokens.signed(algorithm, key).split(".")
    return f"{head}.{payload}.{tokens.signed(algorithm, key, {'sub': 'root'}).split('.')[2]}"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = {name: measure(act, exchanges) for name, (act, exchanges) in lines(Path(folder)).items()}
    loop = found.pop("nothing (the loop)")
    print(markdown(("decision", "us"), [(name, f"{(seconds - loop) * 1e6:.2f}") for name, seconds in found.items()]))


if __name__ == "__main__":
    main()
