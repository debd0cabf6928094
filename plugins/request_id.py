"""One id for each request: the client's when it is sane, else a new one; sent upstream and on every reply."""

from __future__ import annotations

import re
from typing import ClassVar

from multidict import istr

from gateway.plugin import Exchange, Field, HeaderName, Host, Plugin, Reply, Settings

_SANE = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}").fullmatch
"""A token (RFC 9110, section 5.6.2): no space, quote, bracket or control byte that a log's reader could trip over."""


class RequestIdSettings(Settings):
    shorthand: ClassVar[str] = "header"

    header: HeaderName = Field("X-Request-Id", description="The header that carries the id: from the client, to the upstream, on replies.")
    trust: bool = Field(
        True,
        description="Take a client's own id when it is a token of at most 128 characters, so that its logs and yours name a request alike. "
        "false: every request gets a new id.",
    )


class RequestId(Plugin[RequestIdSettings]):
    unobservable = "it refuses nothing, and the name that it gives is for logs and upstreams to see"

    def __init__(self, settings: RequestIdSettings, host: Host) -> None:
        super().__init__(settings, host)
        self._name = settings.header
        self._header = istr(settings.header)
        self._trust = settings.trust

    def on_request(self, ex: Exchange) -> None:
        sent = ex.headers.getall(self._header, ())
        if not sent:
            ex.add_header(self._name, ex.request_id)
        elif self._trust and len(sent) == 1 and _SANE(sent[0]):
            ex.request_id = sent[0]
        else:
            ex.headers[self._header] = ex.request_id

    def explain(self, ex: Exchange) -> str:
        sent = ex.headers.getall(self._header, ())
        self.on_request(ex)
        if ex.headers[self._header] in sent:
            return f"keeps the client's id, {ex.request_id}"
        ex.headers[self._header] = "(a new id)"
        return "makes a new id" + (", for the client's is not taken" if sent else "")

    def on_response(self, ex: Exchange, reply: Reply) -> None:
        reply.headers[self._header] = ex.request_id
