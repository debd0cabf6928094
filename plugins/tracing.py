"""W3C trace context: each request continues its caller's trace or begins one, and the upstream is told; of the sampled ones, spans."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from random import getrandbits
from typing import ClassVar, Literal
from urllib.parse import quote, urlsplit

from multidict import istr

from gateway.plugin import (
    RANDOM,
    SAMPLED,
    Attempt,
    End,
    Event,
    Exchange,
    Field,
    GatewayError,
    Host,
    Parent,
    Plugin,
    Settings,
    Span,
    Value,
    errors,
    parent,
    tracestate,
)

TRACEPARENT, TRACESTATE = istr("traceparent"), istr("tracestate")
USER_AGENT = istr("User-Agent")
FLAGS = ("00", "01", "02", "03")
"""Of a trace; an id that is made here is random (02)."""
RANDOM_BITS = 56
"""Of a trace id, its last: those that are random for certain (Trace Context, section 2.3.1), and decide who is sampled."""
METHODS = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"})
"""Those the semantic conventions know; all others are _OTHER."""
LONGEST = 1024
"""Characters of a value that are kept."""
MOST_EVENTS = 32


class TracingSettings(Settings):
    shorthand: ClassVar[str] = "trust"

    trust: Literal["proxies", "everyone", "nobody"] = Field(
        "proxies",
        description="Whose sampled flag is taken as the decision. proxies: that of server.trusted_proxies; of all others the trace is "
        "continued, and whether it is sampled is decided anew, in a way that no choice of trace id can sway.",
    )


class Tracing(Plugin[TracingSettings]):
    once = True
    unobservable = "it refuses nothing, and only records"

    def __init__(self, settings: TracingSettings, host: Host) -> None:
        super().__init__(settings, host)
        self._trust = settings.trust
        self._sample = host.traces.sample
        self._least = round((1 - self._sample) * (1 << RANDOM_BITS))  # of 56 bits, to be sampled
        self._least_id = f"{self._least:014x}" if self._sample else "none"  # compared as text; all hex digits are below "n"
        self._record = host.traces.record
        self._recordings: dict[Exchange, _Recording] = {}  # of the sampled ones under way
        self._mask = host.mask
        self._clock = host.clock
        self.now: Callable[[], int] = time.time_ns  # the time of day: host.clock only knows how time passes

    def on_request(self, ex: Exchange) -> None:
        headers = ex.headers
        caller = _caller(ex) if TRACEPARENT in headers or TRACESTATE in headers else None
        if caller is None:
            ex.trace_id = trace_id = getrandbits(128).to_bytes(16).hex()
            if trace_id[-14:] < self._least_id:
                ex.trace_flags = "02"
                return
            ex.trace_flags = "03"
        else:
            ex.trace_id = caller.trace_id
            is_sampled = self._is_sampled(ex, caller)
            ex.trace_flags = FLAGS[caller.flags & RANDOM | (SAMPLED if is_sampled else 0)]
            if not is_sampled:
                return
        if self._record is not None:
            self._recordings[ex] = recording = _Recording("" if caller is None else caller.span_id)
            ex.span_id = recording.span_id

    def on_attempt(self, ex: Exchange, attempt: Attempt) -> None:
        span_id = getrandbits(64).to_bytes(8).hex()
        if self._recordings and (recording := self._recordings.get(ex)) is not None:
            recording.tries.append((span_id, self._clock(), 0 if ex.notes is None else len(ex.notes)))
        attempt.add_header("traceparent", f"00-{ex.trace_id}-{span_id}-{ex.trace_flags}")

    def on_end(self, ex: Exchange, end: End) -> None:
        if self._recordings and (recording := self._recordings.pop(ex, None)) is not None and self._record is not None:
            self._record(list(self._spans(recording, ex, end)))

    def explain(self, ex: Exchange) -> str:
        caller = _caller(ex)
        ex.headers[TRACEPARENT] = "(a new span's)"
        if caller is None:
            return f"begins a trace; {self._sample:.3g} of them are sampled"
        if self._trusts(ex):
            return f"continues the trace {caller.trace_id}, which its caller has {'' if caller.is_sampled else 'not '}sampled"
        return f"continues the trace {caller.trace_id}; {self._sample:.3g} of them are sampled, whatever their callers say"

    def _trusts(self, ex: Exchange) -> bool:
        return ex.is_proxied if self._trust == "proxies" else self._trust == "everyone"

    def _is_sampled(self, ex: Exchange, caller: Parent) -> bool:
        """Of a stranger's trace neither the flag nor the id decides: both are the stranger's to choose, and spans cost us something.

        Python's hash of a text is a SipHash with a key of this process: the same trace is always decided alike here.
        """
        if self._trusts(ex):
            return caller.is_sampled
        return bool(self._sample) and hash(caller.trace_id) & ((1 << RANDOM_BITS) - 1) >= self._least

    def _spans(self, recording: _Recording, ex: Exchange, end: End) -> Iterator[Span]:
        """The request as its client saw it, and each try at the upstream within."""
        now, clock = self.now(), self._clock()

        def at(seconds: float) -> int:
            return now - int((clock - seconds) * 1e9)

        flags = int(ex.trace_flags)
        state = ",".join(ex.headers.getall(TRACESTATE, ()))
        error = _error(end)
        tries = list(zip(recording.tries, end.attempts, strict=False))
        marks = [(notes, at(begun)) for (_, begun, notes), _ in tries]
        answered = at(tries[-1][0][1] + tries[-1][1].duration) if tries and tries[-1][1].status is not None else now
        marks.append((len(ex.notes or ()), answered))
        yield Span(
            f"{_method(ex)} {ex.template}" if ex.template else _method(ex),
            "server",
            ex.trace_id,
            recording.span_id,
            recording.parent_id,
            at(ex.started),
            now,
            self._of_request(ex, end, error),
            [*self._events(ex, marks), *_exception(end, now, error)],
            failed=bool(error) and error != GONE,
            is_remote=bool(recording.parent_id),
            flags=flags,
            state=state,
        )
        for (span_id, begun, _), attempt in tries:
            is_over = attempt.status is not None or attempt.error is not None
            yield Span(
                _method(ex),
                "client",
                ex.trace_id,
                span_id,
                recording.span_id,
                at(begun),
                at(begun + attempt.duration) if is_over else now,
                attributes := self._of_attempt(ex, attempt, error if not is_over else ""),
                failed="error.type" in attributes,
                flags=flags,
                state=state,
            )

    def _of_request(self, ex: Exchange, end: End, error: str) -> dict[str, Value]:
        address, port = _authority(ex.host)
        found: dict[str, Value | None] = {
            "http.request.method": _method(ex),
            "http.request.method_original": ex.method if ex.method not in METHODS else None,
            "http.route": ex.template or None,
            "http.response.status_code": end.status,
            "http.request.body.size": end.bytes_in or None,
            "http.response.body.size": end.bytes_out or None,
            "url.scheme": ex.scheme,
            "url.path": _short(self._mask.path(ex.path, ex.params)),
            "url.query": _short(self._mask.query(ex.query)) or None,
            "server.address": address or None,
            "server.port": port,
            "client.address": ex.client or None,
            "user_agent.original": _short(ex.headers.get(USER_AGENT, "")) or None,
            "network.protocol.name": "http",
            "network.protocol.version": ex.http_version,
            "error.type": error or None,
            "gateway.route": ex.route or None,
            "gateway.request_id": ex.request_id,
            "gateway.problem": end.error.slug if isinstance(end.error, GatewayError) else None,
        }
        return {name: value for name, value in found.items() if value is not None}

    def _of_attempt(self, ex: Exchange, attempt: Attempt, unanswered: str) -> dict[str, Value]:
        """`unanswered`: why there was no answer, and no failure either, when it was given up."""
        status, failure = attempt.status, attempt.error
        error = failure.slug if failure is not None else str(status) if status is not None and status >= 400 else unanswered
        target = urlsplit(attempt.target)
        found: dict[str, Value | None] = {
            "http.request.method": _method(ex),
            "http.request.method_original": ex.method if ex.method not in METHODS else None,
            "http.request.resend_count": attempt.number - 1 or None,
            "http.response.status_code": status,
            "url.full": _short(attempt.target + self._target(ex)),
            "server.address": target.hostname,
            "server.port": target.port or (443 if target.scheme == "https" else 80),
            "network.protocol.name": "http",
            "network.protocol.version": "1.1",
            "error.type": error or None,
        }
        return {name: value for name, value in found.items() if value is not None}

    def _target(self, ex: Exchange) -> str:
        """What the upstream was asked for, masked. A hidden parameter may be spelt in many ways there: then it is the client's path."""
        path, mark, query = ex.target.partition("?")
        masked = self._mask.path(ex.path, ex.params)
        return (path if masked == ex.path else quote(masked)) + mark + self._mask.query(query)

    def _events(self, ex: Exchange, marks: list[tuple[int, int]]) -> Iterator[Event]:
        """What plugins noted. A note has no time of its own: it has that of the next of `marks`, (notes so far, time), behind it."""
        for n, (kind, fields) in enumerate((ex.notes or ())[:MOST_EVENTS]):
            when = next(time for notes, time in marks if n < notes)
            yield Event(kind, when, {name: _plain(value) for name, value in self._mask.fields(fields).items()})


class _Recording:
    """What is known of a sampled request while it is under way."""

    __slots__ = ("parent_id", "span_id", "tries")

    def __init__(self, parent_id: str) -> None:
        self.span_id = getrandbits(64).to_bytes(8).hex()
        self.parent_id = parent_id
        self.tries: list[tuple[str, float, int]] = []  # span id, when it began, notes until then


GONE = "client-gone"


def _caller(ex: Exchange) -> Parent | None:
    """Who called. Its traceparent is taken out, for every attempt has one of its own; a tracestate that counts for nothing as well."""
    found = parent(ex.take_header(TRACEPARENT))
    headers = ex.headers
    states = headers.getall(TRACESTATE, ())
    if states:
        state = tracestate(states) if found is not None else ""
        if not state:
            ex.take_header(TRACESTATE)
        elif len(states) > 1 or state != states[0]:
            headers[TRACESTATE] = state
    return found


def _method(ex: Exchange) -> str:
    return ex.method if ex.method in METHODS else "_OTHER"


def _error(end: End) -> str:
    """How a request failed, "" when it did not: what a client did wrong is no failure of the server."""
    error = end.error
    if isinstance(error, errors.ClientGone) or (error is None and (end.truncated or end.status is None)):
        return GONE
    if not end.truncated and end.status is not None and end.status < 500:
        return ""
    if error is None:
        return str(end.status)
    return error.slug if isinstance(error, GatewayError) else type(error).__qualname__


def _exception(end: End, now: int, error: str) -> Iterator[Event]:
    if end.error is not None and error and error != GONE:
        message = end.error.reason if isinstance(end.error, GatewayError) else str(end.error)
        yield Event("exception", now, {"exception.type": type(end.error).__qualname__, "exception.message": _short(message)})


def _authority(host: str) -> tuple[str, int | None]:
    """Name and port of `api.example.com:8080` or `[::1]:8080`."""
    name, mark, port = host.rpartition(":")
    return (name.strip("[]"), int(port)) if mark and port.isdecimal() else (host.strip("[]"), None)


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else text[:LONGEST] + "..."


def _plain(value: object) -> Value:
    return value if isinstance(value, bool | int | float) else _short(str(value))
