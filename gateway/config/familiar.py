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
    **dict.fromkeys(("email", "mail", "smtp", "notify", "notification", "webhook", "whatsapp"), "enqueue: {job: ...}"),
    **dict.fromkeys(("maintenance", "maintenance_mode"), "respond: {status: 503, body: ...}"),
    **dict.fromkeys(("jsonschema", "schema", "validation"), "validate"),
    **dict.fromkeys(("roles", "permissions", "acl", "rbac"), "authorize"),
    **dict.fromkeys(("invalidate", "cache_purge", "purge_cache"), "purge"),
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
    "url": ("targets",),
    "urls": ("targets",),
    "uri": ("targets",),
    "address": ("listen", "targets"),
    "endpoint": ("targets",),
    "nodes": ("targets",),
    "roles": ("groups",),
    "role": ("groups",),
    "average": ("limit",),
    "message": ("body",),
    "text": ("body",),
    "html": ("body",),
    "location": ("redirect",),
    "schema": ("body",),
    "to": ("path",),
    "target": ("path",),
    "recipient": ("to",),
    "recipients": ("to",),
    "type": ("job",),
    "allow_headers": ("allowed_headers",),
    "expose_headers": ("exposed_headers",),
    "timeout": ("within",),
    "if": ("when",),
    **dict.fromkeys(("retries", "retry_policy"), ("retry",)),
    **dict.fromkeys(("tries", "max_attempts"), ("attempts",)),
    **dict.fromkeys(("retry_on", "conditions", "statuses"), ("on",)),
    **dict.fromkeys(("circuit_breaker", "breaker", "outlier_detection", "passive_health", "passive"), ("outlier",)),
    **dict.fromkeys(("max_fails", "failures", "consecutive_5xx", "threshold"), ("consecutive_errors",)),
    **dict.fromkeys(("fail_timeout", "fail_duration", "base_ejection_time", "ejection_time"), ("eject",)),
    **dict.fromkeys(("healthcheck", "health_check", "healthchecks", "active_health", "probe"), ("health",)),
    **dict.fromkeys(("healthy_threshold", "rise", "successes"), ("passes",)),
    **dict.fromkeys(("unhealthy_threshold", "fall"), ("fails",)),
    **dict.fromkeys(("lb", "lb_policy", "load_balancing", "load_balancer", "algorithm", "strategy"), ("balance",)),
    **dict.fromkeys(("max_connections", "max_concurrent_requests", "max_inflight"), ("max_in_flight",)),
}
WRITTEN: dict[str, tuple[str, str]] = {
    **dict.fromkeys(("requests_per_second", "rps"), ("window", "write limit: ... and window: 1s")),
    **dict.fromkeys(("requests_per_minute", "rpm", "minute", "per_minute"), ("window", "write limit: ... and window: 1m")),
    **dict.fromkeys(("requests_per_hour", "hour", "per_hour"), ("window", "write limit: ... and window: 1h")),
    **dict.fromkeys(("dry_run", "dryrun", "log_only", "report_only", "shadow"), ("", "write mode: observe beside the plugin's name")),
    **dict.fromkeys(("strip_prefix", "strip_path", "stripprefix"), ("upstream", "write it in plugins: [rewrite: {strip_prefix: /...}]")),
    "rewrite": ("upstream", "it is a plugin; write it in plugins: [rewrite: {...}]"),
    **dict.fromkeys(
        ("from", "regex", "replacement", "pattern", "regexp"),
        ("strip_prefix", 'paths are no patterns here; write strip_prefix, add_prefix, or the whole: path: "/v2/{name}"'),
    ),
    **dict.fromkeys(("key", "keys", "cache_key"), ("vary_by", "path and query are; vary_by names what else tells answers apart")),
    "methods": ("vary_by", "GET and HEAD are stored, and no others; a route's match says which it takes"),
    **dict.fromkeys(("add", "set", "remove"), ("response", "it stands below request or response")),
    "log_level": ("telemetry", "write telemetry: {log: {level: ...}}"),
    "timeout": ("telemetry", "timeouts of clients stand under server, those of a service under its name in upstreams"),
    "file": ("redirect", "write body: ${file:path}"),
    "method": ("env", "when knows the environment alone; write match: {methods: [...]} in a route"),
    "environment": ("env", "write when: {env: NAME}: a variable, which must be set and not be empty"),
    **dict.fromkeys(("redis", "type", "backend"), ("sentinels", "write url: redis://host:6379")),
    **dict.fromkeys(("host", "server", "hostname"), ("starttls", "write url: smtp://host:587")),
    "port": ("starttls", "it stands in url, as in smtp://host:587"),
}
"""A key elsewhere that here is no other key alone: one that is known where it stands (any, if empty), and what to write instead."""
SENDERS = {
    **dict.fromkeys(("smtp", "mail", "sendgrid", "ses", "mailgun"), "email"),
    **dict.fromkeys(("slack", "sms", "teams", "telegram", "discord", "twilio", "push"), "apprise"),
    **dict.fromkeys(("http", "https", "webhooks", "callback"), "webhook"),
}


def plugin(name: str) -> str:
    """How `name` is written here; "" when nothing is known of it."""
    return PLUGINS.get(name.lower().replace("-", "_"), "")


def key(name: str, known: Container[str]) -> str:
    """The one of `known` that elsewhere is called `name`; "" when there is none."""
    return next((one for one in KEYS.get(name.lower().replace("-", "_"), ()) if one in known), "")


def written(name: str, known: Container[str]) -> str:
    """What to write for `name` where `known` are the keys; "" when nothing is known of it."""
    beside, hint = WRITTEN.get(name.lower().replace("-", "_"), ("", ""))
    return hint if not beside or beside in known else ""


def sender(name: str) -> str:
    """The sender that is meant; "" when nothing is known of it."""
    return SENDERS.get(name.lower(), "")
