"""A failing upstream's page, with its stack trace and server name, never reaches the client: a problem+json does (RFC 9457)."""

from __future__ import annotations

from typing import ClassVar, Literal

import orjson

from gateway.plugin import Exchange, Field, Host, Plugin, Reply, Settings, errors

_TYPE = errors.PROBLEM + "upstream-error"
_TITLE = "The upstream failed"

# What speaks of the page that is replaced: how to show, find, keep or reload it. The rest is about the client's next step
# (Retry-After, WWW-Authenticate), its session (Set-Cookie), or the gateway's own (CORS, RateLimit), and stays.
_OF_THE_PAGE = ("Content-Disposition", "Content-Location", "Link", "Refresh", "SourceMap", "Expires", "Pragma", "Age", "Server-Timing")
_EXPLAINED = {
    "auto": "an upstream's 5xx passes when it is JSON, else it is replaced",
    "pass": "an upstream's 5xx passes",
    "replace": "an upstream's 5xx is replaced",
}
_DEBUG = "x-debug-"  # Symfony and others put the exception, its file and its line into headers


class ProblemDetailsSettings(Settings):
    shorthand: ClassVar[str] = "upstream_5xx"

    upstream_5xx: Literal["auto", "pass", "replace"] = Field(
        "auto",
        description="What becomes of an upstream's answer of 500 or above. auto: JSON passes, all else (HTML, text, nothing) is replaced "
        "by a problem+json of the same status; pass: all pass; replace: all are replaced. Retry-After, WWW-Authenticate, Set-Cookie stay.",
    )


class ProblemDetails(Plugin[ProblemDetailsSettings]):
    def __init__(self, settings: ProblemDetailsSettings, host: Host) -> None:
        super().__init__(settings, host)
        self._replaces = settings.upstream_5xx != "pass"
        self._passes_json = settings.upstream_5xx == "auto"
        self._setting = settings.upstream_5xx

    def on_response(self, ex: Exchange, reply: Reply) -> None:
        if reply.status < 500 or not reply.upstream or not self._replaces:
            return
        if self._passes_json and _is_json(ex, reply):
            return
        ex.note("upstream_error_replaced", status=reply.status, content_type=reply.headers.get("Content-Type", ""))
        _replace(reply, ex.request_id)

    def explain(self, ex: Exchange) -> str:
        return _EXPLAINED[self._setting]


def _is_json(ex: Exchange, reply: Reply) -> bool:
    """JSON by its one Content-Type (RFC 6839, section 3.1 for +json), and not known to be empty."""
    types = reply.headers.getall("Content-Type", ())
    if len(types) != 1:
        return False
    essence = types[0].partition(";")[0].strip().lower()
    return (essence == "application/json" or essence.endswith("+json")) and (ex.method == "HEAD" or not _is_empty(reply))


def _is_empty(reply: Reply) -> bool:
    if reply.entity is not None:
        return not reply.entity.data
    return reply.length == 0 or (reply.stream is not None and reply.stream.ended and not reply.stream.total)


def _replace(reply: Reply, request_id: str) -> None:
    headers = reply.headers
    for name in [*_OF_THE_PAGE, *(name for name in headers if name.lower().startswith(_DEBUG))]:
        headers.popall(name, None)
    content = {"type": _TYPE, "title": _TITLE, "status": reply.status, "request_id": request_id}
    reply.set_body(orjson.dumps(content), "application/problem+json")
    reply.reason = ""  # the upstream's own words
    headers["Cache-Control"] = "no-store"  # a request id is good for one reply
