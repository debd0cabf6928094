"""A file of policy tests, read and checked together with the policy it tests."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gateway.config.document import Document
from gateway.config.policy import Policy
from gateway.config.policy import load as load_policy
from gateway.config.shape import nearest
from gateway.config.sources import Sources
from gateway.config.validation import validate
from gateway.errors import ConfigError, Mistake
from gateway.rehearsal.stage import BEGIN
from gateway.suite.schema import NONE, Case, Service, Step, Stub, SuiteSchema
from gateway.suite.tokens import Signing

POLICY = "gateway.yaml"

Stubs = Mapping[str, Sequence[Stub]]
Services = Mapping[str, Sequence[Service]]

Keys = tuple[str | int, ...]

_URL = re.compile(r"https?://[^\s/?#]+[^\s#]*")


@dataclass(frozen=True, slots=True)
class Test:
    """One test, with all answers in it."""

    case: Case
    line: int
    stubs: Stubs
    services: Services
    begin: float  # Unix time


@dataclass(frozen=True, slots=True)
class Suite:
    path: Path
    policy: Policy
    tests: tuple[Test, ...]
    signing: Signing | None


def load(path: Path, env_files: Sequence[Path | str] = ()) -> Suite:
    """Raises ConfigError with the mistakes of the file, or else with those of the policy, which `env_files` give variables."""
    folder = path.absolute().parent
    sources = Sources(folder)
    document = _document(sources.read(path, "name a file of tests: gateway test policy/tests/*.yaml"), path, sources)
    for free in [key for key in document.value if key.startswith("x-")]:
        del document.value[free]
    schema = validate(SuiteSchema, document, (), document.value, folder)
    document.refuse()
    assert schema is not None
    policy = load_policy(_policy(document, schema, path, folder), env=schema.env, env_files=env_files)
    _check_names(document, schema, policy)
    _check_means(document, schema, policy)
    document.refuse()
    begin = BEGIN if schema.begin is None else schema.begin
    tests = (
        Test(
            case,
            document.position(("tests", n)).line,
            {**schema.upstreams, **case.upstreams},
            {**schema.services, **case.services},
            begin if case.begin is None else case.begin,
        )
        for n, case in enumerate(schema.tests)
    )
    return Suite(path, policy, tuple(tests), schema.tokens)


def _document(text: str, path: Path, sources: Sources) -> Document:
    """Raises ConfigError, in which what is said of a policy as a whole is said of a file of tests."""
    try:
        return Document(text, str(path), sources)
    except ConfigError as error:
        raise ConfigError([_reworded(mistake) for mistake in error.mistakes]) from None


def _reworded(mistake: Mistake) -> Mistake:
    hint = "it begins with tests: ..." if "version: 1" in mistake.hint else mistake.hint
    return replace(mistake, why=mistake.why.replace("a policy is", "a file of tests is"), hint=hint)


def _policy(document: Document, schema: SuiteSchema, path: Path, folder: Path) -> Path:
    """Relative where the file is, so that mistakes read as the operator named things. Raises ConfigError when there is none."""
    if schema.policy is not None:
        found = path.parent / schema.policy
        if not found.is_file():
            raise ConfigError([document.mistake(("policy",), f"no such file: {found}", "a path is relative to this file")])
        return found
    for above in (folder, *folder.parents):
        if (above / POLICY).is_file():
            return above / POLICY
    raise ConfigError([document.mistake((), f"there is no {POLICY} here or in a folder above", "write policy: path/to/gateway.yaml")])


def _check_names(document: Document, schema: SuiteSchema, policy: Policy) -> None:
    routes = [route.name for route in policy.routes]
    named = [(("upstreams", name), name) for name in schema.upstreams]
    for n, case in enumerate(schema.tests):
        named += [(("tests", n, "upstreams", name), name) for name in case.upstreams]  # type: ignore[misc]
        for m, step in enumerate(case.steps):
            route = step.expect.route if step.expect is not None else None
            if route is not None and route != NONE and route not in routes:
                document.report((*_step(document, n, m), "expect", "route"), f'no route is called "{route}"', nearest(route, routes))
    for path, name in named:
        if name not in policy.upstreams:
            document.report(path, f'the policy has no upstream "{name}"', nearest(name, policy.upstreams), at_key=True)


def _step(document: Document, case: int, step: int) -> Keys:
    """Where a step stands; a test of one request may have its keys itself."""
    return ("tests", case, "steps", step) if document.at(("tests", case, "steps")) is not None else ("tests", case)


def _steps(document: Document, schema: SuiteSchema) -> Iterator[tuple[Keys, Step]]:
    return ((_step(document, n, m), step) for n, case in enumerate(schema.tests) for m, step in enumerate(case.steps))


def _check_means(document: Document, schema: SuiteSchema, policy: Policy) -> None:
    """What a test does must have something that it is done with."""
    places: list[Keys] = [("services",), *(("tests", n, "services") for n in range(len(schema.tests)))]
    for place, services in zip(places, [schema.services, *(case.services for case in schema.tests)], strict=True):
        for url, answers in services.items():
            if _URL.fullmatch(url) is None:
                document.report((*place, url), "expected the URL that is asked", "as in https://issuer.example.com/jwks.json", at_key=True)
            if any(one.jwks for one in answers) and (schema.tokens is None or schema.tokens.secret is not None):
                why = "no token is signed here" if schema.tokens is None else "a secret is not published"
                document.report((*place, url), f"jwks: {why}", "write tokens: {algorithm: RS256} at the top of this file")
    for path, step in _steps(document, schema):
        if step.token is not None and schema.tokens is None:
            document.report(
                (*path, "token"), "no token is signed here", "write tokens: {algorithm: ...} at the top of this file", at_key=True
            )
        if step.store is not None and policy.store.redis is None:
            why = "the policy's store is the memory of the gateway itself, which fails only with it"
            document.report((*path, "store"), why, "test a policy whose store is a Redis, or give it one by env", at_key=True)
