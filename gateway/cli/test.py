"""`gateway test`: does the policy do what its tests say?"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import perf_counter

from gateway.cli import MISTAKES, OK, USAGE
from gateway.cli.mistakes import tell
from gateway.errors import ConfigError
from gateway.rehearsal.request import CLIENT
from gateway.suite.junit import junit
from gateway.suite.play import Failed, Result, play
from gateway.suite.suite import load


def main(arguments: argparse.Namespace) -> int:
    begun = perf_counter()
    results: list[Result] = []
    wrong = 0  # files with mistakes, or whose policy has some
    for name in ("gateway.server", "gateway.plugins"):
        logging.getLogger(name).addHandler(logging.NullHandler())  # what they say of clients and services is what the tests are about
    for file in arguments.files:
        try:
            for result in play(load(Path(file), arguments.env_file), arguments.keyword):
                results.append(result)
                if result.failed is not None:
                    sys.stdout.write(told(result) + "\n\n")
        except ConfigError as error:
            tell(error, sys.stdout)
            wrong += 1
    try:
        if arguments.junit is not None:
            Path(arguments.junit).write_bytes(junit(results, told))
    except OSError as error:
        sys.stderr.write(f"gateway test: {arguments.junit}: cannot be written: {error.strerror}\n")
        return USAGE
    if not results and not wrong:
        sys.stderr.write(f'gateway test: no test has "{arguments.keyword}" in its name\n')
        return USAGE
    sys.stdout.write(f"{_summary(results, wrong)} in {perf_counter() - begun:.2f} s\n")
    return MISTAKES if wrong or any(result.failed for result in results) else OK


def _summary(results: Sequence[Result], wrong: int) -> str:
    failed = sum(result.failed is not None for result in results)
    mistakes = f", {wrong} {'file' if wrong == 1 else 'files'} with mistakes" if wrong else ""
    return f"{len(results) - failed} passed, {failed} failed{mistakes}"


def told(result: Result) -> str:
    """A failure, for a person."""
    assert result.failed is not None
    return "\n".join(_lines(result, result.failed))


def _lines(result: Result, failed: Failed) -> Iterator[str]:
    yield f"{result.suite.path}:{result.test.line}: {result.test.case.name}"
    place = f"step {failed.step}" if len(result.test.case.steps) > 1 else "the request"
    yield f"  {place}{f', the {_ordinal(failed.turn)} of {failed.times}' if failed.times > 1 else ''}, at +{failed.after:g}s"
    request, outcome = failed.request, failed.outcome
    yield f"    sent      {request.method} {request.url}" + (f" as {request.client}" if request.client != CLIENT else "")
    yield from (f"              {name}: {_cut(value)}" for name, value in request.headers)
    if request.body:
        yield f"              {_body(request.body)}"
    if outcome is not None:
        yield f"    route     {outcome.route or 'none'}"
        yield from (f"    upstream  {sent.method} {sent.target} reached {sent.upstream}" for sent in outcome.sent)
        yield from (f"    asked     {asked.method} {asked.url}: {asked.status or 'no answer'}" for asked in outcome.asked)
        yield from (f"    note      {kind}: {_noted(fields)}" for kind, fields in outcome.notes)
        yield f"    reply     {outcome.status or 'none'}" + (f" {_body(outcome.body)}" if outcome.body else "")
    for what, expected, got in failed.differences:
        yield f"  {what}"
        yield f"    expected  {expected}"
        yield f"    got       {got}"


def _noted(fields: object) -> str:
    return json.dumps(fields, ensure_ascii=False, default=str)


def _body(body: bytes) -> str:
    text = body.decode("utf-8", "backslashreplace")
    return _cut(text if text.isprintable() else repr(text))


def _cut(text: str) -> str:
    return text if len(text) <= 300 else f"{text[:300]}..."


def _ordinal(number: int) -> str:
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
