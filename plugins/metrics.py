"""How many requests, how long they took, how large they were and how they ended, by route; and the same of what upstreams were asked."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from gateway.plugin import Attempt, End, Exchange, Field, GatewayError, Host, Plugin, Settings

METHODS = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"})
OTHER_METHOD = "_OTHER"
"""As OpenTelemetry's semantic conventions call a method that they do not know: a client can make up any number of them."""
SIZES = (1024.0, 16384.0, 131072.0, 1048576.0, 16777216.0)
"""Bytes: about a packet, a few, a socket's buffer, the default limit of a body, and a large one."""
SERIES = 10_000
"""Routes times methods times statuses: a policy and the statuses that there are bound them."""

METHOD, ROUTE, STATUS = "http.request.method", "http.route", "http.response.status_code"


class MetricsSettings(Settings):
    legacy: bool = Field(
        False,
        description="Tell durations also as `http_request_duration_seconds{method,route,status_code}`, for dashboards that ask for that.",
    )


Observe = Callable[[float], None]
Row = tuple[Observe, Observe, Observe, Callable[[float], None]]
"""For one route, method and status: what takes the duration, the request's size, the reply's size, and a change of those under way."""


class Metrics(Plugin[MetricsSettings]):
    """Everything is bound when a route, method and status are first met together; from then on that is one look-up."""

    once = True
    unobservable = "it refuses nothing, and only counts"

    def __init__(self, settings: MetricsSettings, host: Host) -> None:
        super().__init__(settings, host)
        make = host.metrics
        self._active = make.gauge("http.server.active_requests", "Requests under way.", (METHOD,))
        self._duration = make.histogram(
            "http.server.request.duration", "From a request's head to the end of its reply.", (METHOD, ROUTE, STATUS), series=SERIES
        )
        self._legacy = (
            make.histogram(
                "http.request.duration", "The same as http_server_request_duration.", ("method", "route", "status_code"), series=SERIES
            )
            if settings.legacy
            else None
        )
        self._received = make.histogram(
            "http.server.request.body.size",
            "Bytes of requests' bodies, of those that have one.",
            (METHOD, ROUTE),
            unit="By",
            bounds=SIZES,
            series=SERIES,
        )
        self._sent = make.histogram(
            "http.server.response.body.size",
            "Bytes of replies' bodies, of those that have one.",
            (METHOD, ROUTE),
            unit="By",
            bounds=SIZES,
            series=SERIES,
        )
        self._truncated = make.counter("truncated", "Replies that were cut after their head was sent.", ("by",))
        self._upstream = make.histogram(
            "http.client.request.duration",
            "From an attempt at an upstream's target, its connection included, to the head of its answer.",
            (METHOD, "server.address", "server.port", STATUS, "error.type"),
        )
        self._under_way = {method: self._active.bind(**{METHOD: method}).add for method in (*METHODS, OTHER_METHOD)}
        self._rows: dict[tuple[str, str, int | None], Row] = {}
        self._attempts: dict[tuple[str, str, int | None], Observe] = {}

    def on_request(self, ex: Exchange) -> None:
        self._under_way[ex.method if ex.method in METHODS else OTHER_METHOD](1.0)

    def on_end(self, ex: Exchange, end: End) -> None:
        status = end.status
        took, received, sent, under_way = self._rows.get((ex.route, ex.method, status)) or self._row(ex, status)
        took(end.duration)
        if end.bytes_in:
            received(end.bytes_in)
        if end.bytes_out:
            sent(end.bytes_out)
        under_way(-1.0)
        for attempt in end.attempts:
            (self._attempts.get((ex.method, attempt.target, attempt.status)) or self._attempt(ex, attempt))(attempt.duration)
        if end.truncated:
            self._truncated.bind(by="upstream" if isinstance(end.error, GatewayError) else "client").add()

    def explain(self, ex: Exchange) -> str:
        return f"counts as {_method(ex)} {self._path(ex) or 'of no route'}"

    def _path(self, ex: Exchange) -> str:
        return self.host.paths.get(ex.route, "")

    def _row(self, ex: Exchange, status: int | None) -> Row:
        """A client that left before it was answered has no status."""
        method, path, code = _method(ex), self._path(ex), "" if status is None else status
        row = self._rows.get((ex.route, method, status))
        if row is None:
            which = {METHOD: method, ROUTE: path}
            took: Observe = self._duration.bind(**which, **{STATUS: code}).observe
            if self._legacy is not None:
                took = _both(took, self._legacy.bind(method=method, route=path, status_code=code).observe)
            received, sent = self._received.bind(**which).observe, self._sent.bind(**which).observe
            row = self._rows[ex.route, method, status] = (took, received, sent, self._under_way[method])
        return row

    def _attempt(self, ex: Exchange, attempt: Attempt) -> Observe:
        """Failures are bound as they come: they are rare, and what went wrong is one more label."""
        method = _method(ex)
        target = urlsplit(attempt.target)
        failure = "" if attempt.status is not None else "cancelled" if attempt.error is None else attempt.error.slug
        labels = {METHOD: method, STATUS: "" if attempt.status is None else attempt.status, "error.type": failure}
        port = target.port or (443 if target.scheme == "https" else 80)
        took = self._upstream.bind(**labels, **{"server.address": target.hostname or "", "server.port": port}).observe
        if attempt.status is not None and method != OTHER_METHOD:
            self._attempts[method, attempt.target, attempt.status] = took
        return took


def _both(one: Observe, other: Observe) -> Observe:
    def observe(value: float) -> None:
        one(value)
        other(value)

    return observe


def _method(ex: Exchange) -> str:
    return ex.method if ex.method in METHODS else OTHER_METHOD
