"""One JSON line for each exchange, written when it has ended, however it ended."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated, Any, Literal

import orjson
from pydantic import AfterValidator

from gateway.plugin import End, Exchange, Field, GatewayError, Host, Many, Plugin, Settings, errors

LONGEST = 1024
"""Characters of a value from outside that are kept."""
DEEPEST = 4
"""Levels of a note that are kept when it is no plain JSON."""
REDACTED = "[redacted]"
MILLISECONDS = tuple(f".{n:03d}Z" for n in range(1000))
SECRET = frozenset({"authorization", "cookie", "proxy-authorization", "set-cookie", "x-api-key"})

FieldName = Literal[
    "time", "level", "method", "scheme", "host", "path", "query", "status", "duration_ms", "bytes_in", "bytes_out", "client",
    "request_id", "route", "upstream", "attempts", "user_agent", "consumer", "error", "reason",
]  # fmt: skip
DEFAULT: tuple[FieldName, ...] = (
    "time", "level", "method", "path", "status", "duration_ms", "bytes_in", "bytes_out", "client",
    "request_id", "route", "upstream", "attempts", "user_agent", "consumer", "error", "reason",
)  # fmt: skip


def _once_each(names: tuple[str, ...]) -> tuple[str, ...]:
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{', '.join(twice)} is named twice")
    return names


class AccessLogSettings(Settings):
    fields: Annotated[Many[FieldName], AfterValidator(_once_each)] = Field(
        DEFAULT,
        min_length=1,
        description="What a line says, in this order; what is not known of an exchange is left out of its line. `query` is not among the "
        "defaults because tokens travel in it. `error` is the problem's slug, client-gone or truncated; `reason` is what only "
        "operators may see of it. What plugins noted follows as `notes`.",
    )
    headers: Many[Annotated[str, Field(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")]] = Field(
        (),
        description="Request headers to log as well, under `headers`, as they are after the plugins below this one. "
        f"{', '.join(sorted(SECRET))} are shown as {REDACTED}.",
    )


class AccessLog(Plugin[AccessLogSettings]):
    once = True

    def __init__(self, settings: AccessLogSettings, host: Host) -> None:
        super().__init__(settings, host)
        self._write = host.write_line
        self._fields = tuple((name, self._time if name == "time" else GETTERS[name]) for name in settings.fields)
        self._headers = tuple(name.lower() for name in settings.headers)
        self.now: Callable[[], float] = time.time  # the time of day: host.clock only knows how time passes
        self._second = -1
        self._prefix = ""

    def on_end(self, ex: Exchange, end: End) -> None:
        line: dict[str, Any] = {name: value for name, get in self._fields if (value := get(ex, end)) is not None}
        if self._headers and (headers := self._chosen_headers(ex)):
            line["headers"] = headers
        if ex.notes is not None:
            line["notes"] = [{"kind": kind, **fields} for kind, fields in ex.notes]
        self._write(_encode(line))

    def _time(self, ex: Exchange, end: End) -> str:
        """When the exchange ended, as RFC 3339 has it. All but the milliseconds is made once a second."""
        second, millisecond = divmod(int(self.now() * 1000), 1000)
        if second != self._second:
            self._second = second
            self._prefix = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return self._prefix + MILLISECONDS[millisecond]

    def _chosen_headers(self, ex: Exchange) -> dict[str, str]:
        found = {}
        for name in self._headers:
            values = ex.headers.getall(name, ())
            if values:
                found[name] = REDACTED if name in SECRET else _short(", ".join(values))
        return found


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else text[:LONGEST] + "..."


def _client_left(end: End) -> bool:
    """Cut short with nothing to blame: an upstream that broke off, or a bug, would be `error`."""
    return isinstance(end.error, errors.ClientGone) or (end.error is None and (end.truncated or end.status is None))


def _level(ex: Exchange, end: End) -> str:
    status = end.status
    return "error" if (status is not None and status >= 500) or (end.truncated and not _client_left(end)) else "info"


def _user_agent(ex: Exchange, end: End) -> str | None:
    value = ex.headers.get("User-Agent")
    return None if value is None else _short(value)


def _error(ex: Exchange, end: End) -> str | None:
    if _client_left(end):
        return "client-gone"
    if end.truncated:
        return "truncated"
    error = end.error
    return error.slug if isinstance(error, GatewayError) else None if error is None else type(error).__name__


def _reason(ex: Exchange, end: End) -> str | None:
    error = end.error
    if error is None:
        return None
    reason = error.reason if isinstance(error, GatewayError) else str(error)
    return _short(reason) or None


GETTERS: dict[str, Callable[[Exchange, End], object]] = {
    "level": _level,
    "method": lambda ex, end: ex.method,
    "scheme": lambda ex, end: ex.scheme,
    "host": lambda ex, end: ex.host,
    "path": lambda ex, end: _short(ex.path),
    "query": lambda ex, end: _short(ex.query) or None,
    "status": lambda ex, end: end.status,
    "duration_ms": lambda ex, end: int(end.duration * 1e6 + 0.5) / 1000,
    "bytes_in": lambda ex, end: end.bytes_in,
    "bytes_out": lambda ex, end: end.bytes_out,
    "client": lambda ex, end: ex.client,
    "request_id": lambda ex, end: ex.request_id,
    "route": lambda ex, end: ex.route or None,
    "upstream": lambda ex, end: end.attempts[-1].target if end.attempts else None,
    "attempts": lambda ex, end: len(end.attempts),
    "user_agent": _user_agent,
    "consumer": lambda ex, end: ex.consumer,
    "error": _error,
    "reason": _reason,
}


def _encode(line: dict[str, Any]) -> bytes:
    """The line as JSON. A note may hold anything, and a header bytes that are no UTF-8: then it is made plain first."""
    try:
        return orjson.dumps(line, str, orjson.OPT_APPEND_NEWLINE)
    except orjson.JSONEncodeError:
        return orjson.dumps(_plain(line, DEEPEST + 2), None, orjson.OPT_APPEND_NEWLINE)


def _plain(value: object, depth: int) -> Any:
    match value:
        case None | bool() | float():
            return value
        case int():
            return value if -(1 << 63) <= value < 1 << 63 else "integer out of range"
        case str():
            # Not str.encode(..., "replace"): the bytes are a clue to who sent them.
            return _short(value.encode("utf-8", "backslashreplace").decode())
        case dict() if depth:
            return {str(_plain(key, 0)): _plain(item, depth - 1) for key, item in value.items()}
        case list() | tuple() if depth:
            return [_plain(item, depth - 1) for item in value]
        case _:
            return f"<{type(value).__name__}>"
