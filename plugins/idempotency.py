"""A request that its client repeats is carried out once: the first answer is kept by its Idempotency-Key, and given again.

Of draft-ietf-httpapi-idempotency-key-header: a key that is missing where one is required is a 400, one that came with another request
a 422, one whose first request is still under way a 409.
"""

from __future__ import annotations

import asyncio
import re
import struct
from collections.abc import Coroutine
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Annotated, Any, Literal, NamedTuple

from multidict import istr
from pydantic import AfterValidator

from gateway.plugin import (
    Answers,
    BadRequest,
    Duration,
    End,
    Exchange,
    Field,
    GatewayError,
    Headers,
    Host,
    Identities,
    OneOrMany,
    Plugin,
    Reply,
    Settings,
    Size,
    StoreAway,
    Unavailable,
    key_of,
    missing_parameter,
    new_id,
)

KEY = istr("Idempotency-Key")
REPLAYED = istr("Idempotent-Replayed")
LONGEST = 255
"""Characters of a key. A UUID has 36."""
UNSAFE = ("POST", "PUT", "PATCH", "DELETE")
NOT_YET = frozenset({401, 403, 408, 425, 429})
"""Answers that say: not so, or not now. Who asks again under the same key means to be asked about anew."""
_OF_ONE_ANSWER = """
age connection date ratelimit ratelimit-policy retry-after server-timing set-cookie traceparent tracestate www-authenticate
"""
OF_ONE_ANSWER = frozenset(_OF_ONE_ANSWER.split())
"""Fields that are true of the first answer alone. A cookie is for who asked first, and may be worth more than the answer."""
LARGEST = 256 << 10
"""Bytes of an answer. What is longer on its way to Redis than the store waits for an answer would make it seem to be away."""
LOOK_AGAIN = 0.1
"""Seconds between two looks whether another gateway has finished what is waited for here."""

_STRING = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"')  # RFC 9651, section 3.3.3
_ESCAPED = re.compile(r"\\(.)")
_BARE = re.compile(r"[!#-+\--~]+")  # what most clients send, a UUID as it is: no quotes, no comma, no blanks


class KeyMissing(GatewayError):
    status, slug, title = 400, "idempotency-key-missing", "An Idempotency-Key is needed here"


class KeyReused(GatewayError):
    status, slug, title = 422, "idempotency-key-reused", "This Idempotency-Key came with another request"


class Conflict(GatewayError):
    status, slug, title = 409, "idempotency-conflict", "A request with this Idempotency-Key was sent before"


def _method(value: str) -> str:
    if value not in UNSAFE:
        raise ValueError(f"expected one of {', '.join(UNSAFE)}: the others change nothing, and can be repeated anyway")
    return value


class IdempotencySettings(Settings):
    required: bool = Field(False, description="Refuse requests without a key, with 400. Without it they pass, and nothing is kept.")
    methods: Annotated[OneOrMany[Annotated[str, AfterValidator(_method)]], Field(min_length=1)] = Field(
        UNSAFE, description="The methods whose requests may have a key. Of other methods it is not looked at."
    )
    by: Identities = Field(
        ("consumer",),
        min_length=1,
        description="Whose keys are told apart, as in rate_limit: consumer (who is not known by one: its client address), client, ... "
        "Nobody is given an answer that was another's. Keys of different routes are different anyway.",
    )
    ttl: Duration = Field(86400.0, gt=0, le=30 * 86400, description="For how long an answer is kept, and given again.")
    in_flight: Literal["wait", "refuse"] = Field(
        "wait", description="A repetition while the first is under way: wait for its answer, or refuse with 409 at once."
    )
    wait: Duration = Field(10.0, gt=0, le=120, description="The longest that a repetition waits; then it is refused with 409.")
    lease: Duration = Field(
        30.0,
        ge=1,
        le=600,
        description="When the gateway dies in the middle of a request, its key is free again after so long. While it lives the lease is "
        "renewed, however long the upstream takes.",
    )
    keep_5xx: bool = Field(
        False,
        description="Keep answers of 5xx too, the gateway's own 502 and 504 among them, once something was sent upstream. Else they free "
        "the key, so that the client can try again: whether the upstream has done its work by then, nobody knows.",
    )
    max_answer: Size = Field(
        64 << 10,
        le=LARGEST,
        description="The largest body that is kept. The repetition of a request with a larger answer is refused with 409: it has been "
        "carried out, and is not again. So is one whose answer is a stream of events.",
    )
    on_failure: Literal["closed", "open"] = Field(
        "closed", description="While the store is away: closed refuses requests with a key, with 503; open lets them through unprotected."
    )


FORM = struct.Struct(">c16sH?I")
"""Of a record: its kind, the fingerprint, the status, whether there is a body, and the length of the fields before it."""
UNDER_WAY, ANSWER = b"P", b"A"


class Kept(NamedTuple):
    """What the store has of a key: that its request is under way, or its answer."""

    fingerprint: bytes
    status: int = 0  # 0: no answer yet
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None  # None: too large to be kept, or endless

    @classmethod
    def read(cls, record: bytes) -> Kept:
        """Raises StoreAway for what no gateway of this version has written."""
        try:
            kind, fingerprint, status, has_body, length = FORM.unpack_from(record)
            head = record[FORM.size :][:length].decode("utf-8", "surrogateescape")
        except (struct.error, UnicodeDecodeError) as error:
            raise StoreAway("what is kept under a key cannot be read") from error
        if kind == UNDER_WAY:
            return cls(fingerprint)
        if kind != ANSWER or len(record) < FORM.size + length:
            raise StoreAway("what is kept under a key cannot be read")
        fields = tuple((name, value) for name, _, value in (line.partition(":") for line in head.split("\n") if line))
        return cls(fingerprint, status, fields, record[FORM.size + length :] if has_body else None)

    def write(self) -> bytes:
        fields = "\n".join(f"{name}:{value}" for name, value in self.headers).encode("utf-8", "surrogateescape")
        head: bytes = FORM.pack(ANSWER, self.fingerprint, self.status, self.body is not None, len(fields))
        return head + fields + (self.body or b"")

    @classmethod
    def under_way(cls, fingerprint: bytes) -> bytes:
        """A record that no other has: who wrote it can tell that it is still there."""
        head: bytes = FORM.pack(UNDER_WAY, fingerprint, 0, False, 0)
        return head + new_id().encode()


@dataclass(slots=True, eq=False)
class Leader:
    """A request that is carried out, with all that wait for its answer here."""

    name: str
    fingerprint: bytes
    record: bytes
    since: float  # seconds of the host's clock: when its lease was taken, or renewed
    waiting: list[asyncio.Future[None]] = field(default_factory=list)

    def tell(self) -> None:
        """It is over: whoever waits looks again."""
        for future in self.waiting:
            _wake(future)


class Idempotency(Plugin[IdempotencySettings]):
    """In `mode: observe` everything is kept and nobody is refused or answered: what would have been is noted."""

    needs_body = True
    handles_mode = True
    survives_client = True

    def __init__(self, settings: IdempotencySettings, host: Host) -> None:
        super().__init__(settings, host)
        if host.route and (missing := missing_parameter(settings.by, host.paths.get(host.route, ""))) is not None:
            raise ValueError(f"by: {{param: {missing}}} finds nothing; the path of this route has no {{{missing}}}")
        self._settings = settings
        self._store = host.store
        self._methods = frozenset(settings.methods)
        self._who = key_of(settings.by)
        self._observes = host.mode == "observe"
        self._patience = settings.wait if settings.in_flight == "wait" and not self._observes else 0.0
        self._leaders: dict[Exchange, Leader] = {}
        self._led: dict[str, Leader] = {}  # the same, by name
        self._renewal: asyncio.TimerHandle | None = None
        requests = host.metrics.counter("idempotency.requests", "Requests with an Idempotency-Key, by what became of them.", ("outcome",))
        self._first, self._replayed = requests.bind(outcome="first"), requests.bind(outcome="replayed")
        self._conflicts, self._reused = requests.bind(outcome="conflict"), requests.bind(outcome="reused")
        self._unprotected = requests.bind(outcome="unprotected")
        self._lost = host.metrics.counter(
            "idempotency.lost", "Answers that could not be kept: the store was away, or the lease over."
        ).bind()

    async def stop(self) -> None:
        if self._renewal is not None:
            self._renewal.cancel()

    def on_request(self, ex: Exchange) -> Coroutine[Any, Any, Reply | None] | None:
        if ex.method not in self._methods:
            return None
        try:
            key = self._key(ex)
        except GatewayError as error:
            self._refuse(ex, error)
            return None
        return None if key is None else self._begin(ex, key)

    def _key(self, ex: Exchange) -> str | None:
        """The key as its client means it, quoted (as the draft has it) or not. Raises KeyMissing and BadRequest."""
        values = ex.headers.getall(KEY, ())
        if not values:
            if self._settings.required:
                raise KeyMissing("Send an Idempotency-Key: a new one, such as a UUID, for each thing to be done, the same when you repeat.")
            return None
        value = values[0].strip(" \t")
        quoted = _STRING.fullmatch(value)
        key = _ESCAPED.sub(r"\1", quoted[1]) if quoted else value if _BARE.fullmatch(value) else ""
        if len(values) > 1 or not key or len(key) > LONGEST:
            raise BadRequest(f"The Idempotency-Key is one text of 1 to {LONGEST} ASCII characters, in quotes or without blanks and commas.")
        return key

    def _marks(self, ex: Exchange, key: str, body: bytes) -> tuple[str, bytes]:
        """The name of what is kept: of a route, somebody and a key. And what tells the request apart from others with that name."""
        who = f"{ex.route}\0{self._who(ex)}\0{key}".encode("utf-8", "surrogatepass")
        fingerprint = blake2b(f"{ex.method} {ex.target}\0".encode() + body, digest_size=16)
        return blake2b(who, digest_size=16).hexdigest(), fingerprint.digest()

    async def _begin(self, ex: Exchange, key: str) -> Reply | None:
        name, fingerprint = self._marks(ex, key, await ex.body())
        ex.idempotency_key = name
        try:
            kept = await self._find(ex, name, fingerprint)
        except StoreAway as error:
            away = str(error)
        else:
            if kept is not None:
                return self._answer(ex, kept, fingerprint)
            self._first.add()
            return None
        self._go_on_without(ex, away)
        return None

    def _answer(self, ex: Exchange, kept: Kept, fingerprint: bytes) -> Reply | None:
        try:
            reply = _again(kept, fingerprint)
        except KeyReused as error:
            self._reused.add()
            self._refuse(ex, error)
            return None
        except Conflict as error:
            self._conflicts.add()
            self._refuse(ex, error)
            return None
        self._replayed.add()
        if self._observes:
            ex.note("observe", plugin="idempotency", status=reply.status)
            return None
        ex.note("idempotency", outcome="replayed")
        return reply

    async def _find(self, ex: Exchange, name: str, fingerprint: bytes) -> Kept | None:
        """What is kept under the name, once its request is over or `wait` has passed; None when this one is the first. Raises StoreAway."""
        leader = Leader(name, fingerprint, Kept.under_way(fingerprint), self.host.clock())
        until = asyncio.get_running_loop().time() + self._patience
        try:
            while not await self._store.set(_stored(name), leader.record, self._settings.lease, only_new=True):
                found = await self._store.get(_stored(name))
                if found is None:  # it has been freed meanwhile
                    continue
                kept = Kept.read(found)
                left = until - asyncio.get_running_loop().time()
                if kept.status or kept.fingerprint != fingerprint or left <= 0:
                    return kept
                await self._change(name, left)
        except asyncio.CancelledError:
            self.host.spawn(self._free(leader), "idempotency")  # the store may have taken it
            raise
        self._lead(ex, leader)
        return None

    async def _change(self, name: str, seconds: float) -> None:
        """Until what is under way is over, if it is here; until it is time to look again, if it is elsewhere."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        leader = self._led.get(name)
        if leader is not None:
            leader.waiting.append(future)
        timer = loop.call_later(seconds if leader is not None else min(seconds, LOOK_AGAIN), _wake, future)
        try:
            await future
        finally:
            timer.cancel()

    def on_response(self, ex: Exchange, reply: Reply) -> Coroutine[Any, Any, None] | None:
        leader = self._leaders.get(ex)
        return None if leader is None else self._end(ex, leader, reply)

    async def _end(self, ex: Exchange, leader: Leader, reply: Reply) -> None:
        """Keep the answer, or free the key, before the client reads it: who repeats at once finds what is so."""
        if not self._is_kept(ex, reply):
            await self._free(leader)
            self._forget(ex, leader)
            return
        is_endless = reply.headers.get("Content-Type", "").startswith("text/event-stream")
        body = None if is_endless else await reply.read(self._settings.max_answer)
        fields = tuple((name, value) for name, value in reply.headers.items() if name.lower() not in OF_ONE_ANSWER)
        record = Kept(leader.fingerprint, reply.status, fields if body is not None else (), body).write()
        try:
            if not await self._store.swap(_stored(leader.name), leader.record, record, self._settings.ttl):
                self._missed(ex, "the lease was over")
        except StoreAway as away:
            self._missed(ex, str(away))
        self._forget(ex, leader)
        leader.tell()

    def _is_kept(self, ex: Exchange, reply: Reply) -> bool:
        """What the upstream was not asked for has not been done: the gateway's own refusals are not kept."""
        return bool(ex.attempts) and reply.status not in NOT_YET and (reply.status < 500 or self._settings.keep_5xx)

    def on_end(self, ex: Exchange, end: End) -> None:
        leader = self._leaders.get(ex)
        if leader is not None:  # nobody saw an answer
            self._forget(ex, leader)
            self.host.spawn(self._free(leader), "idempotency")

    def explain(self, ex: Exchange) -> str | Coroutine[Any, Any, str]:
        if ex.method not in self._methods:
            return f"{ex.method} needs no key"
        key = self._key(ex)
        return "no Idempotency-Key: passes, and nothing is kept" if key is None else self._told(ex, key)

    async def _told(self, ex: Exchange, key: str) -> str:
        name, fingerprint = self._marks(ex, key, await ex.body())
        ex.idempotency_key = name
        try:
            found = await self._store.get(_stored(name))
            kept = None if found is None else Kept.read(found)
        except StoreAway as away:
            return f"cannot look up its key: {away}"
        if kept is None:
            return f"the first with its key: its answer would be kept for {self._settings.ttl:g} s"
        if kept.fingerprint == fingerprint and not kept.status and self._settings.in_flight == "wait":
            return "the first with its key is under way: would wait for its answer"
        return Answers(f"repeats: answered with {_again(kept, fingerprint).status}, as the first was")

    # who leads

    def _lead(self, ex: Exchange, leader: Leader) -> None:
        self._leaders[ex] = self._led[leader.name] = leader
        if self._renewal is None:
            self._renewal = asyncio.get_running_loop().call_later(self._settings.lease / 3, self._renew)

    def _forget(self, ex: Exchange, leader: Leader) -> None:
        del self._leaders[ex]
        if self._led.get(leader.name) is leader:  # after a lease that was over another may lead
            del self._led[leader.name]

    def _renew(self) -> None:
        """One timer for all, while there are any: most requests are over before it comes."""
        self._renewal = None
        if self._leaders:
            old = [leader for leader in self._leaders.values() if self.host.clock() - leader.since >= self._settings.lease / 4]
            if old:
                self.host.spawn(self._prolong(old), "idempotency")
            self._renewal = asyncio.get_running_loop().call_later(self._settings.lease / 3, self._renew)

    async def _prolong(self, leaders: list[Leader]) -> None:
        for leader in leaders:
            leader.since = self.host.clock()
            try:
                await self._store.swap(_stored(leader.name), leader.record, leader.record, self._settings.lease)
            except StoreAway:
                return  # all that is left of the lease holds, and the next time is soon

    async def _free(self, leader: Leader) -> None:
        try:
            await self._store.swap(_stored(leader.name), leader.record, None)
        except StoreAway as away:
            self.host.log.warning("idempotency: a key stays taken for %g s: %s", self._settings.lease, away)
        leader.tell()

    def _missed(self, ex: Exchange, why: str) -> None:
        self._lost.add()
        ex.note("idempotency", outcome="lost", why=why)
        self.host.log.warning("idempotency: an answer is not kept, %s: route=%s request_id=%s", why, ex.route, ex.request_id)

    def _go_on_without(self, ex: Exchange, why: str) -> None:
        if self._settings.on_failure == "open":
            self._unprotected.add()
            ex.note("idempotency", outcome="unprotected", why=why)
            return
        detail = "Whether this was done before cannot be looked up now."
        self._refuse(ex, Unavailable(detail, reason=why, headers=[("Retry-After", "5")]))

    def _refuse(self, ex: Exchange, error: GatewayError) -> None:
        error.__traceback__ = None  # it holds the frame that holds the exchange: a circle
        if not self._observes:
            raise error
        ex.note("observe", plugin="idempotency", status=error.status)


def _again(kept: Kept, fingerprint: bytes) -> Reply:
    """The first answer. Raises KeyReused and Conflict."""
    if kept.fingerprint != fingerprint:
        raise KeyReused("Use a new key for another request: this one came with another method, target or body.")
    if not kept.status:
        raise Conflict("The first request with this key is still under way.", headers=[("Retry-After", "1")])
    if kept.body is None:
        raise Conflict(f"It was carried out, and answered with {kept.status}; the answer is not one that can be kept.")
    reply = Reply(kept.status, Headers(kept.headers), kept.body)
    reply.has_raw_bytes = not all(value.isascii() for _, value in kept.headers)
    reply.headers[REPLAYED] = "true"
    return reply


def _stored(name: str) -> str:
    return f"idempotency:{name}"


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
