"""At most so many requests in a window of time, told to clients as draft-ietf-httpapi-ratelimit-headers-10 has it.

The settings are those of one limit, or a list of such: then all must allow a request, and one that any refuses counts in none.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from functools import lru_cache, partial
from hashlib import blake2b
from ipaddress import IPv6Address
from math import ceil
from operator import attrgetter
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    GetJsonSchemaHandler,
    ModelWrapValidatorHandler,
    PlainValidator,
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
    Answers,
    Decision,
    Decisions,
    Duration,
    Exchange,
    Field,
    HeaderName,
    Host,
    LimitSpec,
    OneOrMany,
    Plugin,
    QuotaExceeded,
    Reply,
    Settings,
)

UNBUILT = "known, but not built yet in this version"
UNBUILT_KEYS = frozenset({"cost", "count", "exempt", "legacy_headers", "max_over", "on_failure"})
UNBUILT_ALGORITHMS = frozenset({"fixed", "token_bucket"})
UNBUILT_IDENTITIES = frozenset({"body", "claim", "consumer", "param", "query"})
ADDRESSES = 4096
"""IPv6 addresses whose network is remembered: parsing one takes ten times as long as a decision."""


class Header(Settings):
    """The value of a request header. Nobody has verified it: a client that changes it starts anew, so never let it be the only limit."""

    header: HeaderName = Field(description="The header's name. A request without it, or with two of it, is counted by its client.")


Identity = Literal["client", "route"] | Header


def _identity(value: Any) -> Identity:
    if value == "client" or value == "route":
        return value  # type: ignore[no-any-return]
    if isinstance(value, dict) and "header" in value:
        return Header.model_validate(value)
    word = next(iter(value), None) if isinstance(value, dict) else value
    if isinstance(word, str) and word.partition(".")[0] in UNBUILT_IDENTITIES:
        raise ValueError(f"{word} is {UNBUILT}")
    raise ValueError("expected client, route, {header: NAME} or a list of these")


def _algorithm(value: Any) -> Any:
    if isinstance(value, str) and value in UNBUILT_ALGORITHMS:
        raise ValueError(f"{value} is {UNBUILT}")
    return value


_IDENTITY_SCHEMA = {"anyOf": [{"enum": ["client", "route"]}, Header.model_json_schema()]}
Identities = OneOrMany[Annotated[Identity, PlainValidator(_identity), WithJsonSchema(_IDENTITY_SCHEMA)]]


_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")


def _name(value: str) -> str:
    if _NAME.fullmatch(value) is None:
        raise ValueError("a limit's name is 1 to 64 letters, digits, dots, dashes and underscores")
    return value


Name = Annotated[str, AfterValidator(_name), WithJsonSchema({"type": "string", "pattern": f"^{_NAME.pattern}$"})]


class Limit(Settings):
    """One limit."""

    limit: int = Field(ge=1, le=10**15 - 1, description="The most requests in a window.")
    window: Duration = Field(ge=0.001, le=10**9, description="The window's length, as in 15m.")
    by: Identities = Field(
        ("client",),
        min_length=1,
        description="Whose requests are counted together: client (its address), route, {header: NAME}, or a list for combinations.",
    )
    algorithm: Annotated[Literal["sliding", "log"], BeforeValidator(_algorithm)] = Field(
        "sliding",
        description="sliding weighs the last window by how much of it is still in view, and costs little memory; "
        "log keeps the time of each request and is exact in any window: for small limits on logins and the like.",
    )
    ipv6_prefix: int = Field(
        56, ge=32, le=64, description="IPv6 clients are counted by networks of this length: an address each is nothing to them."
    )
    name: Name | None = Field(
        None,
        description="The policy's name in the headers; the route's name, or default, unless given. Limits of one name that agree in "
        "limit, window, algorithm and by share their counts.",
    )
    headers: bool = Field(True, description="Tell clients by RateLimit and RateLimit-Policy what is left to them.")

    @model_validator(mode="before")
    @classmethod
    def _is_built(cls, value: Any) -> Any:
        keys = UNBUILT_KEYS.intersection(value) if isinstance(value, dict) else ()
        if keys:
            error = PydanticCustomError("unbuilt", UNBUILT)
            raise ValidationError.from_exception_data(
                "rate_limit", [InitErrorDetails(type=error, loc=(k,), input=value[k]) for k in sorted(keys)]
            )
        return value


_SEVERAL: TypeAdapter[list[Limit]] = TypeAdapter(Annotated[list[Limit], Field(min_length=1)])


class RateLimitSettings(Limit):
    """One limit, or a list of limits that must all allow a request."""

    _several: tuple[Limit, ...] = PrivateAttr(())

    @property
    def limits(self) -> tuple[Limit, ...]:
        return self._several or (self,)

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
        one = handler(core_schema)
        return {**one, "type": ["object", "array"], "items": one, "minItems": 1}


class RateLimit(Plugin[RateLimitSettings]):
    handles_mode = True

    def __init__(self, settings: RateLimitSettings, host: Host) -> None:
        super().__init__(settings, host)
        limits = settings.limits
        self._limits = tuple(_Limiter(limit, host, n if len(limits) > 1 else 0) for n, limit in enumerate(limits, 1))
        self._observes = host.mode == "observe"
        self._told = tuple((n, limiter.item) for n, limiter in enumerate(self._limits) if limiter.tells)
        self._tells = bool(self._told) and not self._observes
        self._policy = ", ".join(limiter.policy for limiter in self._limits if limiter.tells)
        self._store = host.store.limits([limiter.spec for limiter in self._limits])
        self._key = self._limits[0].key if len(limits) == 1 else None
        # What the way up needs to know from the way down. Not asked for again there: by then a header may have been rewritten and others
        # have hit the limit. `on_end` always comes, so nothing stays; the exchange lives until then, so its id is its own.
        self._admitted: dict[int, Decisions] = {}

    def on_request(self, ex: Exchange) -> Awaitable[None] | None:
        keys = [limiter.key(ex) for limiter in self._limits] if self._key is None else (self._key(ex),)
        decisions = self._store.hit(keys)
        if isinstance(decisions, tuple):
            self._decided(ex, decisions)
            return None
        return self._decided_later(ex, decisions)

    async def _decided_later(self, ex: Exchange, decisions: Awaitable[Decisions]) -> None:
        self._decided(ex, await decisions)

    def _decided(self, ex: Exchange, decisions: Decisions) -> None:
        for decision in decisions:
            if not decision.allowed:
                return self._refuse(ex, decisions)
        if self._tells:
            self._admitted[id(ex)] = decisions
        return None

    def on_response(self, ex: Exchange, reply: Reply) -> None:
        decisions = self._admitted.pop(id(ex), None)
        if decisions is not None:
            # Added, never set: what the upstream says of limits of its own is not ours to hide (draft, section 5).
            reply.headers.add("RateLimit-Policy", self._policy)
            reply.headers.add("RateLimit", self._state(decisions))

    def on_end(self, ex: Exchange, end: object) -> None:
        self._admitted.pop(id(ex), None)

    def explain(self, ex: Exchange) -> str:
        keys = [limiter.key(ex) for limiter in self._limits]
        found = self._store.peek(keys)
        if not isinstance(found, tuple):
            found.cancel()
            return "; ".join(
                f"{limiter.policy} for {key}: the store was not asked" for limiter, key in zip(self._limits, keys, strict=True)
            )
        told = zip(self._limits, keys, found, strict=True)
        says = "; ".join(f"{limiter.policy} for {key}: {_verdict(limiter.limit, decision)}" for limiter, key, decision in told)
        return says if all(decision.allowed for decision in found) else Answers(says)

    def _state(self, decisions: Decisions) -> str:
        if len(decisions) == 1:
            _, remaining, reset, _ = decisions[0]
            return f"{self._told[0][1]};r={remaining};t={ceil(reset)}"
        return ", ".join([f"{item};r={decisions[n].remaining};t={ceil(decisions[n].reset)}" for n, item in self._told])

    def _refuse(self, ex: Exchange, decisions: Decisions) -> None:
        violated = [limiter.name for limiter, decision in zip(self._limits, decisions, strict=True) if not decision.allowed]
        if self._observes:
            ex.note("observe", plugin="rate_limit", status=429, policies=violated)
            return
        ex.note("rate_limit", policies=violated, outcome="rejected")
        seconds = max(1, ceil(max(decision.retry_after for decision in decisions)))
        headers = [("Retry-After", str(seconds))]
        if self._tells:
            headers += [("RateLimit-Policy", self._policy), ("RateLimit", self._state(decisions))]
        raise QuotaExceeded(
            f"Try again in {seconds} {'second' if seconds == 1 else 'seconds'}.",
            headers=headers,
            fields={"violated-policies": violated, "retry_after": seconds},
        )


class _Limiter:
    """One limit at work: how to find a request's key, and what clients are told of it."""

    __slots__ = ("item", "key", "limit", "name", "policy", "spec", "tells")

    def __init__(self, limit: Limit, host: Host, ordinal: int) -> None:
        suffix = f"-{ordinal}" if ordinal else ""
        self.name = limit.name or (host.route or "default") + suffix
        self.limit = limit.limit
        self.item = _string(self.name)
        self.policy = f"{self.item};q={limit.limit};w={ceil(limit.window)}"
        self.tells = limit.headers
        self.key = _key(limit)
        # A name, so that a reloaded policy goes on with the counts of the one before it.
        owner = f"name {limit.name}" if limit.name else f"route {host.route}{suffix}"
        self.spec = LimitSpec(f"{owner} by {limit.by}", limit.limit, limit.window, limit.algorithm)


def _key(limit: Limit) -> Callable[[Exchange], str]:
    parts = [_part(identity, limit.ipv6_prefix) for identity in limit.by]
    if len(parts) == 1:
        return parts[0]
    return lambda ex: " ".join([part(ex) for part in parts])


def _part(identity: Identity, ipv6_prefix: int) -> Callable[[Exchange], str]:
    network = lru_cache(maxsize=ADDRESSES)(partial(_network, ipv6_prefix))

    def client(ex: Exchange) -> str:
        address = ex.client
        return network(address) if ":" in address else address

    if identity == "client":
        return client
    if identity == "route":
        return attrgetter("route")
    name = identity.header

    def header(ex: Exchange) -> str:
        # A digest: keys stay short however long the value is, and no credential is kept.
        values = ex.headers.getall(name, ())
        return blake2b(values[0].encode("utf-8", "surrogatepass"), digest_size=16).hexdigest() if len(values) == 1 else client(ex)

    return header


def _network(prefix: int, address: str) -> str:
    """The network of an IPv6 address; an IPv4 address that came mapped into one is itself (RFC 4291, section 2.5.5.2)."""
    try:
        parsed = IPv6Address(address)
    except ValueError:
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    host_bits = 128 - prefix
    return f"{IPv6Address(int(parsed) >> host_bits << host_bits)}/{prefix}"


def _string(text: str) -> str:
    """A String of RFC 9651, section 4.1.6; what it cannot hold becomes `_`."""
    return '"' + re.sub(r'(["\\])', r"\\\1", re.sub(r"[^ -~]", "_", text)) + '"'


def _verdict(limit: int, decision: Decision) -> str:
    if not decision.allowed:
        return f"refuses, for {decision.retry_after:.3g} s more"
    used = limit - decision.remaining
    return f"{used} of {limit} used, {decision.remaining} left, more in {decision.reset:.3g} s" if used else f"{limit} left"
