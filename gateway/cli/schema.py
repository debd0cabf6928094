"""`gateway schema`: the JSON Schema of a policy, by which an editor completes, explains and underlines while it is written."""

from __future__ import annotations

import argparse
import inspect
import json
import sys
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gateway.cli import OK
from gateway.cli.forms import REFERENCE, Schema, written
from gateway.config.entry import MODES
from gateway.config.include import SHARED
from gateway.config.schema import PolicySchema
from gateway.config.settings import Settings
from gateway.config.when import When
from gateway.registry import Registry

DIALECT = "https://json-schema.org/draft/2020-12/schema"
FREE: Schema = {"^x-": {"description": "The file's own: what the rest refers to by YAML anchors."}}


def main(arguments: argparse.Namespace) -> int:
    registry = Registry(Path(arguments.policy).absolute().parent)
    sys.stdout.write(page(included(registry) if arguments.included else policy(registry)))
    return OK


def page(schema: Schema) -> str:
    return json.dumps(schema, ensure_ascii=False, indent=1) + "\n"


def policy(registry: Registry) -> Schema:
    """The schema of a whole policy (JSON Schema 2020-12) with the plugins of `registry`."""
    top, defs = written(PolicySchema)
    defs["reference"] = {
        "description": "A value from the environment or a file: ${NAME}, ${NAME:-default}, ${file:path}.",
        "type": "string",
        "pattern": r"\$\{([A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?|file:[^}]+)\}",
    }
    defs["entry"] = {"oneOf": _entries(registry, defs)}
    top["properties"]["jobs"] = {"$ref": "#/$defs/JobsSettings", "description": top["properties"]["jobs"]["description"]}  # never empty
    defs["JobsSettings"]["properties"]["senders"] |= {"properties": _senders(registry, defs), "additionalProperties": False}
    for block in (top, defs["RouteSchema"]):
        block["properties"]["plugins"]["items"] = {"$ref": "#/$defs/entry"}
    required = [name for name in top.pop("required") if name != "routes"]
    either = [{"required": ["routes"]}, {"required": ["include"]}]
    head = {"$schema": DIALECT, "title": "gateway.yaml"}
    return {**head, **top, "required": required, "anyOf": either, "patternProperties": FREE, "$defs": dict(sorted(defs.items()))}


def included(registry: Registry) -> Schema:
    """The schema of a file that a policy includes."""
    whole = policy(registry)
    properties = {name: whole["properties"][name] for name in ("include", *SHARED)}
    properties["routes"] = {key: value for key, value in properties["routes"].items() if key != "minItems"}
    left = {key: value for key, value in whole.items() if key not in ("required", "anyOf", "description")}
    return {**left, "title": "A file that gateway.yaml includes", "properties": properties}


def _entries(registry: Registry, defs: dict[str, Schema]) -> list[Schema]:
    """The forms of one entry of a list of plugins; their settings go to `defs`."""
    bare: list[str] = []
    blocks: list[Schema] = []
    for name in registry:
        try:
            plugin = registry.load(name)
        except Exception:  # its file may fail in any way: `gateway check` tells of it, where it is used
            bare.append(name)
            blocks.append(_block(name, {}, "This plugin's file cannot be loaded."))
            continue
        settings, inner = written(plugin.settings, f"{name}.")
        settings["description"] = _first_line(inspect.getdoc(inspect.getmodule(plugin)) or "")
        defs |= {name: settings, **inner}
        value: Schema = {"$ref": f"#/$defs/{name}"}
        if _works_alone(plugin.settings):
            bare.append(name)
            value = {"anyOf": [value, {"type": "null"}]}
        blocks.append(_block(name, value, settings["description"]))
    return [{"enum": bare, "description": "A plugin with the settings it has by default."}, REFERENCE, *blocks]


def _senders(registry: Registry, defs: dict[str, Schema]) -> dict[str, Schema]:
    """The senders by name; their settings go to `defs`."""
    found: dict[str, Schema] = {}
    for name in registry.senders:
        try:
            handler = registry.senders.load(name)
        except Exception:  # as of a plugin
            found[name] = {"description": "This sender's file cannot be loaded."}
            continue
        settings, inner = written(handler.settings_type, f"senders.{name}.")
        settings["description"] = _first_line(inspect.getdoc(inspect.getmodule(handler)) or "")
        defs |= {f"senders.{name}": settings, **inner}
        value: Schema = {"$ref": f"#/$defs/senders.{name}"}
        found[name] = {"anyOf": [value, {"type": "null"}]} if _works_alone(handler.settings_type) else value
    return found


def _works_alone(settings: type[Settings]) -> bool:
    """Whether the plugin's name is enough."""
    try:
        settings.model_validate({})
    except ValidationError:
        return False
    return True


def _block(name: str, value: Schema, description: str) -> Schema:
    mode = {
        "description": "enforce; observe, which only notes what the plugin would have answered or changed; off.",
        "anyOf": [{"enum": list(MODES)}, REFERENCE],
    }
    when, _ = written(When, "when.")
    properties: dict[str, Any] = {name: value, "mode": mode, "when": when}
    return {"type": "object", "description": description, "properties": properties, "required": [name], "additionalProperties": False}


def _first_line(text: str) -> str:
    return text.partition("\n\n")[0].replace("\n", " ")
