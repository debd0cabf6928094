"""A recent request told to a person."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.cli.status import span

WORDS = ("kind", "plugin")
"""Of a note: what stands before its fields."""


def recalled(it: Mapping[str, Any]) -> Iterator[str]:
    """The lines of one exchange, as the operation `exchange` tells it."""
    request = it["request"]
    asked = f"{request['method']} {request['path']}" if request["method"] else "a request"
    consumer = f", {request['consumer']}" if request["consumer"] else ""
    yield f"{asked} from {request['client']}{consumer}, {span(it['ago'])} ago: {it['request_id']}"
    yield ""
    yield f"outcome   {_outcome(it['outcome'])}"
    if not request["method"]:
        yield "          by the front: no route, no plugin and no access log saw it"
        return
    yield f"route     {it['route'] or 'none'}" + (f", host {request['host']}" if request["host"] else "")
    if it["replaced"]:
        yield "          by a policy that has been replaced since"
    for miss in it["near"]:
        yield f"not       {miss['route']}"
        yield from (f"          {reason}" for reason in miss["reasons"])
    yield ""
    width = max((len(plugin["name"]) for plugin in it["plugins"]), default=0)
    for plugin in it["plugins"]:
        yield f"├─ {plugin['name']:<{width}}  {_decided(plugin)}".rstrip()
    for note in it["notes"]:
        yield f"├─ {_note(note, note['kind'])}"
    for attempt in it["attempts"]:
        status = attempt["status"] if "error" not in attempt else _failed(attempt)
        yield f"├─ asked {attempt['target']}: {status}, {attempt['duration_ms']:g} ms"
    yield f"└─ {it['outcome']['duration_ms']:g} ms in all"


def _outcome(outcome: Mapping[str, Any]) -> str:
    status = "no answer" if outcome["status"] is None else str(outcome["status"])
    failed = f": {_failed(outcome)}" if "error" in outcome else ""
    cut = ", cut short" if outcome["truncated"] else ""
    return f"{status}{failed}{cut}; {outcome['bytes_in']} bytes in, {outcome['bytes_out']} out"


def _failed(fields: Mapping[str, Any]) -> str:
    return f"{fields['error']}" + (f" ({fields['reason']})" if fields["reason"] else "")


def _decided(plugin: Mapping[str, Any]) -> str:
    if not plugin["reached"]:
        return "not reached"
    said = [_note(note, "observed" if note["kind"] == "observe" else "") for note in plugin["notes"]]
    spent = [f"{plugin[key]:g} ms {way}" for key, way in (("down_ms", "down"), ("up_ms", "up")) if plugin.get(key) is not None]
    return "; ".join([*said, *(["it ended here"] if plugin["ended"] else []), *([", ".join(spent)] if spent else [])])


def _note(note: Mapping[str, Any], title: str) -> str:
    fields = [f"{name}={_value(value)}" for name, value in note.items() if name not in WORDS]
    return " ".join([*([title] if title else []), *fields])


def _value(value: object) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if text.isprintable() else repr(text)
