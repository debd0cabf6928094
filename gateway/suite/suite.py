"""A file of policy tests, read and checked together with the policy it tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gateway.config.document import Document
from gateway.config.policy import Policy
from gateway.config.policy import load as load_policy
from gateway.config.shape import nearest
from gateway.config.sources import Sources
from gateway.config.validation import validate
from gateway.errors import ConfigError, Mistake
from gateway.suite.schema import NONE, Case, Stub, SuiteSchema

POLICY = "gateway.yaml"

Stubs = Mapping[str, Sequence[Stub]]


@dataclass(frozen=True, slots=True)
class Test:
    """One test, with the answers of every upstream in it."""

    case: Case
    line: int
    stubs: Stubs


@dataclass(frozen=True, slots=True)
class Suite:
    path: Path
    policy: Policy
    tests: tuple[Test, ...]


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
    document.refuse()
    tests = (
        Test(case, document.position(("tests", n)).line, {**schema.upstreams, **case.upstreams}) for n, case in enumerate(schema.tests)
    )
    return Suite(path, policy, tuple(tests))


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
                inner = ("steps", m) if document.at(("tests", n, "steps")) is not None else ()
                document.report(("tests", n, *inner, "expect", "route"), f'no route is called "{route}"', nearest(route, routes))
    for path, name in named:
        if name not in policy.upstreams:
            document.report(path, f'the policy has no upstream "{name}"', nearest(name, policy.upstreams), at_key=True)
