"""A file of policy tests as it is written: every key, and what it means."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic.json_schema import WithJsonSchema

from gateway.config.header import HeaderName, HeaderValue
from gateway.config.match import Match
from gateway.config.settings import Duration, Many, OneOrMany, Settings, duration
from gateway.rehearsal.answer import Failure
from gateway.rehearsal.request import CLIENT, Request

ABSENT, NONE = "absent", "none"

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


AnyName = Annotated[str, Field(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")]
"""Also of fields that frame a message or say where it goes: a client may send them, and an upstream be sent them."""
Text = Annotated[str, AfterValidator(_text)]
Data = Annotated[Any, AfterValidator(_patterns)]
Moment = Annotated[float, BeforeValidator(_moment), WithJsonSchema({"type": "string", "pattern": r"^\+?\d+(\.\d+)? ?(ms|s|m|h|d)$"})]


class Stub(Settings):
    """An answer of an upstream's, or its failure."""

    what: Match | None = Field(None, alias="for", description="Which requests it is for, as a route's match; without it, all.")
    status: int = Field(200, ge=200, le=599, description="The status.")
    headers: dict[HeaderName, HeaderValue] = Field({}, description="The headers.")
    content: Any = Field(None, alias="json", description="The body, as anything that JSON can say.")
    body: str | None = Field(None, description="The body, as text.")
    delay: Duration = Field(0.0, description="How long the upstream thinks. Longer than its `timeouts.head` is no answer in time.")
    fail: Failure | None = Field(
        None,
        description=f"No answer at all: {', '.join(get_args(Failure))} (no connection; one that breaks; nothing within `timeouts.head`).",
    )

    @model_validator(mode="after")
    def _is_one_answer(self) -> Stub:
        given = self.model_fields_set
        if {"content", "body"} <= given:
            raise ValueError("json and body are bodies both; write one of them")
        if self.fail is not None and (wrong := sorted(given - {"fail", "what"})):
            raise ValueError(f"an upstream that fails has no {wrong[0].replace('content', 'json')}; remove one of them")
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
    log: Data = Field(None, description="The line of the access log, as `json`; `none`: no line.")


class Step(Settings):
    """A request, and what is expected of it."""

    send: str = Field(description="`POST /api/v1/login`. With a whole URL, its host is asked for.")
    client: str = Field(CLIENT, alias="as", description="The address of who connects.")
    headers: dict[AnyName, OneOrMany[HeaderValue]] = Field({}, description="Headers of the request.")
    content: Any = Field(None, alias="json", description="Its body as JSON; Content-Type is then application/json unless given.")
    body: str | None = Field(None, description="Its body as text.")
    times: int = Field(1, ge=1, le=10_000, description="How often it is sent. What is expected is expected of each.")
    at: Moment | None = Field(None, description="When: so long after the test's begin, as in +61s.")
    wait: Duration = Field(0.0, description="Time that passes before it is sent, each time.")
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
        Request(method, url, client=self.client)
        return self


class Case(Settings):
    """One test: its steps share a clock and all counts, and with other tests it shares nothing."""

    name: str = Field(min_length=1, max_length=200, description="What the policy should do.")
    upstreams: Mapping[str, OneOrMany[Stub]] = Field({}, description="Answers in this test, in place of the file's for that upstream.")
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


_OWN = ("name", "upstreams")


class SuiteSchema(Settings):
    """A file of policy tests. Keys that begin with `x-` are free, as in a policy."""

    policy: str | None = Field(None, description="The policy, relative to this file. Default: the nearest gateway.yaml, upwards.")
    env: dict[str, str] = Field({}, description="The environment of the policy: that of who runs the tests does not count.")
    upstreams: Mapping[str, OneOrMany[Stub]] = Field(
        {}, description="What each upstream answers. Of a list, the first `for` that fits; of several for the same, one after another."
    )
    tests: Many[Case] = Field(min_length=1, description="The tests.")
