"""What the workers of one gateway do not share."""

from __future__ import annotations

from gateway.config.policy import Policy


def limits_apart(policy: Policy) -> bool:
    """Whether each worker counts for itself what the policy limits for all."""
    if policy.server.workers == 1 or policy.store.url != "memory://":
        return False
    lists = [policy.plugins, *(route.plugins for route in policy.routes)]
    return any(entry.name == "rate_limit" and entry.mode != "off" for entries in lists for entry in entries)
