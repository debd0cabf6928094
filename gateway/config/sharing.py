"""What the workers of one gateway do not share."""

from __future__ import annotations

from gateway.config.entry import EntrySettings
from gateway.config.policy import Policy


def limits_apart(policy: Policy) -> list[EntrySettings]:
    """The limits that each worker counts for itself, though they are meant for all."""
    return _apart(policy, ("rate_limit",))


def memories_apart(policy: Policy) -> list[EntrySettings]:
    """What must know all that was done before, and each worker only knows of its own."""
    return [entry for entry in _apart(policy, ("idempotency", "signature")) if getattr(entry.settings, "verify", True) is not None]


def _apart(policy: Policy, names: tuple[str, ...]) -> list[EntrySettings]:
    if policy.server.workers == 1 or policy.store.redis is not None:
        return []
    lists = [policy.plugins, *(route.plugins for route in policy.routes)]
    return [entry for entries in lists for entry in entries if entry.name in names and entry.mode != "off"]
