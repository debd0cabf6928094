"""How much two routes let through, so that a way around the stricter one can be told."""

from __future__ import annotations

from math import inf

from gateway.audit.subject import Lane, settings

MEASURED = ("authenticate", "authorize", "rate_limit", "body_limit")


def allowed(lane: Lane, plugin: str) -> float:
    """Requests a second that the route's enforced limits let through, infinite without one; the most bytes of a body; whether anybody."""
    entries = [entry for entry in lane.named(plugin) if entry.mode == "enforce"]
    if plugin == "authenticate":
        return 0.0 if any(not settings(entry).optional for entry in entries) else inf
    if plugin == "authorize":
        return 0.0 if entries else inf
    if plugin == "body_limit":
        return float(settings(entries[-1]).max) if entries else float(lane.body)
    return min((limit.amount / limit.seconds for entry in entries for limit in settings(entry).limits), default=inf)


def given_up(stricter: Lane, looser: Lane) -> str:
    """The plugin of one that the other does not have as strictly: "rate_limit"; "" when there is none."""
    return next((plugin for plugin in MEASURED if stricter.named(plugin) and allowed(stricter, plugin) < allowed(looser, plugin)), "")


def same_service(one: Lane, other: Lane) -> bool:
    """Both ask the same code: what is kept from it by one way must be kept from it by the other."""
    return one.upstream is not None and other.upstream is not None and bool({*one.upstream.targets} & {*other.upstream.targets})
