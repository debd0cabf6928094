"""One JSON line for each exchange, written when it has ended, however it ended."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal, get_args

import orjson
from multidict import istr
from pydantic import AfterValidator
from pydantic.json_schema import WithJsonSchema

from gateway.plugin import Duration, End, Exchange, Field, GatewayError, Host, Many, Mask, NewFile, Percent, Plugin, Settings, errors

LONGEST = 1024
"""Characters of a value from outside that are kept."""
DEEPEST = 4
"""Levels of a note that are kept when it is no plain JSON."""
REDACTED = "[redacted]"
MILLISECONDS = tuple(f".{n:03d}Z" for n in range(1000))
SECRET = frozenset({"authorization", "cookie", "proxy-authorization", "set-cookie", "x-api-key"})

FieldName = Literal[
    "time", "level", "method", "scheme", "host", "path", "query", "status", "duration_ms", "bytes_in", "bytes_out", "client",
    "request_id", "trace_id", "route", "upstream", "attempts", "user_agent", "consumer", "error", "reason",
]  # fmt: skip
FIELDS: tuple[FieldName, ...] = get_args(FieldName)
DEFAULT = tuple(name for name in FIELDS if name not in ("scheme", "host", "query"))
REFUSED = frozenset({404, 429})
ORDINARY = REFUSED.union(range(200, 400))
"""Statuses of which a share of the lines says enough: what went well, and the refusals that come in floods, from those who try every
path and those who ask too often. Any other refusal (401 and 403 among them) may be the one that somebody asks about."""
USER_AGENT = istr("User-Agent")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def _once_each(names: tuple[str, ...]) -> tuple[str, ...]:
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{', '.join(twice)} is named twice")
    return names


def _header(name: str) -> str:
    if _TOKEN.fullmatch(name) is None:
        raise ValueError(f'"{name}" is no header name')
    return name


# Any: also those that frame a message or say where it goes.
AnyHeader = Annotated[str, AfterValidator(_header), WithJsonSchema({"type": "string", "pattern": f"^{_TOKEN.pattern}$"})]


class AccessLogSettings(Settings):
    example: ClassVar[str] = "fields: [time, method, path, status]"

    fields: Annotated[Many[FieldName], AfterValidator(_once_each)] = Field(
        DEFAULT,
        min_length=1,
        description="What a line says, in this order; what is not known of an exchange is left out of its line. `query` is not among the "
        "defaults because tokens travel in it. `error` is the problem's slug, client-gone or truncated; `reason` is what only "
        "operators may see of it. What plugins noted follows as `notes`.",
    )
    headers: Many[AnyHeader] = Field(
        (),
        description="Request headers to log as well, under `headers`, as they are after the plugins below this one. "
        f"{', '.join(sorted(SECRET))} are shown as {REDACTED}.",
    )
    file: NewFile | None = Field(
        None,
        description="Where the lines go; without it, to standard output. Made with its folder, appended to, and opened again on SIGUSR1.",
    )
    sample: Percent = Field(
        1.0,
        description="The share of ordinary exchanges (2xx, 3xx, 404 and 429, whole and not slow) that is written; each such line has it as "
        "`sample`, so that 1 / sample is what it counts for. All others are always written.",
    )
    slow: Duration = Field(1.0, gt=0, description="An exchange that took as long is no ordinary one, and always written.")


class AccessLog(Plugin[AccessLogSettings]):
    once = True
    several = True
    unobservable = "it refuses nothing, and only writes lines"

    def __init__(self, settings: AccessLogSettings, host: Host) -> None:
        super().__init__(settings, host)
        self._write = host.write_line if settings.file is None else host.open_lines(settings.file)
        self._sample = settings.sample
        self._slow = settings.slow
        self._mask = host.mask
        self.random: Callable[[], float] = random.random
        self._fields = settings.fields
        self._unasked = tuple(name for name in FIELDS if name not in settings.fields)
        self._is_in_order = settings.fields == tuple(name for name in FIELDS if name in settings.fields)
        self._headers = tuple(name.lower() for name in settings.headers)
        self.now: Callable[[], float] = time.time  # the time of day: host.clock only knows how time passes
        self._second = 0  # of the prefix, in milliseconds
        self._prefix = ""

    def on_end(self, ex: Exchange, end: End) -> None:
        sampled = self._sample < 1 and self._is_ordinary(end)
        if sampled and self.random() >= self._sample:
            return
        line = _facts(self._time(), ex, end, self._mask)
        if self._is_in_order:
            for name in self._unasked:
                line.pop(name, None)
        else:
            line = {name: line[name] for name in self._fields if name in line}
        if sampled:
            line["sample"] = self._sample
        if self._headers and (headers := self._chosen_headers(ex)):
            line["headers"] = headers
        if ex.notes is not None:
            line["notes"] = [{"kind": kind, **self._mask.fields(fields)} for kind, fields in ex.notes]
        self._write(_encode(line))

    def explain(self, ex: Exchange) -> str:
        share = "" if self._sample == 1 else f", or one in {1 / self._sample:.3g} of them" if self._sample else ", unless all goes well"
        return f"writes a line of {len(self._fields)} fields when it has ended{share}"

    def _is_ordinary(self, end: End) -> bool:
        """A refusal has an error and a status of its own; an error beside a good status came after the head."""
        status = end.status
        if status not in ORDINARY or end.truncated or end.duration >= self._slow:
            return False
        return end.error is None or status in REFUSED

    def _time(self) -> str:
        """When the exchange ended, as RFC 3339 has it. All but the milliseconds is made once a second."""
        millisecond = int(self.now() * 1000) - self._second
        if not 0 <= millisecond < 1000 or not self._prefix:
            second, millisecond = divmod(millisecond + self._second, 1000)
            self._second = second * 1000
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


def _facts(now: str, ex: Exchange, end: End, mask: Mask) -> dict[str, Any]:
    """What is known of FIELDS, in their order. All of it: to leave out what nobody asked for costs less than to ask for each."""
    status, attempts = end.status, end.attempts
    error = _word(end) if end.error is not None or end.truncated or status is None else None
    facts: dict[str, Any] = {
        "time": now,
        "level": "error" if error == "truncated" or (status is not None and status >= 500) else "info",
        "method": ex.method,
        "scheme": ex.scheme,
        "host": ex.host,
        "path": _short(mask.path(ex.path, ex.params) if ex.params else ex.path),
    }
    if ex.query:
        facts["query"] = _short(mask.query(ex.query))
    if status is not None:
        facts["status"] = status
    facts["duration_ms"] = int(end.duration * 1e6 + 0.5) / 1000
    facts["bytes_in"] = end.bytes_in
    facts["bytes_out"] = end.bytes_out
    facts["client"] = ex.client
    facts["request_id"] = ex.request_id
    if ex.trace_id:
        facts["trace_id"] = ex.trace_id
    if ex.route:
        facts["route"] = ex.route
    if attempts:
        facts["upstream"] = attempts[-1].target
    facts["attempts"] = len(attempts)
    if (agent := ex.headers.get(USER_AGENT)) is not None:
        facts["user_agent"] = _short(agent)
    if ex.consumer is not None:
        facts["consumer"] = ex.consumer
    if error is not None:
        facts["error"] = error
    if end.error is not None and (reason := _reason(end.error)):
        facts["reason"] = reason
    return facts


def _word(end: End) -> str | None:
    """How an exchange ended that did not simply end. Cut short with nothing to blame, the client left it."""
    error = end.error
    if isinstance(error, errors.ClientGone) or (error is None and (end.truncated or end.status is None)):
        return "client-gone"
    if end.truncated:
        return "truncated"
    return error.slug if isinstance(error, GatewayError) else None if error is None else type(error).__name__


def _reason(error: Exception) -> str:
    return _short(error.reason if isinstance(error, GatewayError) else str(error))


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
