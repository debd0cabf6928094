"""What an OpenAPI 3.1 document asks of the requests to its operations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Annotated, Any

from pydantic import BeforeValidator, ValidationInfo
from pydantic.json_schema import WithJsonSchema

from gateway.config.settings import kind
from gateway.content.documents import Folder
from gateway.content.fields import Fields
from gateway.content.media import FORM, is_json
from gateway.content.openapi import METHODS, base_path, checked, resolved
from gateway.content.requests import Body, RequestSchema
from gateway.content.schemas import Schema, Unknown
from gateway.content.sources import Source
from gateway.template import parse

WHERE = {"path": "params", "query": "query", "header": "headers"}
"""Where a parameter stands, by its `in`. Cookies are not looked at."""
NOT_HEADERS = frozenset({"accept", "content-type", "authorization"})
"""Header parameters that the document says elsewhere (OpenAPI 3.1, section 4.8.12.1)."""
Path = tuple[str | int, ...]


def operations(source: Source, routes: Mapping[str, str], unknown: Unknown) -> dict[tuple[str, str], RequestSchema]:
    """By method and by the template of a route's path, for those routes that an operation has the path of.

    `routes`: templates by name. Raises ValueError for schemas that are none.
    """
    document: dict[str, Any] = source.schema
    templates: dict[tuple[str | None, ...], list[str]] = {}
    for template in routes.values():
        if not template.endswith("/**"):
            templates.setdefault(parse(template).folded(), []).append(template)
    found: dict[tuple[str, str], RequestSchema] = {}
    for written, item in (document.get("paths") or {}).items():
        item = resolved(document, item)
        for method in METHODS if isinstance(item, dict) else ():
            if isinstance(operation := item.get(method), dict):
                path = base_path(operation, item, document) + str(written)
                schema = None
                for template in templates.get(_folded(path), ()):
                    schema = schema or _request(source, (("paths", written), item), (method, operation), unknown)
                    found[method.upper(), template] = _renamed(schema, path, template)
    return found


def _folded(path: str) -> tuple[str | None, ...]:
    """As the templates of routes are; a parameter that is no whole segment is one that none of them has."""
    segments = path.split("/")[1:]
    if segments[-1:] == [""]:
        segments.pop()
    return tuple(None if segment.startswith("{") and segment.endswith("}") else segment.lower() for segment in segments)


def _request(source: Source, item: tuple[Path, Any], operation: tuple[str, Any], unknown: Unknown) -> RequestSchema:
    (at, shared), (method, own) = item, operation
    fields: dict[str, dict[str, tuple[Any, bool]]] = {}
    for path, parameter in (*_parameters(source, shared, at), *_parameters(source, own, (*at, method))):
        where, name = WHERE.get(parameter.get("in", ""), ""), str(parameter.get("name", ""))
        if where and "schema" in parameter and not (where == "headers" and name.lower() in NOT_HEADERS):
            fields.setdefault(where, {})[name] = source.part(*path, "schema").schema, bool(parameter.get("required"))
    made = {where: Fields(_object(source, ones), unknown if where == "query" else "pass") for where, ones in fields.items()}
    body_at, body = _followed(source, own.get("requestBody"), (*at, method, "requestBody"))
    return RequestSchema(
        dict(_bodies(source, body, body_at, unknown)),
        bool(body.get("required")),
        made.get("params"),
        made.get("query"),
        made.get("headers"),
    )


def _parameters(source: Source, holder: Any, at: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    listed = holder.get("parameters")
    for n, parameter in enumerate(listed if isinstance(listed, list) else ()):
        yield _followed(source, parameter, (*at, "parameters", n))


def _followed(source: Source, value: Any, at: Path) -> tuple[Path, dict[str, Any]]:
    """What a $ref to another part of the document stands for, and where that is."""
    found = resolved(source.schema, value)
    reference = value.get("$ref") if isinstance(value, dict) else None
    if isinstance(reference, str) and reference.startswith("#/"):
        at = tuple(step.replace("~1", "/").replace("~0", "~") for step in reference[2:].split("/"))
    return at, found if isinstance(found, dict) else {}


def _object(source: Source, fields: dict[str, tuple[Any, bool]]) -> Source:
    properties = {name: schema for name, (schema, _) in fields.items()}
    return source.holding({"type": "object", "properties": properties, "required": [name for name in fields if fields[name][1]]})


def _bodies(source: Source, body: dict[str, Any], at: Path, unknown: Unknown) -> Iterator[tuple[str, Body]]:
    content = body.get("content")
    for media, one in content.items() if isinstance(content, dict) else ():
        name = str(media).partition(";")[0].strip().lower()
        schema = source.part(*at, "content", media, "schema") if isinstance(one, dict) and "schema" in one else None
        if schema is not None and is_json(name):
            yield name, Schema(schema, unknown)
        elif schema is not None and name == FORM:
            yield name, Fields(schema, unknown)
        else:
            yield name, None


def _renamed(schema: RequestSchema, path: str, template: str) -> RequestSchema:
    """A route may call the parameters of its path by other names."""
    if schema.params is None:
        return schema
    names = [segment[1:-1] for segment in path.split("/") if segment.startswith("{")]
    own = [name for _, name in parse(template).names]
    return replace(schema, names=dict(zip(own, names, strict=True)))


def document(value: Any, info: ValidationInfo) -> Source:
    """An OpenAPI document in the policy's folder. Raises ValueError."""
    folder = Folder(info.context or {})
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError(f"expected the path of an OpenAPI document, got {kind(value)}")
    file = (folder.path / value).absolute()
    found = checked(folder.at(file.as_uri()))
    if not str(found["openapi"]).startswith(("3.1", "3.2")):
        raise ValueError(f"it is OpenAPI {found['openapi']}, whose schemas are not JSON Schema yet; convert it to 3.1")
    return Source(found, file.as_uri(), folder, found, file)


ApiSource = Annotated[Any, BeforeValidator(document), WithJsonSchema({"type": "string"})]
"""A `Source` of a whole document: written as the path of a file relative to the policy's folder."""
