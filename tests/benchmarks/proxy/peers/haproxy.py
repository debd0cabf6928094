"""HAProxy: a proxy without a policy, the least that anybody pays."""

from __future__ import annotations

from tests.benchmarks.proxy.peer import Peer, Place, find

PROXY = """
global
    nbthread 1
    maxconn 8192
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
    http-reuse always
frontend clients
    bind 127.0.0.1:{port} backlog 2048
    default_backend leads
backend leads
    server one 127.0.0.1:{upstream}
"""


def configure(place: Place) -> list[str]:
    file = place.write("haproxy.cfg", PROXY.format(port=place.port, upstream=place.upstream))
    return [find("haproxy") or "haproxy", "-db", "-f", file]


PEERS = (Peer("haproxy", "proxied", "haproxy", "apt-get install haproxy", ("-v",), configure),)
