"""Rules about what stands in the policy and does nothing: plugins without work, references that are only text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from gateway.audit.subject import Lane, Subject, settings
from gateway.config.policy import EntrySettings
from gateway.config.position import Path
from gateway.errors import Mistake
from gateway.template import folded_segments, parse

STORED = frozenset({"GET", "HEAD"})
"""Methods whose answers a cache keeps."""
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing (RFC 9110, section 9.2.1), from which csrf protects nobody."""
EXPRESSIVE = ("enqueue",)
"""Plugins whose settings hold {{ ... }}."""
_REFERENCE = re.compile(r"\$\([A-Za-z_]\w*\)|\{\{.*?\}\}|<%.*?%>")
_WHOLE = re.compile(r"\$[A-Za-z_]\w*|%[A-Za-z_]\w*%")


def idle_plugin(subject: Subject) -> Iterator[Mistake]:
    """A plugin has nothing to do on any route that has it.

    A `cache` where no GET comes, a `csrf` where only GET does, an `idempotency` or an `enqueue` for other methods than the route's, a
    `rewrite` whose `strip_prefix` is not what the route's path begins with. Move it to the route that it is for.

        routes:
          - match: POST /leads
            upstream: leads
            plugins:
              - cache: 5m
    """
    for entry, path in subject.entries():
        lanes = [lane for lane in subject.lanes if entry in lane.entries]
        idle = [why for lane in lanes if (why := _idle(entry, lane))]
        if lanes and len(idle) == len(lanes):
            yield subject.at(path, idle[0], "move it to the route that it is for, or remove it")


def _idle(entry: EntrySettings, lane: Lane) -> str:
    """Why a plugin has nothing to do here; "" when it has."""
    methods, found = frozenset(lane.settings.match.methods), settings(entry)
    comes = f"only {' and '.join(sorted(methods))} comes here"
    if entry.name == "cache" and methods and methods.isdisjoint(STORED):
        return f"{comes}, and answers to GET and HEAD alone are kept"
    if entry.name == "csrf" and methods and methods <= SAFE:
        return f"{comes}, which changes nothing"
    if entry.name == "idempotency" and methods and methods.isdisjoint(found.methods):
        return f"{comes}, and it is for {' and '.join(found.methods)}"
    if entry.name == "enqueue" and found.on.method and methods.isdisjoint(one.upper() for one in found.on.method) and methods:
        return f"{comes}, and it is for {' and '.join(found.on.method)}"
    if entry.name == "rewrite" and found.strip_prefix and not _may_begin(lane.settings.match.path, found.strip_prefix):
        return f"no path of this route begins with {found.strip_prefix}, so nothing is taken off"
    return ""


def _may_begin(path: str, prefix: str) -> bool:
    """Whether a path that fits the template can begin with the prefix, in whole segments."""
    template, wanted = parse(path, loose=False), folded_segments(prefix)
    pairs = zip(template.folded(), wanted, strict=False)
    return all(mine is None or mine == other for mine, other in pairs) and (template.rest or len(template.segments) >= len(wanted))


def foreign_reference(subject: Subject) -> Iterator[Mistake]:
    """A text looks like a reference of another program, and is only text.

    `$NAME`, `$(NAME)`, `%NAME%` and `{{ ... }}` stand for nothing here, and go out as they are. A value from the environment is written
    `${NAME}`; what a request or its answer holds can be named in `enqueue` alone.

        plugins:
          - headers: {request: {set: {X-Env: "$NODE_ENV"}}}
    """
    for entry, path in subject.entries():
        if entry.name not in EXPRESSIVE:
            yield from (_told(subject, at, text) for at, text in _foreign(entry.shown, path))
    for block in ("environment", "server", "store", "telemetry", "upstreams", "checks"):
        yield from (_told(subject, at, text) for at, text in _foreign(subject.policy.shown((block,)), (block,)))


def _told(subject: Subject, path: Path, text: str) -> Mistake:
    return subject.at(path, f"{text} stands for nothing here, and stays as it is", "a value from the environment is written ${NAME}")


def _foreign(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    """The references of other programs in texts, and where they stand."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _foreign(inner, (*path, name))
    elif isinstance(value, list):
        for n, inner in enumerate(value):
            yield from _foreign(inner, (*path, n))
    elif isinstance(value, str) and "${" not in value and (found := _WHOLE.fullmatch(value) or _REFERENCE.search(value)) is not None:
        yield path, found[0]
