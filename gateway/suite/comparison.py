"""What is expected beside what came: a difference for each that is not as expected."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from gateway.exchange import Headers
from gateway.jobs.contract import Job
from gateway.rehearsal.outcome import Outcome
from gateway.suite.schema import NONE, Arrived, Expectation, Stored, pattern
from gateway.suite.tokens import ABSENT

GATEWAY = "gateway"
"""What its cache calls itself."""
LONGEST = 200
"""Characters of a value that are shown."""


class Difference(NamedTuple):
    what: str  # json.error, headers.Retry-After
    expected: str
    got: str


def differences(expected: Expectation, outcome: Outcome) -> Iterator[Difference]:
    if expected.route is not None and expected.route != (outcome.route or NONE):
        yield Difference("route", expected.route, outcome.route or NONE)
    if outcome.is_cut:
        yield Difference("reply", "a whole one", "cut in the middle" if outcome.status else "none")
    if expected.status and outcome.status not in expected.status:
        yield Difference("status", " or ".join(map(str, expected.status)), str(outcome.status))
    yield from _headers("headers", expected.headers, outcome.headers)
    if "content" in expected.model_fields_set:
        yield from _json("json", expected.content, outcome.body)
    if expected.body is not None:
        yield from _text("body", expected.body, outcome.body.decode("utf-8", "backslashreplace"))
    yield from _upstream(expected.upstream, outcome)
    yield from _jobs(expected.jobs, outcome.jobs)
    if expected.cache is not None and expected.cache != (found := cached(outcome.headers)):
        yield Difference("cache", expected.cache, found)
    if "log" in expected.model_fields_set:
        yield from _log(expected.log, outcome)


def cached(headers: Headers) -> str:
    """hit, stale or miss, by what the gateway's own member of Cache-Status says (RFC 9211, section 2); none: it says nothing."""
    found = NONE
    for member in ",".join(headers.getall("Cache-Status", ())).split(","):
        name, *parameters = (part.strip() for part in member.split(";"))
        if name == GATEWAY:
            ttl = next((part.removeprefix("ttl=") for part in parameters if part.startswith("ttl=")), "0")
            found = "miss" if "hit" not in parameters else "stale" if ttl.startswith("-") else "hit"
    return found


def _upstream(expected: Arrived | str | None, outcome: Outcome) -> Iterator[Difference]:
    if expected is None:
        return
    if isinstance(expected, str):
        if outcome.sent:
            yield Difference("upstream", "nothing reaches it", f"{outcome.sent[-1].method} {outcome.sent[-1].target}")
        return
    if not outcome.sent:
        yield Difference("upstream", "a request", "nothing reached it")
        return
    sent = outcome.sent[-1]
    if expected.requests is not None and expected.requests != len(outcome.sent):
        yield Difference("upstream.requests", str(expected.requests), str(len(outcome.sent)))
    for what, wanted, got in (("name", expected.name, sent.upstream), ("method", expected.method, sent.method)):
        if wanted is not None and wanted != got:
            yield Difference(f"upstream.{what}", wanted, got)
    if expected.target is not None:
        yield from _text("upstream.target", expected.target, sent.target)
    yield from _headers("upstream.headers", expected.headers, sent.headers)
    if "content" in expected.model_fields_set:
        yield from _json("upstream.json", expected.content, sent.body)
    if expected.body is not None:
        yield from _text("upstream.body", expected.body, sent.body.decode("utf-8", "backslashreplace"))


def _jobs(expected: Sequence[Stored] | str | None, stored: Sequence[Job]) -> Iterator[Difference]:
    """Type by type: which of two entries comes first is not for a test to know."""
    if expected is None:
        return
    wanted = sorted(() if isinstance(expected, str) else expected, key=lambda one: one.job)
    stored = sorted(stored, key=lambda job: job.type)
    kinds, got = [one.job for one in wanted], [job.type for job in stored]
    if kinds != got:
        yield Difference("jobs", ", ".join(kinds) or NONE, ", ".join(got) or NONE)
        return
    for n, (one, job) in enumerate(zip(wanted, stored, strict=True)):
        yield from _job(f"jobs[{n}] ({one.job})", one, job)


def _job(what: str, expected: Stored, job: Job) -> Iterator[Difference]:
    payload = job.payload if isinstance(job.payload, Mapping) else {}
    for name in ("template", "to", "data"):
        if name in expected.model_fields_set:
            yield from _data(f"{what}.{name}", getattr(expected, name), payload.get(name))
    if expected.dedupe is not None:
        yield from _text(f"{what}.dedupe", expected.dedupe, job.dedupe)
    if expected.delay is not None and expected.delay != job.run_at - job.created:
        yield Difference(f"{what}.delay", f"{expected.delay:g} s", f"{job.run_at - job.created:g} s")
    if expected.parked is None and job.state == "parked":
        yield Difference(what, "one that can be run", f"parked: {job.reason}")
    elif expected.parked is not None:
        yield from _text(f"{what}.parked", expected.parked, job.reason)


def _log(expected: Any, outcome: Outcome) -> Iterator[Difference]:
    if expected == NONE:
        if outcome.lines:
            yield Difference("log", "no line", _shown(dict(outcome.lines[-1])))
    elif not outcome.lines:
        yield Difference("log", "a line", "none")
    else:
        yield from _data("log", expected, outcome.lines[-1])


def _headers(what: str, expected: Mapping[str, str], got: Headers) -> Iterator[Difference]:
    for name, wanted in expected.items():
        value = ", ".join(got.getall(name)) if name in got else None
        if wanted == ABSENT:
            if value is not None:
                yield Difference(f"{what}.{name}", ABSENT, _shown(value))
        elif value is None:
            yield Difference(f"{what}.{name}", wanted, ABSENT)
        else:
            yield from _text(f"{what}.{name}", wanted, value)


def _json(what: str, expected: Any, body: bytes) -> Iterator[Difference]:
    try:
        got = orjson.loads(body)
    except orjson.JSONDecodeError:
        yield Difference(what, _shown(expected), f"no JSON: {_cut(body.decode('utf-8', 'backslashreplace')) or 'an empty body'}")
        return
    yield from _data(what, expected, got)


def _data(what: str, expected: Any, got: Any) -> Iterator[Difference]:
    """Of a mapping the keys expected, of a list all of it; true is not 1."""
    if isinstance(expected, dict) and isinstance(got, Mapping):
        for key, wanted in expected.items():
            if wanted == ABSENT:
                if key in got:
                    yield Difference(f"{what}.{key}", ABSENT, _shown(got[key]))
            elif key not in got:
                yield Difference(f"{what}.{key}", _shown(wanted), ABSENT)
            else:
                yield from _data(f"{what}.{key}", wanted, got[key])
    elif isinstance(expected, list) and isinstance(got, list):
        if len(expected) != len(got):
            yield Difference(what, f"{_shown(expected)}, of length {len(expected)}", f"{_shown(got)}, of length {len(got)}")
            return
        for n, (wanted, item) in enumerate(zip(expected, got, strict=True)):
            yield from _data(f"{what}[{n}]", wanted, item)
    elif isinstance(expected, str) and isinstance(got, str):
        yield from _text(what, expected, got)
    elif expected != got or isinstance(expected, bool) != isinstance(got, bool):
        yield Difference(what, _cut(_dumped(expected)), _cut(_dumped(got)))  # "7" is not 7


def _text(what: str, expected: str, got: str) -> Iterator[Difference]:
    found = pattern(expected)
    if found.search(got) is None if found else expected != got:
        yield Difference(what, expected, _shown(got))


def _shown(value: Any) -> str:
    return _cut(value if isinstance(value, str) else _dumped(value))


def _dumped(value: Any) -> str:
    return orjson.dumps(value, str).decode()


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
