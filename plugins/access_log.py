"""One JSON line for each exchange, written when it has ended, however it ended."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from functools import lru_cache
from operator import itemgetter
from typing import Annotated, Any, ClassVar, Literal, get_args

import msgspec
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
ADDED = ("sample", "headers", "notes")
"""What follows the fields in a line."""
Facts = tuple[Any, ...]
_encode_lines = msgspec.json.Encoder(enc_hook=str).encode_lines
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
        self._number = len(settings.fields)
        self._line = _line(settings.fields)
        self._shown = _shown(settings.fields)
        self._headers = tuple(name.lower() for name in settings.headers)
        self.now: Callable[[], float] = time.time  # the time of day: host.clock only knows how time passes
        self._second = self._millisecond = -1000  # both in milliseconds: of `_prefix`, and of `_text`
        self._prefix = self._text = ""

    def on_end(self, ex: Exchange, end: End) -> None:
        sampled = self._sample < 1 and self._is_ordinary(end)
        if sampled and self.random() >= self._sample:
            return
        now = int(self.now() * 1000)  # when the exchange ended; of those that end together, most within the same millisecond
        text = self._text if now == self._millisecond else self._time(now)
        line = self._line(*self._shown(_facts(text, ex, end, self._mask)))
        if sampled:
            line.sample = self._sample
        if self._headers:
            line.headers = self._chosen_headers(ex) or None
        if ex.notes is not None:
            line.notes = [{"kind": kind, **self._mask.fields(fields)} for kind, fields in ex.notes]
        self._write(_encode(line))

    def explain(self, ex: Exchange) -> str:
        share = "" if self._sample == 1 else f", or one in {1 / self._sample:.3g} of them" if self._sample else ", unless all goes well"
        return f"writes a line of {self._number} fields when it has ended{share}"

    def _is_ordinary(self, end: End) -> bool:
        """A refusal has an error and a status of its own; an error beside a good status came after the head."""
        status = end.status
        if status not in ORDINARY or end.truncated or end.duration >= self._slow:
            return False
        return end.error is None or status in REFUSED

    def _time(self, now: int) -> str:
        """A time in milliseconds as RFC 3339 has it; all but the milliseconds is made once a second."""
        millisecond = now - self._second
        if not 0 <= millisecond < 1000:
            millisecond = now % 1000
            self._second = now - millisecond
            self._prefix = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now // 1000))
        self._millisecond = now
        self._text = self._prefix + MILLISECONDS[millisecond]
        return self._text

    def _chosen_headers(self, ex: Exchange) -> dict[str, str]:
        found = {}
        for name in self._headers:
            values = ex.headers.getall(name, ())
            if values:
                found[name] = REDACTED if name in SECRET else _short(", ".join(values))
        return found


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else text[:LONGEST] + "..."


@lru_cache(maxsize=64)  # a class leads back to itself: one for each reload would be left to the collector
def _line(fields: tuple[FieldName, ...]) -> Callable[..., Any]:
    """Makes a line of the values of `fields`: what is None is left out of its JSON."""
    return msgspec.defstruct("Line", [(name, Any, None) for name in (*fields, *ADDED)], omit_defaults=True, gc=False)


def _shown(fields: tuple[FieldName, ...]) -> Callable[[Facts], Facts]:
    """Takes the values of `fields`, in their order, from all that is known."""
    places = [FIELDS.index(name) for name in fields]
    return itemgetter(*places) if len(places) > 1 else itemgetter(slice(places[0], places[0] + 1))


def _facts(now: str, ex: Exchange, end: End, mask: Mask) -> Facts:
    """The values of FIELDS, None for what is not known. All of them: to leave out what nobody asked for costs less than to ask for each."""
    status, attempts, error = end.status, end.attempts, end.error
    word = _word(end) if error is not None or end.truncated or status is None else None
    path = mask.path(ex.path, ex.params) if ex.params else ex.path
    agent = ex.headers.get(USER_AGENT)
    return (
        now,
        "error" if word == "truncated" or (status is not None and status >= 500) else "info",
        ex.method,
        ex.scheme,
        ex.host,
        path if len(path) <= LONGEST else _short(path),
        _short(mask.query(ex.query)) if ex.query else None,
        status,
        int(end.duration * 1e6 + 0.5) / 1000,
        end.bytes_in,
        end.bytes_out,
        ex.client,
        ex.given_id or ex.request_id,
        ex.trace_id or None,
        ex.route or None,
        attempts[-1].target if attempts else None,
        len(attempts),
        agent if agent is None or len(agent) <= LONGEST else _short(agent),
        ex.consumer,
        word,
        (_reason(error) or None) if error is not None else None,
    )


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


def _encode(line: Any) -> bytes:
    """The line as JSON. A note may hold anything, and a header bytes that are no UTF-8: then it is made plain first."""
    try:
        return _encode_lines((line,))
    except Exception:
        known = {name: value for name, value in msgspec.structs.asdict(line).items() if value is not None}
        return _encode_lines((_plain(known, DEEPEST + 2),))


def _plain(value: object, depth: int) -> Any:
    match value:
        case None | bool() | int() | float():
            return value
        case str():
            # Not str.encode(..., "replace"): the bytes are a clue to who sent them.
            return _short(value.encode("utf-8", "backslashreplace").decode())
        case dict() if depth:
            return {str(_plain(key, 0)): _plain(item, depth - 1) for key, item in value.items()}
        case list() | tuple() if depth:
            return [_plain(item, depth - 1) for item in value]
        case _:
            return f"<{type(value).__name__}>"
