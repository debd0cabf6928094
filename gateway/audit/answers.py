"""Which plugins answer by themselves, so that what stands below them is passed by."""

from __future__ import annotations

from gateway.config.policy import EntrySettings
from gateway.plugin import Plugin

REFUSING = {
    "authenticate": "401", "authorize": "403", "body_limit": "413", "concurrency": "503", "csrf": "403", "https_only": "308",
    "ip_filter": "403", "load_shedding": "503", "rate_limit": "429", "sanitize": "422", "signature": "401", "validate": "422",
}  # fmt: skip
"""Built-in plugins that refuse by raising, and with which status."""


def may_refuse(entry: EntrySettings) -> bool:
    """Some requests end here: it says so in what on_request returns, or is known to. A cors entry ends preflights alone."""
    return entry.mode == "enforce" and entry.name != "cors" and (entry.name in REFUSING or "Reply" in _returned(entry))


def always_answers(entry: EntrySettings) -> bool:
    """No request gets past it: on_request returns a Reply and never None."""
    return entry.mode == "enforce" and _returned(entry).removeprefix("gateway.plugin.") == "Reply"


def _returned(entry: EntrySettings) -> str:
    """What a plugin's on_request says it returns, as text; "" when it says nothing, or there is no such hook."""
    hook = entry.plugin.on_request
    if hook is Plugin.on_request:
        return ""
    returned = hook.__annotations__.get("return", "")
    return returned if isinstance(returned, str) else getattr(returned, "__name__", str(returned))
