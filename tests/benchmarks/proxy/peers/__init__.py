"""All peers, in the order of the table: ours last."""

from __future__ import annotations

from tests.benchmarks.proxy.peer import Peer
from tests.benchmarks.proxy.peers import caddy, envoy, express, fastify, gateway, haproxy, nginx

PEERS: tuple[Peer, ...] = (
    *nginx.PEERS,
    *haproxy.PEERS,
    *envoy.PEERS,
    *caddy.PEERS,
    *fastify.PEERS,
    *express.PEERS,
    *gateway.PEERS,
)
