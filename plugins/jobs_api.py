"""Jobs over HTTP, for the services behind the gateway: `POST /jobs/{type}` stores one, `GET /jobs/{id}` asks what became of it.

202 is said when the job is stored, and not before.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any, ClassVar

from pydantic import TypeAdapter, ValidationError

from gateway.plugin import (
    Answers,
    BadRequest,
    Duration,
    Exchange,
    Field,
    Host,
    Job,
    JobsAway,
    NotFound,
    OneOrMany,
    PayloadRefused,
    Plugin,
    Reply,
    Settings,
    Size,
    Unauthorized,
    Unavailable,
    errors,
)

KEY = "Idempotency-Key"
LONGEST = 255
"""Characters of an Idempotency-Key."""
RETRY_AFTER = ("Retry-After", "2")
"""Seconds. Whoever asks has kept what it asked for, and asks again."""
_DELAY: TypeAdapter[float] = TypeAdapter(Duration)


class JobsApiSettings(Settings):
    shorthand: ClassVar[str] = "types"

    types: OneOrMany[str] = Field((), description="The types of jobs that may be asked for, of `jobs.senders`; without them, all.")
    max_body: Size = Field(64 << 10, gt=0, description="Bytes of a job's payload; a larger one is answered 413.")
    cooldown: Duration = Field(86_400.0, gt=0, description="How long an Idempotency-Key keeps a second job of its type away.")
    anonymous: bool = Field(False, description="Let everybody ask for jobs who can reach the route; else `authenticate` must stand above.")

    @property
    def needs_consumer(self) -> bool:
        return not self.anonymous


class JobsApi(Plugin[JobsApiSettings]):
    """Its route's path ends in one parameter: a type for POST, an id for GET."""

    needs_body = True
    unobservable = "it is what its route answers"

    def __init__(self, settings: JobsApiSettings, host: Host) -> None:
        super().__init__(settings, host)
        self._types = frozenset(settings.types) or host.jobs.types
        self._max_body = settings.max_body
        self._cooldown = settings.cooldown
        self._is_open = settings.anonymous
        if strange := sorted(self._types - host.jobs.types):
            raise ValueError(f'there is no sender "{strange[0]}"; write jobs: {{senders: {{{strange[0]}: ...}}}}')
        if not self._types:
            raise ValueError("the policy has no jobs; write jobs: {senders: {email: ...}}")
        path = host.paths.get(host.route, "")
        self._name = path.rpartition("/{")[2].removesuffix("}")
        if not path.endswith("}"):
            raise ValueError("it stands in a route, whose path ends in a parameter; write match: /jobs/{job}")

    async def on_request(self, ex: Exchange) -> Reply:
        self._admit(ex)
        name = ex.params[self._name]
        try:
            if ex.method == "POST":
                return await self._take(ex, name)
            if ex.method in ("GET", "HEAD"):
                return self._told(await self.host.jobs.ask(name))
        except JobsAway as error:
            raise Unavailable("The job cannot be stored now.", reason=str(error), headers=[RETRY_AFTER]) from None
        raise errors.MethodNotAllowed(("GET", "POST"))

    def explain(self, ex: Exchange) -> Answers:
        self._admit(ex)
        return Answers(f"would store a job of one of {', '.join(sorted(self._types))}" if ex.method == "POST" else "would tell of a job")

    def _admit(self, ex: Exchange) -> None:
        """Raises Unauthorized."""
        if ex.consumer is None and not self._is_open:
            raise Unauthorized("Credentials are needed here.", reason="jobs_api, and nobody has been authenticated")

    async def _take(self, ex: Exchange, kind: str) -> Reply:
        if kind not in self._types:
            raise NotFound(f"There are no such jobs here; there are {', '.join(sorted(self._types))}.")
        delay, priority = _asked(ex)
        payload = await ex.json(self._max_body)
        key = _key(ex)
        try:
            self.host.jobs.check(kind, payload)
            stored = await self.host.jobs.enqueue(
                kind,
                payload,
                dedupe=key,
                dedupe_ttl=self._cooldown,
                delay=delay,
                priority=priority,
                traceparent=f"00-{ex.trace_id}-{ex.span_id}-{ex.trace_flags}" if ex.span_id else "",
                request_id=ex.request_id,
            )
        except PayloadRefused as error:
            raise errors.Unprocessable(f"The job is refused: {error}.", reason=str(error)) from None
        if not stored.is_new:
            known = await self.host.jobs.ask(stored.id)
            if known is not None and known.payload is not None and known.payload != payload:
                raise errors.Unprocessable("Another job was asked for with this Idempotency-Key.", reason=f"it is the job {stored.id}")
        reply = Reply.json(202, {"id": stored.id, "type": kind, "known": not stored.is_new})
        reply.headers["Location"] = f"{ex.target.partition('?')[0].rpartition('/')[0]}/{stored.id}"
        reply.headers["Cache-Control"] = "no-store"
        return reply

    def _told(self, job: Job | None) -> Reply:
        """What became of it; of what it was asked to do nothing is told again."""
        if job is None or job.type not in self._types:
            raise NotFound("There is no such job, or none any more.")
        told: dict[str, Any] = {
            "id": job.id,
            "type": job.type,
            "state": job.state,
            "attempt": job.attempt,
            "created": job.created,
            "finished": job.finished,
            "run_at": job.run_at if job.state == "delayed" else None,
            "reason": job.reason or None,
            "result": job.result,
            "notes": dict(job.notes) or None,
        }
        reply = Reply.json(200, self.host.mask.fields({name: value for name, value in told.items() if value is not None}))
        reply.headers["Cache-Control"] = "no-store"
        return reply


def _key(ex: Exchange) -> str:
    """A dedupe key, of this consumer's alone: nobody finds another's job by guessing keys. Raises BadRequest."""
    given = ex.headers.getall(KEY, ())
    if not given:
        return ""
    if len(given) > 1 or not 0 < len(given[0]) <= LONGEST or not given[0].isascii() or not given[0].isprintable():
        raise BadRequest(f"{KEY} is one line of at most {LONGEST} printable characters.")
    whose = blake2b((ex.consumer or "").encode(errors="replace"), digest_size=16).hexdigest()  # a name may be long, or hold a colon
    return f"api:{whose}:{given[0]}"


def _asked(ex: Exchange) -> tuple[float, int]:
    """`?delay=10m&priority=3`. Raises BadRequest."""
    delay, priority = 0.0, 5
    for pair in filter(None, ex.query.split("&")):
        name, _, value = pair.partition("=")
        if name == "priority" and len(value) == 1 and value in "0123456789":
            priority = int(value)
        elif name == "delay":
            try:
                delay = _DELAY.validate_python(value)
            except ValidationError as error:
                raise BadRequest("delay is a time, as in 10m.", reason=str(error)) from None
        else:
            raise BadRequest("The query may have delay, as in 10m, and priority, 0 to 9.")
    return delay, priority
