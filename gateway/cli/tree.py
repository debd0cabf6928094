"""The plan of a policy as text: one tree for each route, its outermost plugin first, the upstream at the bottom."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from gateway.config.balance import HashBalance
from gateway.config.policy import EntrySettings, Policy, RouteSettings
from gateway.config.schema import RouteSchema
from gateway.config.upstream import UpstreamSettings

SIGNS = {"↓": ("on_request",), "→": ("on_attempt",), "↑": ("on_response", "on_chunk", "on_body_end"), "∎": ("on_end",)}
LEGEND = "↓ sees the request on its way down, → each try at the upstream, ↑ the reply on its way up, ∎ the end"

_PLAIN = re.compile(r"[A-Za-z0-9_./@%+-][A-Za-z0-9_./@%+:-]*")


def tree(policy: Policy, routes: Sequence[RouteSettings]) -> str:
    listen = ", ".join(listener.address + " (TLS)" * (listener.tls is not None) for listener in policy.server.listen)
    return "\n".join([f"{policy.path}: listens on {listen}", *(line for route in routes for line in _route(policy, route)), "", LEGEND])


def _route(policy: Policy, route: RouteSettings) -> Iterator[str]:
    title = route.name if route.name == str(route.match) else f"{route.name}: {route.match}"
    yield ""
    yield title + (f", without {', '.join(route.without)}" if route.without else "")
    entries = policy.entries_for(route)
    width = max((len(entry.name) for entry in entries), default=0)
    for entry in entries:
        yield f"├─ {_entry(entry, 'common' if entry in policy.plugins else 'route ', width)}".rstrip()
    yield f"└─ {_bottom(policy, route)}"


def _entry(entry: EntrySettings, origin: str, width: int) -> str:
    signs = "".join(sign if entry.mode != "off" and set(hooks) & set(entry.hooks) else " " for sign, hooks in SIGNS.items())
    mode = "" if entry.mode == "enforce" else f"({entry.mode}) "
    return f"{entry.name:<{width}}  {signs}  {origin}  {mode}{flow(entry.shown, is_inner=False)}"


def _bottom(policy: Policy, route: RouteSettings) -> str:
    if route.upstream is None:
        return "no upstream: a plugin answers"
    upstream = policy.upstreams[route.upstream]
    return f"{route.upstream}: {', '.join([*upstream.targets, *_ways(upstream)])}{_upgrades(route)}"


def _ways(upstream: UpstreamSettings) -> Iterator[str]:
    """How a target is chosen, and what becomes of failures, where the policy says so."""
    if isinstance(upstream.balance, HashBalance):
        yield f"by hash of {flow(upstream.balance.model_dump(mode='json', warnings=False)['hash']['by'])}"
    elif "balance" in upstream.model_fields_set:
        yield f"by {upstream.balance}"
    if upstream.retry is not None:
        yield f"{upstream.retry.attempts} tries"
    if upstream.health is not None:
        yield f"health {upstream.health.path}"
    if upstream.outlier is not None:
        yield f"out after {upstream.outlier.consecutive_errors} failures"
    if upstream.max_in_flight is not None:
        yield f"{upstream.max_in_flight} in flight at most"


def _upgrades(route: RouteSettings) -> str:
    """Told where they are not what a route has anyway."""
    if route.upgrades == RouteSchema.model_fields["upgrades"].default:
        return ""
    return f", upgrades to {', '.join(route.upgrades)}" if route.upgrades else ", no upgrades"


def flow(value: Any, is_inner: bool = True) -> str:
    """A value in one line of YAML; the outermost mapping without its braces."""
    if isinstance(value, dict):
        pairs = ", ".join(f"{flow(key)}: {flow(item)}" for key, item in value.items())
        return f"{{{pairs}}}" if is_inner else pairs
    if isinstance(value, list):
        return f"[{', '.join(map(flow, value))}]"
    if value is None:
        return "null" if is_inner else ""
    return value if isinstance(value, str) and _PLAIN.fullmatch(value) else json.dumps(value, ensure_ascii=False)
