"""Header fields set, added and removed: on the request before it goes upstream, and on the reply before it goes back."""

from __future__ import annotations

from typing import ClassVar

from pydantic import model_validator

from gateway.plugin import Exchange, Field, HeaderName, Headers, HeaderValue, Host, Many, OneOrMany, Plugin, Reply, Settings


class Changes(Settings):
    """Removed first, then set, then added."""

    remove: Many[HeaderName] = Field((), description="Fields to take away, every copy of them.")
    set: dict[HeaderName, HeaderValue] = Field({}, description="Fields to have exactly once, with this value, whatever was sent.")
    add: dict[HeaderName, OneOrMany[HeaderValue]] = Field(
        {}, description="Fields to append beside those of the same name; one value or a list."
    )

    @model_validator(mode="after")
    def _names_each_field_once(self) -> Changes:
        names = [name.lower() for name in (*self.remove, *self.set, *self.add)]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"{', '.join(twice)} is named twice; `set` replaces every copy by itself")
        return self


class HeadersSettings(Settings):
    example: ClassVar[str] = "request: {set: {X-Name: value}}"

    request: Changes = Field(Changes(), description="Changes to what the upstream receives.")
    response: Changes = Field(Changes(), description="Changes to what the client receives.")


class HeadersPlugin(Plugin[HeadersSettings]):
    def __init__(self, settings: HeadersSettings, host: Host) -> None:
        super().__init__(settings, host)
        self._request = _Edit(settings.request)
        self._response = _Edit(settings.response)

    def on_request(self, ex: Exchange) -> None:
        self._request.apply(ex.headers)

    def on_response(self, ex: Exchange, reply: Reply) -> None:
        self._response.apply(reply.headers)

    def explain(self, ex: Exchange) -> str:
        self.on_request(ex)
        changes = (("request", self._request.summary), ("reply", self._response.summary))
        return "; ".join(f"on the {side}: {summary}" for side, summary in changes if summary) or "changes nothing"


class _Edit:
    """Changes made ready: one call of the multidict for all that is set, one for all that is added."""

    __slots__ = ("_add", "_remove", "_set", "summary")

    def __init__(self, changes: Changes) -> None:
        self._remove = changes.remove
        self._set = Headers(changes.set)
        self._add = Headers([(name, value) for name, values in changes.add.items() for value in values])
        kinds = (("removes", changes.remove), ("sets", changes.set), ("adds", changes.add))
        self.summary = ", ".join(f"{verb} {', '.join(names)}" for verb, names in kinds if names)

    def apply(self, headers: Headers) -> None:
        for name in self._remove:
            headers.popall(name, None)
        if self._set:
            headers.update(self._set)
        if self._add:
            headers.extend(self._add)
