"""`gateway explain`: what would happen to one request, and why. No upstream is asked and no counter moved."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gateway.cli import MISTAKES, OK, USAGE
from gateway.cli.mistakes import compiled, tell
from gateway.config.policy import Policy
from gateway.errors import ConfigError
from gateway.rehearsal.explanation import Explanation, Onward, Step, explain
from gateway.rehearsal.request import Request
from gateway.router import Route


def main(arguments: argparse.Namespace) -> int:
    logging.getLogger("gateway.server").addHandler(logging.NullHandler())  # what it says of a client is in the explanation
    try:
        request = _request(arguments)
    except OSError as error:
        sys.stderr.write(f"gateway explain: {arguments.data[1:]}: cannot be read: {error.strerror}\n")
        return USAGE
    except ValueError as error:
        sys.stderr.write(f"gateway explain: {error}\n")
        return USAGE
    try:
        policy = compiled(arguments.policy, arguments.env_file)
        explanation = asyncio.run(explain(policy, request))
    except ConfigError as error:
        tell(error, sys.stderr)
        return MISTAKES
    if arguments.json:
        sys.stdout.write(json.dumps(_plain(explanation), ensure_ascii=False, indent=2) + "\n")
    else:
        sys.stdout.write("\n".join(_text(policy, explanation)) + "\n")
    return OK


def _request(arguments: argparse.Namespace) -> Request:
    headers = []
    for line in arguments.header:
        name, colon, value = line.partition(":")
        if not colon:
            raise ValueError(f"\"{line}\" is no header; write -H 'Name: value'")
        headers.append((name.strip(), value.strip()))
    data = arguments.data
    body = None if data is None else Path(data[1:]).read_bytes() if data.startswith("@") else data.encode("utf-8", "surrogateescape")
    return Request(arguments.method, arguments.url, tuple(headers), body, arguments.client)


def _text(policy: Policy, it: Explanation) -> Iterator[str]:
    yield f"{it.request.method} {it.request.url} from {it.client}"
    yield ""
    if it.refusal is not None:
        told = json.loads(it.refusal.body)
        yield f"refused   {told['status']} {told['title']}" + (f". {told['detail']}" if "detail" in told else "")
        yield "          by the front: no route, no plugin and no access log sees it"
        return
    yield f"target    {it.target}" + ("" if it.target == it.request.target else f", which is how {it.request.target} is understood")
    yield f"route     {_route(policy, it.choice.winner)}" if it.choice.winner else f"route     none: {_failure(it)}"
    for miss in it.choice.near:
        yield f"not       {_route(policy, miss.route)}"
        yield from (f"          {reason}" for reason in miss.reasons)
    yield ""
    width = max((len(step.name) for step in it.steps), default=0)
    for n, step in enumerate(it.steps):
        is_last = it.onward is None and n == len(it.steps) - 1
        yield f"{'└─' if is_last else '├─'} {step.name:<{width}}  {_says(step)}".rstrip()
    if it.onward is not None:
        yield from _onward(it.onward)


def _failure(it: Explanation) -> str:
    failure = it.failure
    return "" if failure is None else f"{failure.status} {failure.title}" + (f". {failure.detail}" if failure.detail else "")


def _route(policy: Policy, route: Route) -> str:
    settings = next(one for one in policy.routes if one.name == route.name)
    title = route.name if route.name == str(settings.match) else f"{route.name}: {settings.match}"
    return f"{title} ({settings.position.file}:{settings.position.line})"


def _says(step: Step) -> str:
    mode = "" if step.mode == "enforce" else f"({step.mode}) "
    if not step.is_reached:
        return f"{mode}not reached"
    return f"{mode}{step.says or ''}" + ("; it ends here" if step.ends else "")


def _onward(onward: Onward) -> Iterator[str]:
    one_of = "one of " if len(onward.targets) > 1 else ""
    yield f"└─ {onward.upstream}: {one_of}{', '.join(onward.targets)}"
    yield f"     {onward.line}"
    yield from (f"     {name}: {value}" for name, value in onward.headers.items())


def _told(body: bytes) -> dict[str, Any]:
    return {name: value for name, value in json.loads(body).items() if name != "request_id"}


def _plain(it: Explanation) -> dict[str, Any]:
    refusal, winner, onward = it.refusal, it.choice.winner, it.onward
    return {
        "request": {"method": it.request.method, "url": it.request.url, "client": it.client},
        "refusal": None if refusal is None else _told(refusal.body),
        "target": it.target or None,
        "route": None if winner is None else winner.name,
        "failure": None if it.failure is None else {"status": it.failure.status, "type": it.failure.type, "detail": it.failure.detail},
        "near": [{"route": miss.route.name, "reasons": list(miss.reasons)} for miss in it.choice.near],
        "plugins": [
            {"name": step.name, "mode": step.mode, "says": step.says, "reached": step.is_reached, "ends": step.ends} for step in it.steps
        ],
        "upstream": None
        if onward is None
        else {"name": onward.upstream, "targets": list(onward.targets), "line": onward.line, "headers": list(onward.headers.items())},
    }
