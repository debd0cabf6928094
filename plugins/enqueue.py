"""A job for what an answer means: when the lead has been created, the welcome mail. The client's answer is as it would be without.

A job is stored before the client is answered, so that who has been told 201 can rely on the rest; with `durability: after_reply`, after.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Coroutine, Iterable, Mapping
from difflib import get_close_matches
from functools import partial
from hashlib import blake2b
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator
from pydantic.json_schema import WithJsonSchema

from gateway.plugin import (
    LATER,
    Duration,
    Exchange,
    Field,
    GatewayError,
    Host,
    JobsAway,
    OneOrMany,
    PayloadRefused,
    Plugin,
    Reply,
    Settings,
    Size,
    expressions,
    new_id,
)

PATIENCE = 5.0
"""Seconds that a client waits for a job to be stored; it is stored all the same, when it takes longer."""
LAST = 5.0
"""Seconds that the policy's end waits for jobs that are being stored."""
LONGEST = 120
"""Characters of a dedupe key that is kept as it is."""
OUTCOMES = ("stored", "known", "parked", "lost", "late", "observed")
"""late: the client had its answer before the job was stored; it counts once more when it is."""
PARAMS = "request.params."
_CLASS = re.compile(r"[1-5]xx")
_JSON = re.compile(r"application/(?:[\w.+-]+\+)?json\s*(?:;|$)", re.IGNORECASE)


def _statuses(value: Any) -> Any:
    if isinstance(value, str) and _CLASS.fullmatch(value):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and 100 <= value <= 599:
        return value
    raise ValueError("expected a status, as in 201, or a class of them, as in 2xx")


Status = Annotated[
    int | str,
    BeforeValidator(_statuses),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 100, "maximum": 599}, {"type": "string", "pattern": "^[1-5]xx$"}]}),
]
Value = str | int | float | bool | None


class On(Settings):
    """Which answers a job is for; all that is named must be so."""

    shorthand: ClassVar[str] = "status"

    status: OneOrMany[Status] = Field(("2xx",), description="The answer's status: a number, a class such as 2xx, or a list.")
    method: OneOrMany[str] = Field((), description="The request's method, or a list; without it, any.")
    fields: dict[str, OneOrMany[Value]] = Field(
        {},
        alias="json",
        description="Fields of the answer's JSON, as in `{type: lead, address.country: [DE, AT]}`: each has one of its values.",
    )


class EnqueueSettings(Settings):
    on: On = Field(On(), description="Which answers a job is stored for.")
    job: str = Field(min_length=1, description="The job's type: a sender of `jobs.senders`.")
    template: str = Field("", description="The message's template; for a webhook, the event's type.")
    to: OneOrMany[expressions.Text] = Field((), description='Whom it is for, as in "{{ response.body.email }}", or a list.')
    data: expressions.Data = Field({}, description='What the template is filled with, as in {name: "{{ response.body.name }}"}.')
    dedupe: expressions.Text = Field(
        "", description='What makes two jobs the same, as in "welcome:{{ response.body.id }}": the second is not stored.'
    )
    cooldown: Duration | None = Field(
        None, gt=0, description="For how long. Without `dedupe`, jobs with this template for the same recipient are the same. Default: 1d."
    )
    delay: Duration = Field(0.0, description="How long a job waits before it is due.")
    priority: int = Field(5, ge=0, le=9, description="0 is the most urgent, 9 the least.")
    durability: Literal["before_reply", "after_reply"] = Field(
        "before_reply",
        description="Whether a job is stored before the client has its answer, or right after: then one can be lost in a crash.",
    )
    max_body: Size = Field(
        256 << 10, gt=0, description="How much of an answer is read to take fields from it; of a longer one the job is parked."
    )

    @property
    def needs_body(self) -> bool:
        return expressions.Sources(self.tree.names).reads_request

    @property
    def tree(self) -> expressions.Tree:
        """All that is taken from an exchange."""
        to: Any = self.to[0] if len(self.to) == 1 else list(self.to)
        parts = {"to": to, "template": self.template, "data": self.data}
        payload = {name: value for name, value in parts.items() if value or name == "data"}
        return expressions.Tree({"payload": payload, "dedupe": self.dedupe})


class Enqueue(Plugin[EnqueueSettings]):
    handles_mode = True
    survives_client = True

    def __init__(self, settings: EnqueueSettings, host: Host) -> None:
        super().__init__(settings, host)
        on = settings.on
        self._statuses = frozenset(status for one in on.status for status in _numbers(one))
        self._methods = frozenset(method.upper() for method in on.method)
        self._conditions = tuple((path.split("."), frozenset(map(_typed, wanted))) for path, wanted in on.fields.items())
        self._settings = settings
        self._tree = tree = settings.tree
        self._sources = expressions.Sources(tree.names | {"response.body"} if self._conditions else tree.names)
        self._is_before = settings.durability == "before_reply"
        self._storing: set[asyncio.Task[None]] = set()
        jobs = host.metrics.counter("enqueue.jobs", "Jobs that answers gave rise to, by what became of them.", ("job", "outcome"))
        self._count = {outcome: jobs.bind(job=settings.job, outcome=outcome) for outcome in OUTCOMES}
        self._enqueue = partial(host.jobs.enqueue, settings.job, delay=settings.delay, priority=settings.priority)
        if settings.cooldown is not None:
            self._enqueue = partial(self._enqueue, dedupe_ttl=settings.cooldown)
        self._check()

    def _check(self) -> None:
        """Raises ValueError for what can never be stored, or run."""
        settings, types = self._settings, self.host.jobs.types
        if settings.job not in types:
            near = get_close_matches(settings.job, types, 1)
            meant = f'did you mean "{near[0]}"?' if near else f"write jobs: {{senders: {{{settings.job}: ...}}}}"
            raise ValueError(f'there is no sender "{settings.job}"; {meant}')
        try:
            self.host.jobs.check(settings.job, self._tree.known(LATER)["payload"])
        except PayloadRefused as error:
            raise ValueError(str(error)) from None

    @classmethod
    def placeholders(cls, settings: EnqueueSettings) -> Iterable[tuple[tuple[str, ...], str]]:
        for key in ("to", "data", "dedupe"):
            for name in sorted(expressions.Tree(getattr(settings, key)).names):
                if name.startswith(PARAMS):
                    yield (key,), name.removeprefix(PARAMS)

    async def stop(self) -> None:
        if self._storing:
            await asyncio.wait(self._storing, timeout=LAST)

    def on_request(self, ex: Exchange) -> Coroutine[Any, Any, None] | None:
        return self._read_request(ex) if self._sources.reads_request else None

    async def _read_request(self, ex: Exchange) -> None:
        await ex.body()

    def on_response(self, ex: Exchange, reply: Reply) -> Coroutine[Any, Any, None] | None:
        if reply.status not in self._statuses or (self._methods and ex.method not in self._methods):
            return None
        return self._fire(ex, reply)

    def explain(self, ex: Exchange) -> str | None:
        if self._methods and ex.method not in self._methods:
            return f"stores nothing for {ex.method}"
        settings = self._settings
        statuses = " or ".join(map(str, settings.on.status))
        verb = "would say that it stores" if self.host.mode == "observe" else "stores"
        return f"{verb} a job for {settings.job}{f' ({settings.template})' if settings.template else ''} when the answer is {statuses}"

    async def _fire(self, ex: Exchange, reply: Reply) -> None:
        missed: list[str] = []
        try:
            values = self._sources.values(ex, reply, await self._body(reply) if self._sources.reads_response else None)
        except expressions.Missing as error:
            values = {}
            missed.append(str(error))
        if self._conditions and not self._holds(values):
            if missed:
                ex.note("enqueue", job=self._settings.job, unread=missed[0])
            return
        unread = bool(missed)
        filled = self._tree.fill(values, missed)
        payload = filled["payload"]
        dedupe = _key(str(filled["dedupe"])) or self._cooling(payload)
        why = "; ".join(missed[:1] if unread else missed)
        if self.host.mode == "observe":
            self._tell(ex, payload, why)
            return
        task = asyncio.get_running_loop().create_task(self._store(ex, payload, dedupe, why), name="enqueue")
        self._storing.add(task)
        task.add_done_callback(self._storing.discard)
        if self._is_before:
            _, late = await asyncio.wait((task,), timeout=PATIENCE)
            if late:
                self._count["late"].add()

    async def _body(self, reply: Reply) -> bytes | None:
        """None when there is none to take fields from: also for an endless one that is no JSON."""
        limit = self._settings.max_body
        is_json = _JSON.match(reply.headers.get("Content-Type", "")) is not None
        if not is_json or (reply.entity is None and reply.stream is None) or (reply.length or 0) > limit:
            return None
        try:
            return await reply.read(limit)
        except GatewayError:
            return None  # cut short: so it is for the client, when it is sent

    def _holds(self, values: Mapping[str, Any]) -> bool:
        body = values.get("response", {}).get("body")
        return all(_typed(_field(body, path)) in wanted for path, wanted in self._conditions)

    def _cooling(self, payload: Mapping[str, Any]) -> str:
        """A dedupe key of template and recipient; "" where there is no cooldown. The recipient is not to be read from it."""
        if self._settings.cooldown is None:
            return ""
        return f"{self._settings.template}:{_digest(repr(payload.get('to')))}"

    async def _store(self, ex: Exchange, payload: Any, dedupe: str, missed: str) -> None:
        """Never raises: whatever happens to the job, the answer stands."""
        kind, template = self._settings.job, self._settings.template
        try:
            stored = await self._enqueue(
                payload, dedupe="" if missed else dedupe, traceparent=_traceparent(ex), request_id=ex.request_id, parked=missed
            )
        except JobsAway:
            self._count["lost"].add()  # who could not store it has told so
            return
        except PayloadRefused as error:
            self._count["lost"].add()
            self.host.log.error("a job is refused: job=%s template=%s request_id=%s: %s", kind, template, ex.request_id, error)
            return
        except Exception:
            self._count["lost"].add()
            self.host.log.exception("a job is lost: job=%s template=%s request_id=%s", kind, template, ex.request_id)
            return
        self._count["parked" if missed else "stored" if stored.is_new else "known"].add()
        ex.note("enqueue", job=kind, id=stored.id, **({"parked": missed} if missed else {} if stored.is_new else {"known": True}))
        if missed:
            self.host.log.error("a job is parked: job=%s id=%s request_id=%s: %s", kind, stored.id, ex.request_id, missed)

    def _tell(self, ex: Exchange, payload: Mapping[str, Any], missed: str) -> None:
        """What would have been stored, but for whom."""
        self._count["observed"].add()
        shown = self.host.mask.fields({name: value for name, value in payload.items() if name != "to"})
        parked = {"parked": missed} if missed else {}
        ex.note("observe", plugin="enqueue", would="store", job=self._settings.job, payload=shown, **parked)


def _numbers(status: int | str) -> Iterable[int]:
    return (status,) if isinstance(status, int) else range(int(status[0]) * 100, int(status[0]) * 100 + 100)


def _typed(value: Any) -> Any:
    """In Python true is 1; in JSON it is not."""
    return (type(value), value) if isinstance(value, bool | str | int | float) or value is None else (type(value), None)


def _field(body: Any, path: Iterable[str]) -> Any:
    """LATER, which no condition wants, where there is no such field."""
    for name in path:
        if not isinstance(body, dict) or name not in body:
            return LATER
        body = body[name]
    return body


def _key(text: str) -> str:
    """A dedupe key as every store takes it: who has left a name of ten thousand letters has a job all the same."""
    return text if len(text) <= LONGEST and text.isprintable() else _digest(text)


def _digest(text: str) -> str:
    return blake2b(text.encode(errors="replace"), digest_size=16).hexdigest()


def _traceparent(ex: Exchange) -> str:
    return f"00-{ex.trace_id}-{ex.span_id or new_id()[:16]}-{ex.trace_flags}" if ex.trace_id else ""
