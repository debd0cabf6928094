"""What a change has made stale is purged from the cache: on all gateways, and before the client sees that the change is done."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import orjson
from pydantic import AfterValidator, model_validator

from gateway.plugin import Attempt, Exchange, Field, Host, OneOrMany, Plugin, Reply, Settings, StoreAway, caching

LIMIT = 1 << 20
"""Bytes of an answer of which fields are wanted: a longer one has none for us."""


def _status(value: int | str) -> int | str:
    if isinstance(value, str) and (len(value) != 3 or value[0] not in "2345" or value[1:] != "xx"):
        raise ValueError(f'"{value}" is no status; write one, as 201, or a class of them, as 2xx')
    if isinstance(value, int) and not 200 <= value <= 599:
        raise ValueError(f"{value} is no status of an answer; they are from 200 to 599")
    return value


class On(Settings):
    shorthand: ClassVar[str] = "status"

    status: OneOrMany[Annotated[int | str, AfterValidator(_status)]] = Field(
        ("2xx",), description="Statuses, as 201, or classes of them, as 2xx."
    )


class PurgeSettings(Settings):
    shorthand: ClassVar[str] = "tags"

    tags: OneOrMany[str] = Field(
        (),
        description="Answers with one of these tags are purged: leads, `lead:{id}` with a parameter of the path, `lead:{body.id}` with a "
        "field of the JSON answer (of each member, where there is a list).",
    )
    routes: OneOrMany[str] = Field((), description="Answers of these routes are purged, by the routes' names.")
    on: On = Field(default_factory=On, description="Which answers of the upstream show that something has changed.")
    soft: bool = Field(
        False, description="What is purged is stale, and still served where stale answers may be, while it is asked for anew."
    )

    @model_validator(mode="after")
    def _names_something(self) -> PurgeSettings:
        if not self.tags and not self.routes:
            raise ValueError("it purges nothing; write tags or routes")
        for tag in self.tags:
            caching.Tag(tag)
        return self


class Purge(Plugin[PurgeSettings]):
    handles_mode = True
    survives_client = True  # what has changed has changed

    def __init__(self, settings: PurgeSettings, host: Host) -> None:
        super().__init__(settings, host)
        if unknown := [route for route in settings.routes if route not in host.paths]:
            raise ValueError(f'no route is called "{unknown[0]}"; the routes are {", ".join(host.paths)}')
        self._statuses = _statuses(settings.on.status)
        self._marks = tuple(caching.ROUTE + route for route in settings.routes)
        self._tags = tuple(map(caching.Tag, settings.tags))
        self._reads_body = any(tag.reads_body for tag in self._tags)
        self._soft = settings.soft
        self._said = f"when the answer is {', '.join(map(str, settings.on.status))}"
        self._observes = host.mode == "observe"
        purges = host.metrics.counter("purge.purges", "Purges, by whether other gateways were told at once.", ("outcome",))
        self._done, self._late, self._observed = (purges.bind(outcome=outcome).add for outcome in ("done", "late", "observed"))
        self._unreadable = host.metrics.counter("purge.unreadable", "Answers without the fields that a tag names.").bind().add

    @classmethod
    def placeholders(cls, settings: PurgeSettings) -> list[tuple[tuple[str, ...], str]]:
        return [(("tags",), name) for tag in settings.tags for name in caching.Tag(tag).parameters]

    def on_attempt(self, ex: Exchange, attempt: Attempt) -> None:
        if self._reads_body:
            attempt.headers.popall("Accept-Encoding", None)  # who stands above may encode it for the client

    async def on_response(self, ex: Exchange, reply: Reply) -> None:
        if reply.status not in self._statuses or not reply.upstream:
            return
        content = await self._content(reply) if self._reads_body else None
        marks = [*self._marks, *self._filled(ex, content)]
        if self._observes:
            self._observed()
            ex.note("observe", plugin="purge", would="purge", marks=marks)
        elif marks:
            ex.note("purge", marks=marks)
            await self._purge(marks)

    def explain(self, ex: Exchange) -> str:
        marks = [*self._marks, *(caching.TAG + tag.text for tag in self._tags if tag.reads_body)]
        marks += [caching.TAG + filled for tag in self._tags if not tag.reads_body for filled in tag.fill(ex.params)]
        return f"{'would purge' if self._observes else 'purges'} {', '.join(marks)} {self._said}"

    async def _purge(self, marks: list[str]) -> None:
        """Before the client's answer is sent. With the store away it is so here, and elsewhere as soon as it is back."""
        told = self.host.cache.purge(marks, soft=self._soft)
        try:
            if told is not None:
                await told
        except StoreAway as error:
            self._late()
            self.host.log.warning("a purge of %s did not reach all gateways yet: %s", ", ".join(marks), error)
        else:
            self._done()

    async def _content(self, reply: Reply) -> Any:
        """The JSON of the answer; None when it has none that can be read."""
        data = None if "Content-Encoding" in reply.headers else await reply.read(LIMIT)
        try:
            return None if data is None else orjson.loads(data)
        except orjson.JSONDecodeError:
            return None

    def _filled(self, ex: Exchange, content: Any) -> list[str]:
        marks = []
        for tag in self._tags:
            found = tag.fill(ex.params, content)
            if not found:
                self._unreadable()
                ex.note("purge_unreadable", tag=tag.text)
            marks += [caching.TAG + filled for filled in found]
        return marks


def _statuses(written: tuple[int | str, ...]) -> frozenset[int]:
    return frozenset(
        status for one in written for status in (range(int(one[0]) * 100, int(one[0]) * 100 + 100) if isinstance(one, str) else (one,))
    )
