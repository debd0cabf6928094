"""A file of policy tests as it is written: every key, and what it means."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic.json_schema import WithJsonSchema

from gateway.config.header import HeaderName, HeaderValue
from gateway.config.match import Match
from gateway.config.settings import Duration, Many, OneOrMany, Settings, duration, kind
from gateway.identity import keyfile
from gateway.rehearsal.answer import Failure
from gateway.rehearsal.request import CLIENT, Request
from gateway.rehearsal.store import Condition
from gateway.suite.tokens import Signing, check

NONE = "none"

_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_PATTERN = re.compile(r"/(.+)/", re.DOTALL)


def pattern(text: str) -> re.Pattern[str] | None:
    """The pattern of a text written `/pattern/`; None when it is a text like any other. Raises ValueError."""
    found = _PATTERN.fullmatch(text)
    try:
        return re.compile(found[1]) if found else None
    except re.error as error:
        raise ValueError(f"{text} is no pattern: {error}") from error


def _text(value: str) -> str:
    pattern(value)
    return value


def _patterns(value: Any) -> Any:
    """Of texts anywhere in `value`, those that are patterns are."""
    match value:
        case str():
            pattern(value)
        case dict() | list():
            for item in value.values() if isinstance(value, dict) else value:
                _patterns(item)
    return value


def _moment(value: Any) -> Any:
    return duration(value.removeprefix("+") if isinstance(value, str) else value)


def _instant(value: Any) -> float:
    try:
        return datetime.fromisoformat(value).replace(tzinfo=UTC).timestamp() if _DAY.fullmatch(value) else _aware(value)
    except (TypeError, ValueError):
        raise ValueError(f"expected a day or a time with its zone, as in 2025-11-01T09:00Z, got {kind(value)}") from None


def _aware(value: str) -> float:
    found = datetime.fromisoformat(value)
    if found.tzinfo is None:
        raise ValueError("no zone")
    return found.timestamp()


def _network(value: str) -> str:
    try:
        return str(ip_network(value, strict=False))
    except ValueError:
        raise ValueError(f"{kind(value)} is no address and no network") from None


Instant = Annotated[float, BeforeValidator(_instant), WithJsonSchema({"type": "string"})]
"""Unix time."""
Address = Annotated[str, AfterValidator(_network)]
AnyName = Annotated[str, Field(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")]
"""Also of fields that frame a message or say where it goes: a client may send them, and an upstream be sent them."""
Text = Annotated[str, AfterValidator(_text)]
Data = Annotated[Any, AfterValidator(_patterns)]
Moment = Annotated[float, BeforeValidator(_moment), WithJsonSchema({"type": "string", "pattern": r"^\+?\d+(\.\d+)? ?(ms|s|m|h|d)$"})]


class Answering(Settings):
    """An answer, or the lack of one."""

    status: int = Field(200, ge=200, le=599, description="The status.")
    headers: dict[HeaderName, HeaderValue] = Field({}, description="The headers.")
    content: Any = Field(None, alias="json", description="The body, as anything that JSON can say.")
    body: str | None = Field(None, description="The body, as text.")
    delay: Duration = Field(0.0, description="How long it thinks. Longer than the gateway waits is no answer in time.")
    fail: Failure | None = Field(
        None,
        description=f"No answer at all: {', '.join(get_args(Failure))} (no connection; one that breaks; nothing in time).",
    )

    @model_validator(mode="after")
    def _is_one_answer(self) -> Answering:
        given = self.model_fields_set
        if {"content", "body"} <= given:
            raise ValueError("json and body are bodies both; write one of them")
        if self.fail is not None and (wrong := sorted(given - {"fail", "what"})):
            raise ValueError(f"who fails has no {wrong[0].replace('content', 'json')}; remove one of them")
        return self


class Stub(Answering):
    """An answer of an upstream's, or its failure."""

    what: Match | None = Field(None, alias="for", description="Which requests it is for, as a route's match; without it, all.")


class Service(Answering):
    """An answer of another service's, or its failure."""

    jwks: bool = Field(False, description="Answer with the public key of `tokens`, as an issuer publishes it.")

    @model_validator(mode="after")
    def _has_one_body(self) -> Service:
        if self.jwks and (wrong := sorted(self.model_fields_set & {"content", "body", "fail"})):
            raise ValueError(f"jwks is what is answered, and so is {wrong[0].replace('content', 'json')}; remove one of them")
        return self


class Arrived(Settings):
    """What is expected to have reached the upstream, in its last request."""

    name: str | None = Field(None, description="The upstream's name.")
    method: str | None = Field(None, description="The method.")
    target: Text | None = Field(None, description="Path and query.")
    headers: dict[AnyName, Text] = Field({}, description="As the reply's.")
    content: Data = Field(None, alias="json", description="As the reply's.")
    body: Text | None = Field(None, description="As the reply's.")
    requests: int | None = Field(None, ge=1, description="How many requests reached it: retries count.")


class Stored(Settings):
    """A job that is expected to have been stored. What is not named is not looked at."""

    shorthand: ClassVar[str] = "job"

    job: str = Field(description="Its type: email.")
    template: Text | None = Field(None, description="The message's template.")
    to: Data = Field(None, description="Whom it is for.")
    data: Data = Field(None, description="What the template is filled with; as the reply's `json`.")
    dedupe: Text | None = Field(None, description="What makes it the same as another.")
    delay: Duration | None = Field(None, description="How long it waits before it is due.")
    parked: Text | None = Field(None, description="Why it cannot be run as it is; without this key, it is expected that it can.")


class Expectation(Settings):
    """What is not named is not looked at. A text written /like this/ is a pattern, searched for."""

    status: OneOrMany[int] = Field((), description="The reply's status, or several, of which it must be one.")
    headers: dict[AnyName, Text] = Field({}, description="The reply's headers: a value, a /pattern/ or `absent`.")
    content: Data = Field(None, alias="json", description="The body as JSON. Of a mapping, the keys named here; a list is compared whole.")
    body: Text | None = Field(None, description="The body as text, or a /pattern/.")
    upstream: Arrived | Literal["none"] | None = Field(None, description="What reached the upstream, or `none`: nothing did.")
    route: str | None = Field(None, description="The route's name, or `none`: no route took it.")
    jobs: OneOrMany[Stored] | Literal["none"] | None = Field(
        None,
        description="The jobs that were stored, those of a type in their order: a type, or more of what each is; `none`: there was none.",
    )
    cache: Literal["hit", "stale", "miss", "none"] | None = Field(
        None, description="What the gateway's member of Cache-Status says: hit, stale (a hit that is not fresh), miss; `none`: nothing."
    )
    log: Data = Field(None, description="The line of the access log, as `json`; `none`: no line.")


class Step(Settings):
    """A request, and what is expected of it."""

    send: str = Field(description="`POST /api/v1/login`. With a whole URL, its host is asked for.")
    client: str = Field(CLIENT, alias="as", description="The address of who connects.")
    headers: dict[AnyName, OneOrMany[HeaderValue]] = Field({}, description="Headers of the request.")
    token: dict[str, Any] | None = Field(
        None,
        description="Claims of a token that `tokens` signs, sent as `Authorization: Bearer`. It is issued now and good for an hour unless "
        "`iat`, `exp` or `nbf` say otherwise: +15m or -1m from now, or `absent`.",
    )
    content: Any = Field(None, alias="json", description="Its body as JSON; Content-Type is then application/json unless given.")
    body: str | None = Field(None, description="Its body as text.")
    times: int = Field(1, ge=1, le=10_000, description="How often it is sent. What is expected is expected of each.")
    at: Moment | None = Field(None, description="When: so long after the test's begin, as in +61s.")
    wait: Duration = Field(0.0, description="Time that passes before it is sent, each time.")
    store: Condition | None = Field(
        None,
        description="How the store is from now on: up; down (no connection); slow (no answer in time); full (it takes nothing more).",
    )
    expect: Expectation | None = Field(None, description="What is expected of it; without it, nothing is.")

    @model_validator(mode="after")
    def _is_one_request(self) -> Step:
        method, space, url = self.send.partition(" ")
        if not space:
            raise ValueError(f'"{self.send}" is no request; write a method and a path: GET {self.send}')
        if {"content", "body"} <= self.model_fields_set:
            raise ValueError("json and body are bodies both; write one of them")
        if self.at is not None and (self.wait or self.times > 1):
            raise ValueError("at says when one request is sent; use wait with times")
        if self.token is not None:
            if "authorization" in {name.lower() for name in self.headers}:
                raise ValueError("token is an Authorization of its own; remove one of the two")
            check(self.token)
        Request(method, url, client=self.client)
        return self


def _key(value: str) -> str:
    if not keyfile.is_id(keyfile.id_of(value)):
        raise ValueError(f'"{value}" has not the form of an API key; write gwk_ID_REST, ID of 4 to 32 lower case letters and digits')
    return value


ApiKey = Annotated[str, AfterValidator(_key)]


class Holder(Settings):
    """Whose an API key of the store is."""

    example: ClassVar[str] = "consumer: crm"

    consumer: keyfile.Name = Field(description="Who asks with it.")
    groups: OneOrMany[keyfile.Name] = Field((), description="The groups its consumer is in.")
    labels: dict[str, str] = Field({}, description="As by `gateway keys create --label`.")


class Case(Settings):
    """One test: its steps share a clock and all counts, and with other tests it shares nothing."""

    name: str = Field(min_length=1, max_length=200, description="What the policy should do.")
    upstreams: Mapping[str, OneOrMany[Stub]] = Field({}, description="Answers in this test, in place of the file's for that upstream.")
    services: Mapping[str, OneOrMany[Service]] = Field({}, description="Answers in this test, in place of the file's for that URL.")
    begin: Instant | None = Field(None, description="When this test begins, in place of the file's.")
    blocked: OneOrMany[Address] = Field((), description="Addresses and networks that are blocked when it begins, as by `gateway block`.")
    keys: Mapping[ApiKey, Holder] = Field(
        {}, description="API keys that are in the store when it begins, as by `gateway keys create --store`: `gwk_test_1: {consumer: crm}`."
    )
    steps: Many[Step] = Field(min_length=1, description="Requests in their order; a test of one request may have its keys here.")

    @model_validator(mode="before")
    @classmethod
    def _from_one_step(cls, value: Any) -> Any:
        if not isinstance(value, dict) or "steps" in value:
            return value
        return {key: value[key] for key in value if key in _OWN} | {"steps": [{key: value[key] for key in value if key not in _OWN}]}

    @model_validator(mode="after")
    def _expects_something(self) -> Case:
        if all(step.expect is None for step in self.steps):
            raise ValueError("this test expects nothing; write expect: {status: ...}")
        return self


_OWN = ("name", "upstreams", "services", "begin", "blocked", "keys")


class SuiteSchema(Settings):
    """A file of policy tests. Keys that begin with `x-` are free, as in a policy."""

    policy: str | None = Field(None, description="The policy, relative to this file. Default: the nearest gateway.yaml, upwards.")
    env: dict[str, str] = Field({}, description="The environment of the policy: that of who runs the tests does not count.")
    upstreams: Mapping[str, OneOrMany[Stub]] = Field(
        {}, description="What each upstream answers. Of a list, the first `for` that fits; of several for the same, one after another."
    )
    services: Mapping[str, OneOrMany[Service]] = Field(
        {},
        description="What other services answer that the gateway asks itself (a JWKS, `forward_auth`), by URL; one without a query is for "
        "all queries. Of several answers, one after another.",
    )
    tokens: Signing | None = Field(None, description="Who signs the tokens that steps send.")
    begin: Instant | None = Field(None, description="When each test begins, as in 2025-11-01T09:00Z: tokens are verified by this clock.")
    tests: Many[Case] = Field(min_length=1, description="The tests.")
