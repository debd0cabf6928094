"""At most so many requests in a window of time, told to clients as draft-ietf-httpapi-ratelimit-headers-10 has it.

The settings are those of one limit, or a list of such: then all must allow a request, and one that any refuses counts in none.
"""

from __future__ import annotations

import re
from asyncio import CancelledError, Future, shield
from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache, partial
from ipaddress import ip_address
from itertools import product
from math import ceil
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from multidict import istr
from pydantic import (
    AfterValidator,
    GetJsonSchemaHandler,
    ModelWrapValidatorHandler,
    PrivateAttr,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError

from gateway.plugin import (
    IPV6_PREFIX,
    Algorithm,
    Answers,
    Cost,
    Decision,
    Decisions,
    Duration,
    End,
    Exchange,
    Field,
    Host,
    Identities,
    LimitSpec,
    Many,
    Network,
    OneOrMany,
    OnFailure,
    Percent,
    Period,
    Plugin,
    QuotaExceeded,
    Rate,
    ReducedCapacity,
    Reply,
    Settings,
    StoreAway,
    Unavailable,
    key_of,
    missing_parameter,
    reads_body,
)

POLICY, STATE = istr("RateLimit-Policy"), istr("RateLimit")

MOST = 10**15 - 1
ADDRESSES = 4096
"""Clients of which it is remembered whether they are exempt."""
PERIODS: dict[Period, int] = {"minute": 60, "hour": 3600, "day": 86400, "week": 7 * 86400, "month": 0}
"""Seconds. No month tells clients its length: they are not all of one."""
MONTH = 30.4 * 86400
NEEDS: dict[Algorithm, tuple[str, ...]] = {
    "sliding": ("limit", "window"),
    "log": ("limit", "window"),
    "token_bucket": ("rate", "burst"),
    "fixed": ("limit", "period"),
}
OWNERS: dict[str, Algorithm] = {
    "limit": "sliding",
    "window": "sliding",
    "rate": "token_bucket",
    "burst": "token_bucket",
    "period": "fixed",
    "time_zone": "fixed",
}
"""Keys that not all algorithms have, and the one to write for each."""


class Exempt(Settings):
    """Who is not limited. Their requests count nowhere."""

    shorthand: ClassVar[str] = "clients"

    clients: OneOrMany[Network] = Field((), description="Networks (CIDR) of clients.")
    consumers: OneOrMany[str] = Field((), description="Consumers, as an `authenticate` above names them.")

    @property
    def anybody(self) -> bool:
        return bool(self.clients or self.consumers)


_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_METHOD = re.compile(r"[A-Z-]+")


def _name(value: str) -> str:
    if _NAME.fullmatch(value) is None:
        raise ValueError("a limit's name is 1 to 64 letters, digits, dots, dashes and underscores")
    return value


def _method(value: str) -> str:
    if _METHOD.fullmatch(value) is None:
        raise ValueError(f'"{value}" is no method; write its name in capitals, as in POST')
    return value


Name = Annotated[str, AfterValidator(_name), WithJsonSchema({"type": "string", "pattern": f"^{_NAME.pattern}$"})]
Method = Annotated[str, AfterValidator(_method), WithJsonSchema({"type": "string", "pattern": f"^{_METHOD.pattern}$"})]
Amount = Annotated[int, Field(ge=1, le=MOST)]
Status = Annotated[int, Field(ge=100, le=599)]


def _instead(algorithm: Any, value: dict[str, Any], key: str) -> str:
    """What to write for a key that limits of this algorithm do not have."""
    other = OWNERS[key]
    more = "".join(f" and {name}: ..." for name in NEEDS[other] if name not in value)
    return f"{' and '.join(NEEDS[algorithm])}, or algorithm: {other}{more}"


class Limit(Settings):
    """One limit."""

    example: ClassVar[str] = "limit: 100, window: 1m"

    limit: Amount | None = Field(None, description="The most requests in a window, or in a period.")
    window: Duration | None = Field(None, ge=0.001, le=10**9, description="The window's length, as in 15m.")
    by: Identities = Field(
        ("client",),
        min_length=1,
        description="Whose requests are counted together: client (its address), consumer, route, body.FIELD, {header: NAME}, "
        "{claim: NAME}, {param: NAME}, {query: NAME}, or a list for combinations. A request that has no such thing counts by its client.",
    )
    algorithm: Algorithm = Field(
        "sliding",
        description="sliding weighs the last window by how much of it is still in view, and costs little memory; "
        "log keeps the time of each request and is exact in any window: for small limits on logins and the like; "
        "token_bucket takes a rate and a burst; fixed counts in each period of the calendar, for quotas.",
    )
    rate: Rate | None = Field(None, gt=0, description="Of a token_bucket: how many come back in a time, as in 10/s.")
    burst: Amount | None = Field(None, description="Of a token_bucket: the most requests at once.")
    period: Period | None = Field(None, description="Of fixed: the part of the calendar in which `limit` requests may come.")
    time_zone: str = Field("UTC", description="Of fixed: where the periods begin, a name of the IANA database, as in Europe/Berlin.")
    count: Many[Status] = Field(
        (),
        description="Only requests with these statuses as their answers count. Each is counted when it comes, and given back when its "
        "answer does not count or none came: of guesses sent all at once no more pass than one after another.",
    )
    cost: Amount | dict[Method, Amount] = Field(
        1, description="What a request counts for: a number, or one for each method, as in {POST: 5}; others count 1."
    )
    exact: bool = Field(
        False, description="Ask the store of every request. So it is without max_over, too: this one says that it is meant."
    )
    max_over: Percent | None = Field(
        None,
        description="How far all gateways on one store may go beyond the limit, so that most requests need not wait for it, as in 5%. "
        "Without it, by nothing. A limit of which this share is less than one for each gateway is exact, too.",
    )
    on_failure: OnFailure | None = Field(
        None,
        description="What becomes of requests while the store is away: local counts on here, with a fair share of what was left; open "
        "admits them; closed answers 503. As `store.on_failure` says unless given.",
    )
    exempt: Exempt = Field(default_factory=Exempt, description="Who is not limited: a list of networks, or clients and consumers.")
    ipv6_prefix: int = Field(
        IPV6_PREFIX, ge=32, le=64, description="IPv6 clients are counted by networks of this length: an address each is nothing to them."
    )
    name: Name | None = Field(
        None,
        description="The policy's name in the headers; the route's name, or default, unless given. Limits of one name that agree in "
        "amount, algorithm and by share their counts.",
    )
    headers: bool = Field(True, description="Tell clients by RateLimit and RateLimit-Policy what is left to them.")
    legacy_headers: Literal["epoch", "delta"] | None = Field(
        None,
        description="Tell them by X-RateLimit-Limit, -Remaining and -Reset too. Reset is Unix time (epoch) or seconds from now (delta).",
    )

    @model_validator(mode="before")
    @classmethod
    def _fits_its_algorithm(cls, value: Any) -> Any:
        algorithm = value.get("algorithm", "sliding") if isinstance(value, dict) else None
        needed = NEEDS.get(algorithm) if isinstance(algorithm, str) else None  # type: ignore[call-overload]
        if needed is None or not value.keys() <= cls.model_fields.keys():
            return value  # an unknown key is told first: most likely it is the one that is missing
        strangers = [key for key in OWNERS if key in value and key not in (*needed, "time_zone" if algorithm == "fixed" else "")]
        if strangers and not any(key in value for key in needed):  # another algorithm's settings, whole
            strangers, needed = strangers[:1], ()
        wrong = [
            InitErrorDetails(
                type=PydanticCustomError("stranger", f"a {algorithm} limit has no {key}; write {_instead(algorithm, value, key)}"),
                loc=(key,),
                input=value[key],
            )
            for key in strangers
        ]
        wrong += [InitErrorDetails(type="missing", loc=(key,), input=value) for key in needed if value.get(key) is None]
        if wrong:
            raise ValidationError.from_exception_data("rate_limit", wrong)
        return value

    @model_validator(mode="after")
    def _is_possible(self) -> Limit:
        if self.max_over is not None and (self.exact or self.algorithm == "log"):
            raise ValueError(f"{'exact' if self.exact else 'a log'} goes over by nothing; remove max_over")
        if max(self.costs.values(), default=self.cost_of_others) > self.amount:
            raise ValueError(f"a request would cost more than all {self.amount}; lower cost")
        return self

    @property
    def amount(self) -> int:
        """The most requests at once."""
        return self.limit or self.burst or 0

    @property
    def seconds(self) -> float:
        """In which so many may come again."""
        if self.rate is not None:
            return self.amount / self.rate
        return self.window if self.window is not None else PERIODS[self.period or "month"] or MONTH

    @property
    def costs(self) -> dict[str, int]:
        return self.cost if isinstance(self.cost, dict) else {}

    @property
    def cost_of_others(self) -> int:
        return self.cost if isinstance(self.cost, int) else 1

    def spec(self, name: str) -> LimitSpec:
        seconds = 0.0 if self.period is not None else self.seconds
        return LimitSpec(name, self.amount, seconds, self.algorithm, self.period, self.time_zone, self.max_over or 0.0, self.on_failure)


_SEVERAL: TypeAdapter[list[Limit]] = TypeAdapter(Annotated[list[Limit], Field(min_length=1)])


class RateLimitSettings(Limit):
    """One limit, or a list of limits that must all allow a request."""

    _several: tuple[Limit, ...] = PrivateAttr(())

    @property
    def limits(self) -> tuple[Limit, ...]:
        return self._several or (self,)

    @property
    def needs_body(self) -> bool:
        return any(reads_body(limit.by) for limit in self.limits)

    @model_validator(mode="wrap")
    @classmethod
    def _take_list(cls, value: Any, handler: ModelWrapValidatorHandler[RateLimitSettings], info: ValidationInfo) -> RateLimitSettings:
        if not isinstance(value, list):
            return handler(value)
        several = _SEVERAL.validate_python(value, context=info.context)
        names = [limit.name for limit in several if limit.name is not None]
        if len(set(names)) < len(names):
            raise ValueError("two limits of one list have the same name; clients could not tell them apart")
        settings = cls.model_construct(**dict(several[0]))
        settings._several = tuple(several)
        return settings

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        one = {**handler(core_schema), "anyOf": [{"required": list(needed)} for needed in dict.fromkeys(NEEDS.values())]}
        return {**one, "type": ["object", "array"], "items": one, "minItems": 1}


def _seconds(value: float) -> str:
    """As people read it: 6467 and 0.25, not 6.47e+03."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


class RateLimit(Plugin[RateLimitSettings]):
    handles_mode = True

    def __init__(self, settings: RateLimitSettings, host: Host) -> None:
        super().__init__(settings, host)
        limits = settings.limits
        limiters = tuple(_Limiter(limit, host, n if len(limits) > 1 else 0) for n, limit in enumerate(limits, 1))
        self._observes = host.mode == "observe"
        self._legacy = next((limit.legacy_headers for limit in limits if limit.legacy_headers), None)
        self._whole = _Part(limiters, host)
        for limiter in limiters:
            limiter.bind_refunds(host)
        exempts = tuple(dict.fromkeys(limit.exempt for limit in limits if limit.exempt.anybody))
        self._exemptions = tuple(_exemption(exempt) for exempt in exempts)
        self._parts = _parts(limiters, exempts, host) if exempts else {}
        self._reads_body = settings.needs_body
        # One limit by what is at hand: nothing to look at first.
        self._is_plain = len(limits) == 1 and limits[0].cost == 1 and not self._exemptions and not self._reads_body
        self._key = limiters[0].key
        self._counts_answers = bool(self._whole.counted)
        self._tells = bool(self._whole.told) and not self._observes
        # What the way up needs to know from the way down. Not asked for again there: by then a header may have been rewritten and others
        # have hit the limit. `on_end` always comes, so nothing stays; the exchange lives until then, so its id is its own.
        self._admitted: dict[int, tuple[_Part, Decisions]] = {}
        self._reserved: dict[int, _Reserved] = {}

    def on_request(self, ex: Exchange) -> Awaitable[None] | None:
        keys: tuple[str, ...]
        cost: Cost
        part: _Part | None
        if self._is_plain:
            part, keys, cost = self._whole, (self._key(ex),), 1
        elif (part := self._part(ex)) is None:
            return None
        elif self._reads_body and ex.body_at_hand is None and ex.stream is not None:
            return self._when_read(ex)
        else:
            keys, cost = part.keys(ex), part.cost(ex.method)
        try:
            decisions = part.limits.hit(keys, cost)
        except Unavailable as error:
            self._undecided(ex, part, error)
            return None
        if not isinstance(decisions, tuple):
            return self._when_decided(ex, part, keys, cost, decisions)
        self._decided(ex, part, keys, cost, decisions)
        return None

    def _part(self, ex: Exchange) -> _Part | None:
        """The limits that this request is under; None: under none."""
        if not self._exemptions:
            return self._whole
        return self._parts[tuple([is_exempt(ex) for is_exempt in self._exemptions])]

    async def _when_read(self, ex: Exchange) -> None:
        await ex.body()
        soon = self.on_request(ex)
        if soon is not None:
            await soon

    async def _when_decided(self, ex: Exchange, part: _Part, keys: tuple[str, ...], cost: Cost, soon: Future[Decisions]) -> None:
        asked = self.host.clock()
        try:
            decisions = await (shield(soon) if self._counts_answers else soon)
        except CancelledError:
            if self._counts_answers:
                soon.add_done_callback(partial(self._decided_for_nobody, _Reserved(part, keys, cost, asked)))
            raise
        except Unavailable as error:
            self._undecided(ex, part, error)
            return
        self._decided(ex, part, keys, cost, decisions)

    def _decided_for_nobody(self, reserved: _Reserved, soon: Future[Decisions]) -> None:
        """The client has left meanwhile: no answer will count."""
        if not soon.cancelled() and soon.exception() is None and all(decision.allowed for decision in soon.result()):
            self._give_back(reserved, None)

    def _decided(self, ex: Exchange, part: _Part, keys: tuple[str, ...], cost: Cost, decisions: Decisions) -> None:
        for decision in decisions:
            if not decision.allowed:
                return self._refuse(ex, part, decisions)
        for count in part.count_allowed:
            count()
        if part.counted:
            self._reserved[id(ex)] = _Reserved(part, keys, cost, self.host.clock())
        if self._tells:
            self._admitted[id(ex)] = (part, decisions)
        return None

    def on_response(self, ex: Exchange, reply: Reply) -> None:
        admitted = self._admitted.pop(id(ex), None)
        back: dict[int, int] | None = None
        if self._counts_answers and (reserved := self._reserved.pop(id(ex), None)) is not None:
            back = self._give_back(reserved, reply.status)
        if admitted is not None:
            part, decisions = admitted
            if back:
                decisions = tuple(
                    limiter.with_back(decision, back[n]) if n in back else decision
                    for n, (limiter, decision) in enumerate(zip(part.limiters, decisions, strict=True))
                )
            if part.told:
                # Added, never set: what the upstream says of limits of its own is not ours to hide (draft, section 5).
                headers = reply.headers
                headers.add(POLICY, part.policy)
                headers.add(STATE, part.state(decisions))
                if self._legacy is not None and "X-RateLimit-Limit" not in headers:
                    headers.extend(self._legacy_headers(part, decisions))

    def on_end(self, ex: Exchange, end: End) -> None:
        self._admitted.pop(id(ex), None)
        if self._counts_answers and (reserved := self._reserved.pop(id(ex), None)) is not None:
            self._give_back(reserved, None)

    def _give_back(self, reserved: _Reserved, status: int | None) -> dict[int, int]:
        """To each limit that does not count this answer; None: there was none. The places of those limits, and what they were given."""
        given = {}
        for n, limiter in reserved.part.counted:
            if status not in limiter.statuses:
                cost = reserved.cost if isinstance(reserved.cost, int) else reserved.cost[n]
                limiter.refund((reserved.keys[n],), cost, self.host.clock() - reserved.at)
                given[n] = cost
        return given

    def explain(self, ex: Exchange) -> str | Awaitable[str]:
        part = self._part(ex)
        if part is None:
            return "exempt"
        keys = part.keys(ex)
        found = part.limits.peek(keys)
        if isinstance(found, tuple):
            return self._explained(part, keys, found)
        found.add_done_callback(_seen)
        return self._explained_later(part, keys, found)

    async def _explained_later(self, part: _Part, keys: tuple[str, ...], soon: Future[Decisions]) -> str:
        try:
            return self._explained(part, keys, await soon)
        except StoreAway as error:
            told = "; ".join(f"{limiter.policy} for {key}" for limiter, key in zip(part.limiters, keys, strict=True))
            return f"{told}: the store is away, {error}"

    def _explained(self, part: _Part, keys: tuple[str, ...], found: Decisions) -> str:
        told = zip(part.limiters, keys, found, strict=True)
        says = "; ".join(f"{limiter.policy} for {key}: {limiter.verdict(decision)}" for limiter, key, decision in told)
        says += "".join(f"; {limiter.policy}: exempt" for limiter in self._whole.limiters if limiter not in part.limiters)
        return says if all(decision.allowed for decision in found) else Answers(says)

    def _legacy_headers(self, part: _Part, decisions: Decisions) -> list[tuple[str, str]]:
        """They know one limit: the one of which the least is left."""
        n = min((n for n, _ in part.told), key=lambda n: decisions[n].remaining)
        reset = decisions[n].reset + (self.host.time() if self._legacy == "epoch" else 0.0)
        return [
            ("X-RateLimit-Limit", str(part.limiters[n].spec.limit)),
            ("X-RateLimit-Remaining", str(decisions[n].remaining)),
            ("X-RateLimit-Reset", str(ceil(reset))),
        ]

    def _refuse(self, ex: Exchange, part: _Part, decisions: Decisions) -> None:
        violated = [limiter for limiter, decision in zip(part.limiters, decisions, strict=True) if not decision.allowed]
        names = [limiter.name for limiter in violated]
        for limiter in violated:
            limiter.refused.add()
        if self._observes:
            ex.note("observe", plugin="rate_limit", status=429, policies=names)
            return
        ex.note("rate_limit", policies=names, outcome="rejected")
        seconds = max(1, ceil(max(decision.retry_after for decision in decisions)))
        headers = [("Retry-After", str(seconds))]
        if part.told:
            headers += [(POLICY, part.policy), (STATE, part.state(decisions))]
            if self._legacy is not None:
                headers += self._legacy_headers(part, decisions)
        raise QuotaExceeded(
            f"Try again in {seconds} {'second' if seconds == 1 else 'seconds'}.",
            headers=headers,
            fields={"violated-policies": names, "retry_after": seconds},
        )

    def _undecided(self, ex: Exchange, part: _Part, error: Unavailable) -> None:
        """The store is away, and a limit's `on_failure` is closed."""
        error.__traceback__ = None  # it holds the frame that holds the exchange: a circle
        for limiter in part.limiters:
            limiter.undecided.add()
        if self._observes:
            names = [limiter.name for limiter in part.limiters]
            ex.note("observe", plugin="rate_limit", status=ReducedCapacity.status, policies=names)
            return
        raise ReducedCapacity("Limits cannot be looked up now.", reason=error.reason, headers=error.headers)


class _Reserved(NamedTuple):
    """What was counted of a request whose answer says whether it counts."""

    part: _Part
    keys: tuple[str, ...]
    cost: Cost
    at: float  # seconds of host.clock


class _Part:
    """Those limits that a request is under, decided together: all of them, but for requests that are exempt from some."""

    __slots__ = ("_cost", "_costs", "count_allowed", "counted", "limiters", "limits", "policy", "told")

    def __init__(self, limiters: tuple[_Limiter, ...], host: Host) -> None:
        self.limiters = limiters
        self.limits = host.store.limits([limiter.spec for limiter in limiters])
        self.told = tuple((n, limiter.item) for n, limiter in enumerate(limiters) if limiter.tells)
        self.policy = ", ".join(limiter.policy for limiter in limiters if limiter.tells)
        # Those that not every answer counts in.
        self.counted = tuple((n, limiter) for n, limiter in enumerate(limiters) if limiter.statuses)
        self.count_allowed = tuple(limiter.allowed.add for limiter in limiters)
        self._cost = _same(tuple(limiter.cost for limiter in limiters))
        methods = {method for limiter in limiters for method in limiter.costs}
        self._costs = {method: _same(tuple(limiter.costs.get(method, limiter.cost) for limiter in limiters)) for method in methods}

    def keys(self, ex: Exchange) -> tuple[str, ...]:
        return tuple([limiter.key(ex) for limiter in self.limiters])

    def cost(self, method: str) -> Cost:
        return self._costs.get(method, self._cost) if self._costs else self._cost

    def state(self, decisions: Decisions) -> str:
        """As the header RateLimit has it."""
        if len(decisions) == 1:
            _, remaining, reset, _ = decisions[0]
            return f"{self.told[0][1]};r={remaining};t={ceil(reset)}"
        return ", ".join([f"{item};r={decisions[n].remaining};t={ceil(decisions[n].reset)}" for n, item in self.told])


def _same(costs: tuple[int, ...]) -> Cost:
    """One number where all are the same."""
    return costs[0] if len(set(costs)) == 1 else costs


def _parts(limiters: tuple[_Limiter, ...], exempts: Sequence[Exempt], host: Host) -> dict[tuple[bool, ...], _Part | None]:
    """By which of `exempts` a request belongs to: those limits that have another. Made before there is one."""
    found: dict[tuple[bool, ...], _Part | None] = {}
    for belongs in product((False, True), repeat=len(exempts)):
        of_these = {exempt for exempt, is_one in zip(exempts, belongs, strict=True) if is_one}
        left = tuple(limiter for limiter in limiters if limiter.exempt not in of_these)
        found[belongs] = _Part(left, host) if left else None
    return found


class _Limiter:
    """One limit at work: how to find a request's key, and what clients are told of it."""

    __slots__ = (
        "allowed", "cost", "costs", "exempt", "item", "key", "name", "policy",
        "refund", "refused", "spec", "statuses", "tells", "undecided",
    )  # fmt: skip
    refund: Callable[[Sequence[str], int, float], None]

    def __init__(self, limit: Limit, host: Host, ordinal: int) -> None:
        """Raises ValueError for a parameter that the route does not have."""
        suffix = f"-{ordinal}" if ordinal else ""
        self.name = limit.name or (host.route or "default") + suffix
        self.item = _string(self.name)
        seconds = limit.seconds if limit.period is None else PERIODS[limit.period]
        self.policy = f"{self.item};q={limit.amount}" + (f";w={ceil(seconds)}" if seconds else "")
        self.tells = limit.headers
        self.statuses = frozenset(limit.count)  # those of answers that count; empty: all
        self.exempt = limit.exempt
        self.cost, self.costs = limit.cost_of_others, limit.costs
        if host.route and (missing := missing_parameter(limit.by, host.paths.get(host.route, ""))) is not None:
            raise ValueError(f"by: {{param: {missing}}} finds nothing; the path of this route has no {{{missing}}}")
        self.key = key_of(limit.by, limit.ipv6_prefix)
        # A name, so that a reloaded policy goes on with the counts of the one before it.
        owner = f"name {limit.name}" if limit.name else f"route {host.route}{suffix}"
        self.spec = limit.spec(f"{owner} by {limit.by}")
        description = "Requests that a limit allowed, refused, or could not decide on because the store was away."
        decisions = host.metrics.counter("rate_limit.decisions", description, ("policy", "outcome"))
        self.allowed = decisions.bind(policy=self.name, outcome="allowed")
        self.refused = decisions.bind(policy=self.name, outcome="refused")
        self.undecided = decisions.bind(policy=self.name, outcome="undecided")

    def bind_refunds(self, host: Host) -> None:
        """To be given back to by itself: those of one name share their counts."""
        if self.statuses:
            self.refund = host.store.limits([self.spec]).refund

    def with_back(self, decision: Decision, cost: int) -> Decision:
        """What is left when what a request cost has been given back."""
        remaining = min(self.spec.limit, decision.remaining + cost)
        return decision._replace(remaining=remaining, reset=0.0 if remaining == self.spec.limit else decision.reset)

    def verdict(self, decision: Decision) -> str:
        if not decision.allowed:
            return f"refuses, for {_seconds(decision.retry_after)} s more"
        limit = self.spec.limit
        used = limit - decision.remaining
        return f"{used} of {limit} used, {decision.remaining} left, more in {_seconds(decision.reset)} s" if used else f"{limit} left"


def _seen(soon: Future[Decisions]) -> None:
    """Its failure is no news, should nobody wait for it."""
    if not soon.cancelled():
        soon.exception()


def _exemption(exempt: Exempt) -> Callable[[Exchange], bool]:
    """Whether a request is of one who is not limited."""
    networks, consumers = exempt.clients, frozenset(exempt.consumers)

    @lru_cache(maxsize=ADDRESSES)
    def is_inside(client: str) -> bool:
        try:
            address = ip_address(client)
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None) or address
        return any(mapped in network for network in networks)

    return lambda ex: ex.consumer in consumers or is_inside(ex.client)


def _string(text: str) -> str:
    """A String of RFC 9651, section 4.1.6; what it cannot hold becomes `_`."""
    return '"' + re.sub(r'(["\\])', r"\\\1", re.sub(r"[^ -~]", "_", text)) + '"'
