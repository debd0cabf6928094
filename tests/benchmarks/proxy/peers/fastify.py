"""Fastify: bare with @fastify/http-proxy, and with the plugins that make the same policy."""

from __future__ import annotations

import json

from tests.benchmarks.proxy.peer import LIMIT, UPSTREAM_CONNECTIONS, Peer, Place, find
from tests.benchmarks.proxy.policy import ADDED, ORIGIN

PACKAGES = ("fastify", "@fastify/http-proxy")
POLICY_PACKAGES = (*PACKAGES, "@fastify/helmet", "@fastify/cors", "@fastify/rate-limit")

PROXY = """
const undici = {{connections: {kept}, pipelining: 1}};
const httpMethods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];  // OPTIONS is taken by @fastify/cors
app.register(require("@fastify/http-proxy"), {{upstream: "http://127.0.0.1:{upstream}", httpMethods, undici}});
app.listen({{port: {port}, host: "127.0.0.1", backlog: 2048}});
"""
BARE = "const app = require('fastify')();"
POLICY = """
const app = require("fastify")({{logger: {{file: {log}}}}});
app.register(require("@fastify/helmet"));
app.register(require("@fastify/cors"), {{origin: {origin}, credentials: true}});
app.register(require("@fastify/rate-limit"), {{max: {limit}, timeWindow: 900000}});
"""


def _command(place: Place, head: str) -> list[str]:
    script = (head + PROXY).format(
        port=place.port,
        upstream=place.upstream,
        kept=UPSTREAM_CONNECTIONS,
        limit=LIMIT,
        log=json.dumps(str(place.folder / "access.log")),
        origin=json.dumps(ORIGIN),
    )
    return [find("node") or "node", place.write("fastify.js", script)]


def _peer(name: str, does: str, packages: tuple[str, ...], head: str, headers: frozenset[str] = frozenset()) -> Peer:
    install = f"Node.js (nodejs.org), then npm install {' '.join(packages)}"
    return Peer(name, does, "node", install, packages, lambda place: _command(place, head), headers=headers, is_node=True)


PEERS = (
    _peer("fastify", "@fastify/http-proxy", PACKAGES, BARE),
    _peer("fastify-policy", "+ helmet, CORS, rate limit, JSON log", POLICY_PACKAGES, POLICY, frozenset(ADDED)),
)
