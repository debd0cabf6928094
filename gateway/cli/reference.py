"""docs/reference.md, made from the settings' own descriptions: `python -m gateway.cli.reference > docs/reference.md`."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from typing import Any

from gateway.config.schema import PolicySchema
from gateway.config.settings import DURATIONS, SIZES, Settings
from gateway.registry import Registry, Senders

Schema = dict[str, Any]

BINARY = {name: size for name, size in SIZES.items() if name not in ("kB", "MB", "GB")}

HEAD = """\
# Reference

Made from the code by `python -m gateway.cli.reference`; a change here is lost. `${NAME:-default}` and `${file:path}` may stand in any
value ([Files and secrets](files.md)). A duration is written with its unit (250ms, 15s, 15m, 1h, 7d), and so are a size (100B, 16KiB,
1MiB, 1GiB), a percentage (20%) and a rate (10/s, 600/m).
"""

SENDERS = """\
## Senders

What stands below `senders` in `jobs`: a name, which is the type of its jobs, and its settings.
"""

PLUGINS = """\
## Plugins

An entry of a list is a name, or `name: settings`, and beside the name may stand `mode`: `enforce`, the default; `observe`, which only notes
what the plugin would have answered or changed; `off`. With `when: {env: NAME}` beside it, or a list of names, an entry counts where these
variables of the environment are set, and not empty; elsewhere it is off.
"""


def reference() -> str:
    """The whole page, as Markdown."""
    return "\n".join([HEAD, "## The policy\n", *blocks("", PolicySchema), PLUGINS, *_plugins(), *_senders()])


def _plugins() -> Iterator[str]:
    registry = Registry()
    for name in registry:
        plugin = registry.load(name)
        yield f"### {name}\n"
        yield (inspect.getdoc(inspect.getmodule(plugin)) or "") + "\n"
        if plugin.once:
            yield "A route's own entry takes the place of the common one.\n"
        if plugin.settings.shorthand:
            yield f"`{name}: x` is short for `{name}: {{{plugin.settings.shorthand}: x}}`.\n"
        yield from blocks("", plugin.settings)


def _senders() -> Iterator[str]:
    senders = Senders()
    if list(senders):
        yield SENDERS
    for name in senders:
        handler = senders.load(name)
        yield f"### Sender {name}\n"
        yield (inspect.getdoc(inspect.getmodule(handler)) or "") + "\n"
        yield from blocks("", handler.settings_type)


def blocks(path: str, model: type[Settings]) -> Iterator[str]:
    """A table of the settings of `model`, and after it one for each block inside it, named by its path."""
    schema = model.model_json_schema(mode="validation")
    yield from _block(path, schema, schema.get("$defs", {}))


def _block(path: str, schema: Schema, defs: dict[str, Schema]) -> Iterator[str]:
    inner: list[tuple[str, Schema]] = []
    rows = []
    for name, field in schema.get("properties", {}).items():
        kind = _kind(field, defs)
        default = "required" if name in schema.get("required", ()) else _default(field, kind)
        rows.append(f"| {name} | {kind} | {default} | {_cell(_meaning(field, defs))} |")
        inner += [(_join(path, name, field), defs[ref]) for ref in _refs(field) if "properties" in defs[ref]]
    if path:
        yield f"**`{path}`**\n"
    if rows:
        yield "\n".join(["| setting | what it takes | default | meaning |", "| --- | --- | --- | --- |", *rows]) + "\n"
    for below, block in inner:
        yield from _block(below, block, defs)


def _meaning(field: Schema, defs: dict[str, Schema]) -> str:
    """The setting's description; JSON Schema leaves it to the block's own when the two are the same."""
    told = [field, *(defs[ref] for ref in _refs(field))]
    return next((one["description"] for one in told if "description" in one), "")


def _join(path: str, name: str, field: Schema) -> str:
    ending = "[]" if field.get("type") == "array" else ".<name>" if "additionalProperties" in field else ""
    return f"{path}.{name}{ending}".lstrip(".")


def _refs(field: Any) -> Iterator[str]:
    if isinstance(field, dict):
        if "$ref" in field:
            yield field["$ref"].rpartition("/")[2]
        for name in ("anyOf", "allOf", "items", "additionalProperties"):
            yield from _refs(field.get(name))
    elif isinstance(field, list):
        for one in field:
            yield from _refs(one)


def _kind(field: Schema, defs: dict[str, Schema]) -> str:
    """What an operator may write, in words."""
    match field:
        case {"$ref": str(ref)}:
            found = defs[ref.rpartition("/")[2]]
            return "a block" if "properties" in found else _kind(found, defs)
        case {"anyOf": list(forms)} | {"allOf": list(forms)}:
            return " or ".join(dict.fromkeys(_kind(form, defs) for form in forms if form != {"type": "null"}))
        case {"enum": list(values)}:
            return ", ".join(f"`{_written(value)}`" for value in values)
        case {"const": value}:
            return f"`{_written(value)}`"
        case {"type": "string", "pattern": str(pattern)} if "(ms|" in pattern:
            return "duration"
        case {"type": "string", "pattern": str(pattern)} if "KiB" in pattern:
            return "size"
        case {"type": "string", "pattern": str(pattern)} if pattern.endswith("%$"):
            return "percentage"
        case {"type": "string", "pattern": str(pattern)} if pattern.endswith("[smhd]$"):
            return "rate"
        case {"type": "array", "items": dict(items)}:
            return f"list of {_kind(items, defs)}"
        case {"type": "object", "patternProperties": dict(patterns)}:
            return f"names, each with {_kind(next(iter(patterns.values())), defs)}"
        case {"type": "object", "additionalProperties": dict(values)}:
            return f"names, each with {_kind(values, defs)}"
        case {"type": str(name)}:
            return {"string": "text", "boolean": "`true`, `false`", "integer": "number", "object": "a block", "array": "list"}.get(
                name, name
            )
    return "anything"


def _default(field: Schema, kind: str) -> str:
    """What holds when nothing is written; a block's own table says it for a block."""
    if kind == "a block" or "default" not in field:
        return ""
    value = field["default"]
    if value in (None, "", [], {}):
        return "none"
    if kind == "percentage":
        return f"`{value * 100:g}%`"
    if kind == "rate":
        return f"`{value:g}/s`"
    if isinstance(value, int | float) and kind in ("duration", "size"):
        return f"`{quantity(value, DURATIONS if kind == 'duration' else BINARY)}`"
    return f"`{_written(value)}`"


def quantity(value: float, units: dict[str, Any]) -> str:
    """With the largest unit of which it is a whole number."""
    whole = [name for name, size in units.items() if value and value % size == 0]
    unit = max(whole, key=lambda name: units[name], default=next(iter(units)))
    return f"{value / units[unit]:g}{unit}"


def _written(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case list():
            return f"[{', '.join(map(_written, value))}]"
        case dict():
            return f"{{{', '.join(f'{key}: {_written(held)}' for key, held in value.items() if held is not None)}}}"
    return str(value)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    sys.stdout.write(reference())
