"""Refuses or cleans text that would do something where it is shown or used: in JSON, forms, the query and the path.

What it cannot do stands in docs/sanitising.md: it does not know where the text will be used.
"""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine, Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated, Any, ClassVar, Literal

import orjson
from pydantic import AfterValidator

from gateway.plugin import Exchange, Field, Host, Plugin, Settings, content, errors

NOTED = 20
"""Changes that a note lists."""
KINDS = ("html", "control", "bidi", "nfc", "trim", "name")


def _field(name: str) -> str:
    if not name or any(not step or step != step.strip() for step in name.split(".")):
        raise ValueError(f'"{name}" is no name; write name, or user.name for one inside another')
    return name


class FieldSettings(Settings):
    """What becomes of one field; what is left out is as for all others."""

    shorthand: ClassVar[str] = "html"

    html: content.Html | None = Field(None, description="As for all fields.")
    control: content.Treatment | None = Field(None, description="As for all fields.")
    bidi: content.Treatment | None = Field(None, description="As for all fields.")
    nfc: bool | None = Field(None, description="As for all fields.")
    trim: bool | None = Field(None, description="As for all fields.")
    longest: int | None = Field(None, ge=1, description="As for all fields.")


class SanitizeSettings(Settings):
    shorthand: ClassVar[str] = "html"

    html: content.Html = Field(
        "reject",
        description="reject: refuse text in which an HTML parser finds active content, in the body of a page or in an attribute; strip: "
        "take all markup out, which loses text that looks like markup; escape: write it as references; allow: keep the elements of rich "
        "text, for fields that hold HTML; keep: leave it.",
    )
    control: content.Treatment = Field(
        "reject", description="Control characters, NUL among them, other than tab and the ends of lines and pages."
    )
    bidi: content.Treatment = Field("keep", description="Characters that turn the direction of text around, so that it reads as it is not.")
    nfc: bool = Field(
        True,
        description="Write letters in Unicode's composed form (NFC), so that two spellings of a name are found to be one. They look the "
        "same then, but for some variants of Chinese characters.",
    )
    trim: bool = Field(False, description="Take space away around each text.")
    names: content.Treatment = Field(
        "reject",
        description="Members and fields whose names reach for JavaScript's prototypes (`__proto__`), are operators of MongoDB (`$gt`), or "
        "hold active HTML.",
    )
    longest: int = Field(
        10_000, ge=1, description="Characters of a text that an HTML parser is given; a longer one with markup is refused."
    )
    fields: dict[Annotated[str, AfterValidator(_field)], FieldSettings] = Field(
        {},
        description="Fields with rules of their own, by name: `notes_html`, or `user.bio` for one inside another; arrays are passed "
        "through.",
    )
    query: bool = Field(True, description="Look at the query, too.")
    others: Literal["refuse", "pass"] = Field(
        "refuse",
        description="Bodies of a type that is not looked into: neither JSON nor a form. An upstream may read them as JSON all the same.",
    )
    limits: content.LimitsSettings = Field(content.LimitsSettings(), description="What a body may have in it at most.")


class Sanitize(Plugin[SanitizeSettings]):
    """In `mode: observe` nothing is refused or changed; it notes and counts what would have been."""

    needs_body = True
    handles_mode = True

    def __init__(self, settings: SanitizeSettings, host: Host) -> None:
        super().__init__(settings, host)
        self._observes = host.mode == "observe"
        self._top = _top(settings)
        longest = max(settings.longest, *(one.longest or 0 for one in settings.fields.values()), 0)
        self._new = partial(content.Cleaning, settings.names, longest)
        self._query = settings.query
        self._passes_others = settings.others == "pass"
        self._json_limits, self._form_limits = settings.limits.json_limits, settings.limits.form_limits
        self._reader = content.Reader(settings.limits, host.run_blocking)
        counter = host.metrics.counter(
            "sanitize.findings", "What was refused or changed in requests, or would have been.", ("kind", "action")
        )
        refused, changed = ("would_refuse", "would_change") if self._observes else ("refused", "changed")
        self._refused = {kind: counter.bind(kind=kind, action=refused).add for kind in KINDS}
        self._changed = {kind: counter.bind(kind=kind, action=changed).add for kind in KINDS}

    def on_request(self, ex: Exchange) -> Awaitable[None] | None:
        found = self._new()
        try:
            soon = self._look(ex, found)
        except errors.GatewayError as error:
            self._end(ex, found, error)
            return None
        if soon is not None:
            return self._end_later(ex, found, soon)
        self._end(ex, found, None)
        return None

    def explain(self, ex: Exchange) -> str | Awaitable[str]:
        found = self._new()
        try:
            soon = self._look(ex, found)
        except errors.GatewayError as error:
            return self._would_refuse(error)
        return self._said(found) if soon is None else self._said_later(found, soon)

    async def _said_later(self, found: content.Cleaning, soon: Coroutine[Any, Any, None]) -> str:
        try:
            await soon
        except errors.GatewayError as error:
            return self._would_refuse(error)
        return self._said(found)

    def _said(self, found: content.Cleaning) -> str:
        if not found.changed:
            return "finds nothing to refuse or change"
        return f"{'would change' if self._observes else 'changes'} {_listed(found.changed)}"

    def _would_refuse(self, error: errors.GatewayError) -> str:
        """Raises `error` where it is the answer."""
        if not self._observes:
            raise error
        return f"would refuse this as {error.status}: {error.reason or error.detail}"

    def _look(self, ex: Exchange, found: content.Cleaning) -> Coroutine[Any, Any, None] | None:
        """Find what is to be found, and change what is to be changed. Raises UnsafeContent, and what a body is refused for otherwise."""
        try:
            self._head(ex, found)
        except content.Enough:
            raise _unsafe(found) from None
        if content.has_body(ex):
            media, boundary = content.media_type(ex)
            is_known = content.is_json(media) or media in (content.FORM, content.MULTIPART)
            if is_known or not self._passes_others:
                if not self._reader.is_quick(ex):
                    return self._look_later(ex, found, media, boundary)
                self._replace(ex, self._body(ex, found, ex.body_at_hand or b"", media, boundary))
        if found.refused:
            raise _unsafe(found)
        return None

    async def _look_later(self, ex: Exchange, found: content.Cleaning, media: str, boundary: str) -> None:
        body = await self._reader.read(ex)
        self._replace(ex, await self._reader.work(len(body), partial(self._body, ex, found, body, media, boundary)))
        if found.refused:
            raise _unsafe(found)

    def _replace(self, ex: Exchange, body: bytes | None) -> None:
        if body is not None:
            ex.set_body(body)

    async def _end_later(self, ex: Exchange, found: content.Cleaning, soon: Coroutine[Any, Any, None]) -> None:
        try:
            await soon
        except errors.GatewayError as error:
            self._end(ex, found, error)
        else:
            self._end(ex, found, None)

    def _end(self, ex: Exchange, found: content.Cleaning, error: errors.GatewayError | None) -> None:
        """Count and note what was found. Raises `error`, or notes that it would have been the answer."""
        for one in found.refused:
            self._refused[one.kind]()
        if error is not None and not self._observes:
            error.__context__ = None  # its frames hold the body, and the exchange that will hold this error
            raise error
        for one in found.changed:
            self._changed[one.kind]()
        if found.changed:
            ex.note("sanitize", **{"would_change" if self._observes else "changed": _listed(found.changed)})
        if error is not None:
            ex.note("sanitize", would_refuse=error.reason or error.detail)
            ex.note("observe", plugin="sanitize", status=error.status)

    def _head(self, ex: Exchange, found: content.Cleaning) -> None:
        found.where = "params"
        for name, value in ex.params.items():
            found.parameter(name, value, self._top)
        path, mark, query = ex.target.partition("?")
        found.where = "query"
        if self._query and mark:
            pairs = content.pairs(query, self._form_limits)
            cleaned = self._fields(found, pairs)
            if cleaned != [written for _, _, written in pairs]:
                ex.target = f"{path}?{'&'.join(cleaned)}"

    def _body(self, ex: Exchange, found: content.Cleaning, body: bytes, media: str, boundary: str) -> bytes | None:
        """The body as it goes upstream; None when it may stay as it came. Takes as long as it is large."""
        found.where = "body"
        try:
            if not body:
                return None
            if content.is_json(media):
                return self._json(ex, found, body)
            if media == content.FORM:
                pairs = content.form(body, self._form_limits)
                cleaned = self._fields(found, pairs)
                return None if cleaned == [written for _, _, written in pairs] else "&".join(cleaned).encode()
            if media == content.MULTIPART:
                return self._multipart(found, content.parts(body, boundary, self._form_limits), boundary)
        except content.Enough:
            return None
        raise errors.UnsupportedMediaType("JSON and forms are accepted here.", reason=f"Content-Type: {media or 'none'}")

    def _json(self, ex: Exchange, found: content.Cleaning, body: bytes) -> bytes | None:
        value = ex.json_at_hand(self._json_limits) if body is ex.body_at_hand else content.loads(body, self._json_limits)
        cleaned = found.value(value, self._top)
        return None if cleaned is value else orjson.dumps(cleaned)

    def _fields(self, found: content.Cleaning, pairs: Sequence[tuple[str, str, str]]) -> list[str]:
        """The fields as they are written: those that stay the same, as they were."""
        cleaned = []
        for name, value, written in pairs:
            new = found.field(name, value, self._top)
            if new is not None:
                cleaned.append(written if new == value else content.pair(name, new))
        return cleaned

    def _multipart(self, found: content.Cleaning, parts: list[content.Part], boundary: str) -> bytes | None:
        cleaned = []
        for part in parts:
            if part.file is not None:
                found.parameter(f"{part.name}.filename", part.file, self._top)
                cleaned.append(part)
                continue
            text = part.text()
            new = found.field(part.name, text, self._top)
            if new is not None:
                cleaned.append(part if new == text else part._replace(content=new.encode()))
        return None if cleaned == parts else content.joined(cleaned, boundary)


def _listed(found: Sequence[content.Finding]) -> str:
    """Where and why, and nothing of what was sent."""
    return ", ".join(f"{one.pointer} {one.reason}" for one in found[:NOTED])


def _unsafe(found: content.Cleaning) -> errors.UnsafeContent:
    told = [{"in": one.where, "pointer": one.pointer, "reason": one.reason} for one in found.refused]
    return errors.UnsafeContent(reason=_listed(found.refused), fields={"violations": told})


def _top(settings: SanitizeSettings) -> content.CleaningField:
    rules = content.Rules(settings.html, settings.longest, settings.control, settings.bidi, settings.nfc, settings.trim)
    return _inner(rules, [(name.split("."), one) for name, one in settings.fields.items()])


def _inner(rules: content.Rules, fields: list[tuple[list[str], FieldSettings]]) -> content.CleaningField:
    inner: dict[str, Any] = {}
    for first in dict.fromkeys(path[0] for path, _ in fields):
        own = next((one for path, one in fields if path == [first]), FieldSettings())
        below = [(path[1:], one) for path, one in fields if path[0] == first and len(path) > 1]
        inner[first] = _inner(replace(rules, **own.model_dump(exclude_none=True)), below)
    return content.CleaningField(rules, inner)
