"""The gateway of this repository: bare, with its whole reference policy, refusing, and answering by itself."""

from __future__ import annotations

import sys

from tests.benchmarks.proxy.peer import LIMIT, UPSTREAM_CONNECTIONS, Peer, Place
from tests.benchmarks.proxy.policy import ADDED, ORIGIN

COMMON = (
    "request_id",
    "tracing",
    "metrics",
    "access_log",
    "problem_details: {upstream_5xx: auto}",
    "security_headers",
    f"cors: {{origins: [{ORIGIN}], credentials: true}}",
)
RATE_LIMIT = f"rate_limit: {{limit: {LIMIT}, window: 15m, by: client}}"
REFUSING = "rate_limit: {limit: 1, window: 24h, by: client}"

POLICY = """
version: 1
server:
  listen: 127.0.0.1:{port}
  timeouts: {{drain: 1s, lame_duck: 0s}}
upstreams:
  leads:
    targets: http://127.0.0.1:{upstream}
    keepalive: {{max: {kept}}}
plugins: [{plugins}]
routes:
- match: /**
  {route}
"""


def policy(place: Place, plugins: tuple[str, ...], route: str = "upstream: leads") -> str:
    return POLICY.format(
        port=place.port,
        upstream=place.upstream,
        kept=UPSTREAM_CONNECTIONS,
        plugins=", ".join(f"{{{plugin}}}" if ":" in plugin else plugin for plugin in plugins),
        route=route,
    )


def _peer(
    name: str,
    does: str,
    plugins: tuple[str, ...],
    route: str = "upstream: leads",
    *,
    status: int = 200,
    headers: frozenset[str] = frozenset(),
) -> Peer:
    def configure(place: Place) -> list[str]:
        return [sys.executable, "-m", "gateway", "run", place.write("gateway.yaml", policy(place, plugins, route))]

    return Peer(name, does, sys.executable, "pip install -e .", ("--version",), configure, status, headers)


CACHED = "upstream: leads\n  plugins: [{cache: {ttl: 1h}}]"
EVERYTHING = frozenset({*ADDED, "x-request-id", "ratelimit", "ratelimit-policy"})

PEERS = (
    _peer("gateway", "proxied, rate_limit", (RATE_LIMIT,)),
    _peer("gateway-policy", "the whole reference policy", (*COMMON, RATE_LIMIT), headers=EVERYTHING),
    _peer("gateway-cached", "the whole policy, from its cache", (*COMMON, RATE_LIMIT), CACHED, headers=EVERYTHING | {"age"}),
    _peer("gateway-429", "the same policy, refusing", (*COMMON, REFUSING), status=429, headers=EVERYTHING | {"retry-after"}),
    _peer("gateway-hello", "answers by itself (respond)", (), "plugins: [{respond: {json: {hello: world}}}]"),
)
STREAMING = _peer("gateway", "streamed", (), "upstream: leads\n  plugins: [{body_limit: 2GiB}]")
