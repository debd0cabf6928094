"""An exchange that has ended, or is being answered, told in JSON values: for `gateway explain --request` and the debug header."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gateway.config.interpolation import Secret, conceal
from gateway.pii import Mask
from gateway.pipeline import Times
from gateway.telemetry.notes import TEXT, Notes
from gateway.telemetry.recent import Failure, Kept, Tried

RECOGNIZED = 8
"""Characters by which the beginning of a secret is known."""

Plugins = list[dict[str, Any]]


def told(kept: Kept, now: float, mask: Mask) -> dict[str, Any]:
    """Times are seconds of the gateway's clock in, `ago` in seconds and `*_ms` in milliseconds out."""
    end = kept.end
    plugins, notes = decisions(kept.plugins, kept.depth, kept.notes, mask)
    if kept.times is not None:
        timed(plugins, kept.times)
    path = mask.path(kept.path, kept.params)
    return {
        "request_id": kept.request_id,
        "ago": round(max(0.0, now - kept.started - end.duration), 3),
        "request": {"method": kept.method, "path": path, "host": kept.host, "client": kept.client, "consumer": kept.consumer},
        "route": kept.route or None,
        "plugins": plugins,
        "notes": notes,
        "attempts": [attempted(tried) for tried in kept.tried or tries(kept)],
        "outcome": {
            "status": end.status,
            **failed(kept.failure),
            "truncated": end.truncated,
            "bytes_in": end.bytes_in,
            "bytes_out": end.bytes_out,
            "duration_ms": ms(end.duration),
        },
    }


def tries(kept: Kept) -> Iterable[Tried]:
    return (Tried(one.target, one.status, one.duration, None) for one in kept.end.attempts)


def decisions(names: Sequence[str], depth: int, notes: Notes, mask: Mask) -> tuple[Plugins, list[dict[str, Any]]]:
    """Each plugin with what it noted, and the notes of which nobody can tell whose they are.

    A plugin notes under its own name; `mode: observe` notes under its own, with the plugin's beside it.
    """
    plugins: Plugins = [{"name": name, "reached": n <= depth, "ended": n == depth, "notes": []} for n, name in enumerate(names)]
    places = {name: n for n, name in reversed(list(enumerate(names)))}
    others: list[dict[str, Any]] = []
    for kind, fields in notes:
        place = places.get(fields.get("plugin", kind) if kind == "observe" else kind)
        (others if place is None else plugins[place]["notes"]).append({"kind": kind, **mask.fields(fields)})
    return plugins, others


def timed(plugins: Plugins, times: Times) -> None:
    """Add the milliseconds in each plugin, down and up: None where it was not called."""
    for plugin, down, up in zip(plugins, *times, strict=True):
        plugin.update(down_ms=None if down is None else ms(down), up_ms=None if up is None else ms(up))


def attempted(tried: Tried) -> dict[str, Any]:
    return {"target": tried.target, "status": tried.status, **failed(tried.failure), "duration_ms": ms(tried.duration)}


def failed(failure: Failure | None) -> dict[str, Any]:
    return {} if failure is None else {"error": failure.error, "reason": failure.reason}


def ms(seconds: float) -> float:
    """Milliseconds, to the microsecond."""
    return round(seconds * 1000, 3)


def concealed(value: Any, secrets: tuple[Secret, ...]) -> Any:
    """The same JSON value without what came from the environment."""
    match value:
        case str():
            return conceal(_whole(value, secrets), secrets)
        case Mapping():
            return {concealed(key, secrets): concealed(item, secrets) for key, item in value.items()}
        case list() | tuple():
            return [concealed(item, secrets) for item in value]
        case _:
            return value


def _whole(text: str, secrets: tuple[Secret, ...]) -> str:
    """A long text that was cut, with a secret at its end made whole: it would not be known for one."""
    if len(text) >= TEXT:
        kept = text.removesuffix("...")
        for value, _ in secrets:
            place = kept.find(value[:RECOGNIZED])
            if place >= 0 and value.startswith(kept[place:]):
                return kept[:place] + value + "..."
    return text
