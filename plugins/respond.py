"""A fixed answer, or a redirect, made here: nothing goes upstream."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar
from urllib.parse import quote

import orjson
from pydantic import AfterValidator, model_validator

from gateway.plugin import (
    Answers,
    BadRequest,
    Entity,
    Exchange,
    Field,
    HeaderName,
    Headers,
    HeaderValue,
    Host,
    Placeholders,
    Plugin,
    Reply,
    Settings,
)

REDIRECTS = (301, 302, 303, 307, 308)
BODYLESS = (204, 205, 304)

# An authority that is whole in the policy's own text (else a request could go on with it: example.com + .evil.test), or one slash.
_FIRST = re.compile(r"(https?://(?:[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?)([/?#].*)?|/(?!/).*")
_UNSAFE = re.compile(r"[^!-~]|[\\\"<>^`|]")


def _redirect(value: str) -> str:
    """A target that leads where the policy says, whatever the request holds. Raises ValueError for any other."""
    text = Placeholders(value)
    if any(_UNSAFE.search(literal) for literal in text.literals):
        raise ValueError("a redirect's target is ASCII without blanks, quotes and backslashes; percent-encode them")
    first = _FIRST.fullmatch(text.literals[0])
    if first is None:
        raise ValueError("a redirect's target begins with https://host or one slash, so that no request can choose the host")
    if first[1] and not first[2] and text.names and text.names[0] not in ("path", "query"):
        raise ValueError(f"{{{text.names[0]}}} would go on with the host; put a slash before it")
    for place, name in enumerate(text.names):
        before = "".join(text.literals[: place + 1])
        if name == "query" and (place + 1 < len(text.names) or text.literals[-1] or "?" in before or "#" in before):
            raise ValueError("{query} brings its own question mark and stands at the end")
        if name == "path" and text.literals[place].endswith("/"):
            raise ValueError("{path} brings its own slash")
    if text.names.count("path") > 1:
        raise ValueError("{path} stands once: it is encoded for its place")
    return value


def _json(value: Any) -> Any:
    try:
        orjson.dumps(value)
    except TypeError as error:
        raise ValueError(f"JSON cannot say this: {error}") from error
    return value


class RespondSettings(Settings):
    shorthand: ClassVar[str] = "status"

    status: int | None = Field(None, ge=200, le=599, description="The status. Default: 200, for a redirect 308, which keeps the method.")
    body: str | None = Field(None, description="The body, as text.")
    content: Annotated[Any, AfterValidator(_json)] = Field(None, alias="json", description="The body, as anything that JSON can say.")
    content_type: HeaderValue | None = Field(
        None, description="The body's Content-Type. Default: text/plain; charset=utf-8 for body, application/json for json."
    )
    headers: dict[HeaderName, HeaderValue] = Field({}, description="More headers of the answer.")
    redirect: Annotated[str, AfterValidator(_redirect)] | None = Field(
        None,
        description="Where to send the client instead: https://host/... or /..., with the route's parameters, as in {id}, and {path} and "
        "{query} for what the client asked. Its host is always the policy's own.",
    )

    @model_validator(mode="after")
    def _is_one_answer(self) -> RespondSettings:
        given = [
            name for name, field in (("body", "body"), ("json", "content"), ("redirect", "redirect")) if field in self.model_fields_set
        ]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} are answers of their own; write one of them")
        if not given and self.status is None:
            raise ValueError("nothing to answer; write status, body, json or redirect")
        if self.redirect is not None and self.status not in (None, *REDIRECTS):
            raise ValueError(f"a redirect's status is one of {', '.join(map(str, REDIRECTS))}")
        if given in (["body"], ["json"]) and self.status in BODYLESS:
            raise ValueError(f"an answer of {self.status} has no body")
        if self.content_type is not None and given not in (["body"], ["json"]):
            raise ValueError("content_type is that of body or json, and neither is there")
        for name in self.headers:
            if name.lower() == "content-type" or (name.lower() == "location" and self.redirect is not None):
                raise ValueError(f"headers: {name} has a setting of its own")
        return self


class Respond(Plugin[RespondSettings]):
    unobservable = "it is what its route answers"

    def __init__(self, settings: RespondSettings, host: Host) -> None:
        super().__init__(settings, host)
        self._headers = Headers(settings.headers)
        self._entity, content_type = _body(settings)
        if content_type:
            self._headers["Content-Type"] = settings.content_type or content_type
        self._location = None if settings.redirect is None else _Location(settings.redirect)
        self._status = settings.status or (200 if self._location is None else 308)

    @classmethod
    def placeholders(cls, settings: RespondSettings) -> Iterator[tuple[tuple[str, ...], str]]:
        names = Placeholders(settings.redirect or "").names
        return ((("redirect",), name) for name in names if name not in ("path", "query"))

    def on_request(self, ex: Exchange) -> Reply:
        reply = Reply(self._status, self._headers.copy(), None)
        reply.entity = self._entity  # one for all: what is encoded once is encoded for all
        if self._location is not None:
            reply.headers["Location"] = self._location.of(ex)
        return reply

    def explain(self, ex: Exchange) -> str:
        reply = self.on_request(ex)
        location = reply.headers.get("Location")
        return Answers(f"answers {reply.status}" + (f", to {location}" if location else ""))


def _body(settings: RespondSettings) -> tuple[Entity, str]:
    """The body and its default Content-Type; no type when there is no body."""
    if settings.body is not None:
        return Entity(settings.body.encode()), "text/plain; charset=utf-8"
    if "content" in settings.model_fields_set:
        return Entity(orjson.dumps(settings.content)), "application/json"
    return Entity(b""), ""


class _Location:
    """Fills in a redirect's target, every piece encoded for the place where it lands."""

    __slots__ = ("_is_local", "_path_is_value", "_text", "_wants_target")

    def __init__(self, target: str) -> None:
        self._text = Placeholders(target)
        self._is_local = target.startswith("/")
        self._wants_target = not {"path", "query"}.isdisjoint(self._text.names)
        before = target.partition("{path}")[0]
        self._path_is_value = "?" in before or "#" in before

    def of(self, ex: Exchange) -> str:
        values = {name: quote(value, safe="") for name, value in ex.params.items()}
        if self._wants_target:
            path, mark, query = ex.target.partition("?")
            values["path"] = quote(path, safe="/") if self._path_is_value else path
            values["query"] = mark + query
        location = self._text.fill(values)
        if self._is_local and location.startswith("//"):
            raise BadRequest("A parameter of the path is empty.")
        return location
