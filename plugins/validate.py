"""Refuses requests that are not what a schema asks for: body, query, path and head, by JSON Schema or by an OpenAPI document."""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine
from functools import partial
from typing import Any

from pydantic import model_validator

from gateway.plugin import Exchange, Field, Host, Many, Plugin, Settings, content, errors

PARTS = ("body", "query", "params", "headers")


class ValidateSettings(Settings):
    body: content.SchemaSource | None = Field(
        None, description="The JSON Schema of the body, written here or in a file, as in policy/schemas/lead.json."
    )
    query: content.SchemaSource | None = Field(
        None, description="The schema of the query, an object; numbers and truths are taken for such where it says so."
    )
    params: content.SchemaSource | None = Field(None, description="The schema of the path's parameters.")
    headers: content.SchemaSource | None = Field(None, description="The schema of request headers; those it does not name pass.")
    openapi: content.ApiSource | None = Field(
        None,
        description="An OpenAPI 3.1 document, in place of these: each request is held to the operation of its route's path and its method.",
    )
    content_types: Many[str] = Field(
        (content.JSON, "application/*+json"),
        description="What a body may be: JSON, and application/x-www-form-urlencoded. Others are a 415.",
    )
    required: bool = Field(True, description="A request without a body is refused, if there is a schema of it.")
    unknown: content.Unknown = Field(
        "pass",
        description="Members that a schema does not describe. pass: as the schema says, refuse: as if it forbade them, strip: taken out of "
        "the body before it goes upstream.",
    )
    limits: content.LimitsSettings = Field(content.LimitsSettings(), description="What a body may have in it at most.")

    @model_validator(mode="after")
    def _says_something(self) -> ValidateSettings:
        given = [name for name in PARTS if getattr(self, name) is not None]
        if self.openapi is not None and given:
            raise ValueError(f"an OpenAPI document says what {given[0]} must be; keep one of them")
        if self.openapi is None and not given:
            raise ValueError("nothing is asked for; write body, query, params, headers or openapi")
        return self


class Validate(Plugin[ValidateSettings]):
    """In `mode: observe` nothing is refused, stripped or decoded."""

    needs_body = True
    handles_mode = True
    _noticed = False  # by a process

    def __init__(self, settings: ValidateSettings, host: Host) -> None:
        super().__init__(settings, host)
        self._observes = host.mode == "observe"
        self._limits = settings.limits.json_limits, settings.limits.form_limits
        self._reader = content.Reader(settings.limits, host.run_blocking, content.quick())
        self._schema, self._operations = None, {}
        if settings.openapi is None:
            self._schema = _request(settings)
        else:
            routes = {host.route: host.paths[host.route]} if host.route else host.paths
            self._operations = content.operations(settings.openapi, routes, settings.unknown)
            if not self._operations:
                raise ValueError("no operation of this document has the path of a route here; write the route's path as the document does")
        counter = host.metrics.counter("validate.refused", "Requests that were refused, or would have been, with this status.", ("status",))
        self._refused = {status: counter.bind(status=status).add for status in (400, 413, 415, 422, 503)}

    async def start(self) -> None:
        await self.host.run_blocking(content.prepare)
        if (notice := content.notice()) and not Validate._noticed:
            Validate._noticed = True
            self.host.log.warning(notice)

    def on_request(self, ex: Exchange) -> Awaitable[None] | None:
        try:
            soon = self._look(ex)
        except errors.GatewayError as error:
            self._refuse(ex, error)
            return None
        return None if soon is None else self._refuse_later(ex, soon)

    def explain(self, ex: Exchange) -> str | Awaitable[str]:
        try:
            soon = self._look(ex)
        except errors.GatewayError as error:
            return self._would_refuse(error)
        says = "finds nothing wrong" if self._asked(ex) is not None else "has no operation for this"
        return says if soon is None else self._said_later(soon, says)

    async def _said_later(self, soon: Coroutine[Any, Any, None], says: str) -> str:
        try:
            await soon
        except errors.GatewayError as error:
            return self._would_refuse(error)
        return says

    def _would_refuse(self, error: errors.GatewayError) -> str:
        """Raises `error` where it is the answer."""
        if not self._observes:
            raise error
        return f"would refuse this as {error.status}: {error.reason or error.detail}"

    def _asked(self, ex: Exchange) -> content.RequestSchema | None:
        return self._schema or self._operations.get((ex.method, ex.template))

    def _look(self, ex: Exchange) -> Coroutine[Any, Any, None] | None:
        """Raises InvalidRequest, and what a body is refused for otherwise."""
        asked = self._asked(ex)
        if asked is None:
            return None
        found = asked.head(ex, self._limits[1])
        schema = asked.body(ex)
        if schema is not None:
            if not self._reader.is_quick(ex):
                return self._look_later(ex, schema, found)
            self._conclude(ex, found, content.look(schema, ex.body_at_hand or b"", self._limits, ex))
        elif found:
            raise _invalid(found)
        return None

    async def _look_later(self, ex: Exchange, schema: Any, found: list[content.Violation]) -> None:
        body = await self._reader.read(ex)
        look = partial(content.look, schema, body, self._limits, ex if body is ex.body_at_hand else None)
        self._conclude(ex, found, await self._reader.work(len(body), look))

    def _conclude(self, ex: Exchange, found: list[content.Violation], looked: content.Looked) -> None:
        if found or looked.violations:
            raise _invalid(found + looked.violations)
        if looked.stripped is not None:
            ex.set_body(looked.stripped)

    async def _refuse_later(self, ex: Exchange, soon: Coroutine[Any, Any, None]) -> None:
        try:
            await soon
        except errors.GatewayError as error:
            self._refuse(ex, error)

    def _refuse(self, ex: Exchange, error: errors.GatewayError) -> None:
        """Raises `error`, or notes that it would have been the answer."""
        if (count := self._refused.get(error.status)) is not None:
            count()
        if not self._observes:
            error.__context__ = None  # its frames hold the body, and the exchange that will hold this error
            raise error
        ex.note("validate", would_refuse=error.reason or error.detail)
        ex.note("observe", plugin="validate", status=error.status)


def _invalid(found: list[content.Violation]) -> errors.InvalidRequest:
    reason = ", ".join(f"{one.where}{one.pointer} {one.reason}" for one in found)
    return errors.InvalidRequest(reason=reason, fields={"violations": [one.told for one in found]})


def _request(settings: ValidateSettings) -> content.RequestSchema:
    params, headers = (None if one is None else content.Fields(one) for one in (settings.params, settings.headers))
    query = None if settings.query is None else content.Fields(settings.query, settings.unknown)
    bodies = {} if settings.body is None else content.body_schemas(settings.body, settings.unknown, settings.content_types)
    return content.RequestSchema(bodies, settings.required, params, query, headers)
