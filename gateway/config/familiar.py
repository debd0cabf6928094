"""What things are called in other gateways, and what they are called here: asked when a mistake is explained."""

from __future__ import annotations

from collections.abc import Container

PLUGINS = {
    **dict.fromkeys(("jwt", "oauth", "oauth2", "oidc", "openid_connect", "jwt_auth"), "authenticate: {jwt: ...}"),
    **dict.fromkeys(("key_auth", "api_key", "apikey"), "authenticate: {api_key: ...}"),
    **dict.fromkeys(("basic", "basic_auth"), "authenticate: {basic: ...}"),
    **dict.fromkeys(("auth", "authentication"), "authenticate"),
    **dict.fromkeys(("auth_request", "ext_authz", "external_auth"), "forward_auth"),
    **dict.fromkeys(("ip_restriction", "ip_whitelist", "ip_allowlist", "allowlist", "whitelist", "denylist", "blacklist"), "ip_filter"),
    **dict.fromkeys(("throttle", "throttling", "quota", "request_limit"), "rate_limit"),
    **dict.fromkeys(("log", "logs", "logging", "file_log", "http_log", "logger"), "access_log"),
    **dict.fromkeys(("prometheus", "statsd", "monitoring"), "metrics"),
    **dict.fromkeys(("opentelemetry", "otel", "otlp", "zipkin", "jaeger", "datadog"), "tracing"),
    **dict.fromkeys(("correlation_id", "requestid", "trace_id"), "request_id"),
    **dict.fromkeys(("helmet", "hsts", "csp", "secure_headers"), "security_headers"),
    **dict.fromkeys(("request_transformer", "response_transformer", "header", "set_headers"), "headers"),
    **dict.fromkeys(("request_size_limiting", "max_body_size", "client_max_body_size", "buffering"), "body_limit"),
    **dict.fromkeys(("redirect", "return", "static", "mock", "request_termination"), "respond"),
    **dict.fromkeys(("strip_prefix", "stripprefix", "replace_path", "proxy_rewrite", "url_rewrite", "add_prefix"), "rewrite"),
    **dict.fromkeys(("in_flight", "inflight", "max_connections", "limit_conn"), "concurrency"),
    **dict.fromkeys(("gzip", "brotli", "compression", "zstd"), "compress"),
    **dict.fromkeys(("proxy_cache", "http_cache", "caching"), "cache"),
    **dict.fromkeys(("request_validator", "validator", "openapi", "json_schema"), "validate"),
    **dict.fromkeys(("error_pages", "errors", "problem"), "problem_details"),
    **dict.fromkeys(("healthcheck", "health_check", "healthz", "ping"), "health"),
}
KEYS: dict[str, tuple[str, ...]] = {
    "per": ("window",),
    "interval": ("window",),
    "duration": ("window",),
    "requests": ("limit",),
    "quota": ("limit",),
    "max_requests": ("limit",),
    "max": ("limit",),
    "key": ("by",),
    "identifier": ("by",),
    "whitelist": ("exempt", "allow"),
    "blacklist": ("deny",),
    "block": ("deny",),
    "issuer": ("iss",),
    "audience": ("aud",),
    "public_key": ("key",),
    "csp": ("content_security_policy",),
    "hosts": ("host",),
    "service": ("upstream",),
    "backend": ("upstream",),
    "proxy_pass": ("upstream",),
    "middlewares": ("plugins",),
    "filters": ("plugins",),
    "services": ("upstreams",),
    "backends": ("upstreams",),
    "clusters": ("upstreams",),
    "redis": ("store",),
    "logging": ("telemetry",),
    "metrics": ("telemetry",),
    "port": ("listen", "targets"),
    "host": ("listen", "targets"),
    "bind": ("listen",),
    "servers": ("targets",),
    "hostname": ("targets",),
    "code": ("status",),
    "status_code": ("status",),
}


def plugin(name: str) -> str:
    """How `name` is written here; "" when nothing is known of it."""
    return PLUGINS.get(name.lower().replace("-", "_"), "")


def key(name: str, known: Container[str]) -> str:
    """The one of `known` that elsewhere is called `name`; "" when there is none."""
    return next((one for one in KEYS.get(name.lower().replace("-", "_"), ()) if one in known), "")
