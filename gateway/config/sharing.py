"""What the workers of one gateway do not share."""

from __future__ import annotations

from gateway.config.entry import EntrySettings
from gateway.config.policy import Policy


def limits_apart(policy: Policy) -> list[EntrySettings]:
    """The limits that each worker counts for itself, though they are meant for all."""
    if policy.server.workers == 1 or policy.store.redis is not None:
        return []
    lists = [policy.plugins, *(route.plugins for route in policy.routes)]
    return [entry for entries in lists for entry in entries if entry.name == "rate_limit" and entry.mode != "off"]
