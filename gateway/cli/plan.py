"""`gateway plan`: what the policy makes of each route, as a tree or as JSON. What came from the environment is not shown."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

from gateway.cli import OK, USAGE
from gateway.cli.mistakes import compiled, failed, refused
from gateway.cli.tree import tree
from gateway.config.policy import EntrySettings, Policy, RouteSettings
from gateway.config.shape import nearest
from gateway.config.upstream import UpstreamSettings
from gateway.errors import ConfigError

SHOWN = {"targets", "paths", "balance", "retry", "health", "outlier", "max_in_flight"}
"""Of an upstream."""


def main(arguments: argparse.Namespace) -> int:
    try:
        policy = compiled(arguments.policy, arguments.env_file)
    except ConfigError as error:
        return refused(error, arguments.json)
    routes = [route for route in policy.routes if arguments.route in (None, route.name)]
    if not routes:
        hint = nearest(arguments.route, [route.name for route in policy.routes])
        return failed("plan", f'no route is called "{arguments.route}"' + (f"; {hint}" if hint else ""), arguments.json, USAGE)
    shown = json.dumps(plan(policy, routes), ensure_ascii=False, indent=2) if arguments.json else tree(policy, routes)
    sys.stdout.write(shown + "\n")
    return OK


def plan(policy: Policy, routes: Sequence[RouteSettings]) -> dict[str, Any]:
    """The plan as plain values: the entries of each route in their order, with the hooks that run."""
    return {
        "policy": str(policy.path),
        "listen": [listener.address for listener in policy.server.listen],
        "upstreams": {name: _upstream(upstream) for name, upstream in policy.upstreams.items()},
        "routes": [_route(policy, route) for route in routes],
    }


def _upstream(upstream: UpstreamSettings) -> dict[str, Any]:
    return upstream.model_dump(mode="json", include=SHOWN, exclude_none=True, warnings=False)  # which take what `by` holds for a slip


def _route(policy: Policy, route: RouteSettings) -> dict[str, Any]:
    return {
        "name": route.name,
        "file": route.position.file,
        "line": route.position.line,
        "match": route.match.model_dump(mode="json"),
        "upstream": route.upstream,
        "upgrades": list(route.upgrades),
        "without": list(route.without),
        "plugins": [_entry(entry, "common" if entry in policy.plugins else "route") for entry in policy.entries_for(route)],
    }


def _entry(entry: EntrySettings, origin: str) -> dict[str, Any]:
    return {
        "name": entry.name,
        "from": origin,
        "file": entry.position.file,
        "line": entry.position.line,
        "mode": entry.mode,
        "hooks": list(entry.hooks) if entry.mode != "off" else [],
        "settings": entry.shown,
    }
