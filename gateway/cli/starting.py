"""The text of a first policy: everything an operator will want, with the reasons beside it, and nothing that refuses or changes yet."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from string import Template

from gateway.cli.openapi import Operation
from gateway.config.scalars import typed

POLICY = Template("""\
# What happens to each request, and where it goes. `gateway check` says whether it is right, `gateway plan` shows what becomes of it.
# $${NAME:-default} is taken from the environment; without a default it must be set.
version: 1

server:
  listen: 0.0.0.0:$${PORT:-8080}
  trusted_proxies: []             # networks of load balancers in front, as in 10.0.0.0/8; empty: who connects is the client

upstreams:
  service:
    targets: ["$${UPSTREAM_URL:-$upstream}"]
    # paths: strict               # only if the service takes /Users and /users/ for other paths than /users; most do not

# For every route, outermost first: requests flow down this list, replies flow up it. The order written is the order, and a reply
# passes only the plugins above the one that made it: what every reply needs stands at the top.
# `mode: observe` changes nothing: what the plugin would have done is in the log, and in `gateway explain`. Remove the line when that is
# what it should do.
plugins:
  - request_id                    # one name for a request: in the log, upstream and on the reply
  - access_log                    # a JSON line for each request
  - problem_details:              # an upstream's JSON errors pass, its HTML and stack traces are replaced
    mode: observe
  - security_headers: helmet      # for browsers; `security_headers: api` when nothing but JSON is served
    mode: observe
  # Scripts of other websites: without this line what the service grants passes on. With it the gateway alone decides, and the
  # service's own CORS headers are taken off. Name the origins of your applications, then remove the "# ".
  # - cors: {origins: [https://app.example.com]}
  - rate_limit: {limit: 100, window: 1m, by: client}
    mode: observe

accept: [observed-plugin]         # that something only observes is meant, for now; gateway check says when nothing does any more

# The most specific route that matches takes a request, whatever the order here.
routes:
  - name: health                  # the gateway's own, for load balancers: /health/liveness, /health/readiness
    match: GET /health/**
    without: [rate_limit]
    plugins: [health]
$routes
  - name: everything-else         # all that no other route takes
    match: /**
    upstream: service
""")

ROUTE = Template("""
  - name: $name
    match: $match
    upstream: service
""")

_PLAIN_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")
_PLAIN_PATH = re.compile(r"[A-Za-z0-9/_.~{}-]+")
_REST = "everything-else"
_LONGEST = 80
"""Characters of a name; a policy takes 100."""


def policy(upstream: str, operations: Sequence[Operation] = ()) -> str:
    """A whole policy for the service at `upstream`, a checked URL, with a route for each operation."""
    names = _Names({"health", _REST})
    routes = "".join(_route(operation, names) for operation in operations)
    return POLICY.substitute(upstream=upstream, routes=routes)


def _route(operation: Operation, names: _Names) -> str:
    wanted = operation.name or f"{operation.method}-{operation.path}".lower()
    match = f"{operation.method} {operation.path}"
    text = ROUTE.substitute(name=_scalar(names.take(wanted)), match=match if _PLAIN_PATH.fullmatch(operation.path) else _quoted(match))
    if operation.is_upload:
        return text + "    plugins: [{body_limit: 16MiB, mode: observe}]    # it takes files\n"
    return text + ("    plugins: [{body_limit: 1MiB, mode: observe}]\n" if operation.has_body else "")


class _Names:
    """Gives each route a name of its own."""

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = set(taken)

    def take(self, wanted: str) -> str:
        base = re.sub(r"[^\w.]+", "-", wanted).strip("-.")[:_LONGEST] or "route"
        name, count = base, 1
        while name in self._taken:
            count += 1
            name = f"{base}-{count}"
        self._taken.add(name)
        return name


def _scalar(name: str) -> str:
    return name if _PLAIN_NAME.fullmatch(name) and typed(name) == name else _quoted(name)


def _quoted(text: str) -> str:
    """A double-quoted YAML scalar; JSON's are such. What reads as a reference to the environment would be one in quotes too."""
    return json.dumps(text, ensure_ascii=False).replace("${", "$${")
