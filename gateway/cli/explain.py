"""`gateway explain`: what would happen to one request, and why; or what happened to a recent one. Nothing is moved."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from gateway.cli import OK, USAGE
from gateway.cli.asking import AdminPort, Refused, Unanswered, admin_port, asked
from gateway.cli.mistakes import compiled, failed, refused
from gateway.cli.recalled import recalled
from gateway.errors import ConfigError
from gateway.rehearsal.explanation import explain, plain
from gateway.rehearsal.request import Request


def main(arguments: argparse.Namespace) -> int:
    logging.getLogger("gateway.server").addHandler(logging.NullHandler())  # what it says of a client is in the explanation
    try:
        return _recall(arguments) if arguments.request is not None else _explain(arguments)
    except OSError as error:
        return failed("explain", f"{arguments.data[1:]}: cannot be read: {error.strerror}", arguments.json, USAGE)
    except ValueError as error:
        return failed("explain", error, arguments.json, USAGE)
    except ConfigError as error:
        return refused(error, arguments.json)


def _recall(arguments: argparse.Namespace) -> int:
    """A recent request, of which only the running gateway knows. Raises ValueError and ConfigError."""
    if arguments.method is not None or arguments.header or arguments.data is not None or arguments.offline:
        raise ValueError("--request stands alone: what was sent is remembered")
    try:
        port = asked(arguments.policy, arguments.env_file)
        answer = port.ask("GET", f"/exchange?id={quote(arguments.request, safe='')}")
    except (Unanswered, Refused) as error:
        return failed("explain", error, arguments.json)
    _tell(arguments, answer, "\n\n".join("\n".join(recalled(one)) for one in answer["exchanges"]))
    return OK


def _explain(arguments: argparse.Namespace) -> int:
    request = _request(arguments)
    port = None if arguments.offline else admin_port(arguments.policy, arguments.env_file)
    told, source = _by_gateway(port, request)
    if told is None:
        policy = compiled(arguments.policy, arguments.env_file)
        told = plain(policy, asyncio.run(explain(policy, request)))
    _tell(arguments, {**told, "source": source}, "\n".join(_text(told, source)))
    return OK


def _by_gateway(port: AdminPort | None, request: Request) -> tuple[dict[str, Any] | None, str]:
    """The running gateway's explanation, or None, and in words whose explanation it is."""
    alone = "the policy alone: no request is counted yet"
    if port is None:
        return None, alone
    body = None if request.body is None else b64encode(request.body).decode()
    headers = [[name, value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")] for name, value in request.headers]
    wanted = {"method": request.method, "url": request.url, "headers": headers, "body": body, "client": request.client}
    try:
        told: dict[str, Any] = port.ask("POST", "/explain", wanted)
    except (Unanswered, Refused) as error:
        return None, f"{alone} ({error})"
    return told, f"the running gateway at {port}: its counters, none moved"


def _tell(arguments: argparse.Namespace, answer: object, text: str) -> None:
    sys.stdout.write((json.dumps(answer, ensure_ascii=False, indent=2) if arguments.json else text) + "\n")


def _request(arguments: argparse.Namespace) -> Request:
    """Raises ValueError, and OSError for a body that cannot be read."""
    if arguments.url is None:
        raise ValueError("write METHOD and URL, as in gateway explain GET /api; or --request ID")
    if arguments.method.upper() != arguments.method:
        raise ValueError(f'"{arguments.method}" is no method; write {arguments.method.upper()}')
    if arguments.url and not arguments.url.startswith(("/", "http://", "https://")) and arguments.url != "*":
        raise ValueError(f'"{arguments.url}" is no URL; it begins with a slash, or with http://')
    headers = []
    for line in arguments.header:
        name, colon, value = line.partition(":")
        if not colon:
            raise ValueError(f"\"{line}\" is no header; write -H 'Name: value'")
        headers.append((name.strip(), value.strip()))
    data = arguments.data
    body = None if data is None else Path(data[1:]).read_bytes() if data.startswith("@") else data.encode("utf-8", "surrogateescape")
    return Request(arguments.method, arguments.url, tuple(headers), body, arguments.client)


def _text(it: dict[str, Any], source: str) -> Iterator[str]:
    request, refusal = it["request"], it["refusal"]
    yield f"{request['method']} {request['url']} from {request['client']}"
    yield f"by {source}"
    yield ""
    if refusal is not None:
        yield f"refused   {_failure(refusal)}"
        if refusal["reason"]:
            yield f"          {refusal['reason']}"
        yield "          by the front: no route, no plugin and no access log sees it"
        return
    yield f"target    {_target(it['target'], request['target'])}"
    yield f"route     {_route(it['route'], it['at'])}" if it["route"] is not None else f"route     none: {_failure(it['failure'])}"
    for miss in it["near"]:
        yield f"not       {_route(miss['route'], miss['at'])}"
        yield from (f"          {reason}" for reason in miss["reasons"])
    yield ""
    plugins, onward = it["plugins"], it["upstream"]
    width = max((len(plugin["name"]) for plugin in plugins), default=0)
    for n, plugin in enumerate(plugins):
        is_last = onward is None and n == len(plugins) - 1
        yield f"{'└─' if is_last else '├─'} {plugin['name']:<{width}}  {_says(plugin)}".rstrip()
    if onward is not None:
        yield from _onward(onward)


def _target(canonical: str | None, sent: str) -> str:
    if canonical is None:
        return "none that can be understood"
    return canonical if canonical == sent else f"{canonical}, which is how {sent} is understood"


def _failure(failure: dict[str, Any]) -> str:
    return f"{failure['status']} {failure['title']}" + (f". {failure['detail']}" if failure["detail"] else "")


def _route(name: str, at: dict[str, Any]) -> str:
    title = name if name == at["match"] else f"{name}: {at['match']}"
    return f"{title} ({at['file']}:{at['line']})"


def _says(plugin: dict[str, Any]) -> str:
    mode = "" if plugin["mode"] == "enforce" else f"({plugin['mode']}) "
    if not plugin["reached"]:
        return f"{mode}not reached"
    return f"{mode}{plugin['says'] or ''}" + ("; it ends here" if plugin["ends"] else "")


def _onward(onward: dict[str, Any]) -> Iterator[str]:
    one_of = "one of " if len(onward["targets"]) > 1 else ""
    yield f"└─ {onward['name']}: {one_of}{', '.join(onward['targets'])}"
    yield from (f"     {target} is out ({why})" for target, why in onward.get("out", {}).items())
    yield f"     {onward['line']}"
    yield from (f"     {name}: {value}" for name, value in onward["headers"])
