"""A part of the policy against its settings: the settings, or a mistake with its place for each thing that is wrong."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from gateway.config import unbuilt
from gateway.config.document import Document
from gateway.config.position import Path
from gateway.config.shape import Shapes, below, keys
from gateway.config.wording import SCALARS, either, expected, mismatch, words

M = TypeVar("M", bound=BaseModel)


@dataclass(slots=True)
class _Found:
    """One error of pydantic's, and where it stands in the file."""

    error: Mapping[str, Any]
    path: Path
    shapes: Shapes  # what is expected there; around it for an unknown key
    union: Path | None = None  # where several forms are possible and this error belongs to one of them:
    member: str | int = ""
    at_key: bool = False


def validate(model: type[M], document: Document, path: Path, value: Any, folder: FilePath) -> M | None:
    """`value`, which stands at `path`, as `model`; None when mistakes were reported to the document."""
    context = {"folder": folder, "note": document.sources.note}
    try:
        return model.model_validate(value, context=context)
    except ValidationError as error:
        found = _locate(error, model, document, path)
    retyped = [document.retype(one.path) for one in found if one.error["type"] in SCALARS]
    if any(retyped):
        try:
            return model.model_validate(value, context=context)
        except ValidationError as error:
            found = _locate(error, model, document, path)
    for one in _chosen(found):
        _report(one, document)
    return None


def _locate(error: ValidationError, model: type[BaseModel], document: Document, base: Path) -> list[_Found]:
    return [_place(one, model, document, base) for one in error.errors(include_url=False)]


def _place(error: Any, model: type[BaseModel], document: Document, base: Path) -> _Found:
    """Follow pydantic's location through the file, in which the names of union members, and keys that a short form omits, do not stand."""
    value, path, shapes = document.at(base), base, (model,)
    found = _Found(error, base, shapes)
    for n, step in enumerate(error["loc"]):
        is_last = n == len(error["loc"]) - 1
        inner = below(shapes, step)
        if _holds(value, step):
            value, path = value[step], (*path, step)
        elif step == "[key]" and is_last:
            found.at_key = True
        elif not inner and found.union is None and not (error["type"] == "missing" and is_last):
            found.union, found.member = path, step
        if inner:
            shapes = inner
    found.path, found.shapes = path, shapes
    found.at_key = found.at_key or error["type"] == "extra_forbidden"
    return found


def _holds(value: Any, step: str | int) -> bool:
    return step in value if isinstance(value, dict) else isinstance(value, list) and isinstance(step, int) and step < len(value)


def _chosen(found: Sequence[_Found]) -> list[_Found]:
    """Of the errors of a union, which has some for each of its forms, those of the form that was meant."""
    chosen = [one for one in found if one.union is None]
    unions: dict[Path, dict[str | int, list[_Found]]] = defaultdict(lambda: defaultdict(list))
    for one in found:
        if one.union is not None:
            unions[one.union][one.member].append(one)
    for path, forms in unions.items():
        meant = min((errors for errors in forms.values() if not any(_is_mismatch(one, path) for one in errors)), key=_count, default=None)
        chosen += meant or [_merged([one for errors in forms.values() for one in errors if one.path == path])]
    return chosen


def _count(errors: list[_Found]) -> int:
    return len(errors)


def _is_mismatch(one: _Found, path: Path) -> bool:
    return one.path == path and expected(one.error["type"], one.error.get("ctx", {})) is not None


def _merged(errors: Sequence[_Found]) -> _Found:
    """No form fits: one error that names them all."""
    nouns = [noun for one in errors if (noun := expected(one.error["type"], one.error.get("ctx", {})))]
    first = errors[0]
    return _Found({**first.error, "type": "kinds", "nouns": either(nouns)}, first.path, first.shapes)


def _length(value: Any) -> int:
    """Of a list, or of a value that stands for a list of one."""
    return len(value) if isinstance(value, list | dict) else 1


def _report(one: _Found, document: Document) -> None:
    path, kind = one.path, one.error["type"]
    value = document.at(path)
    if kind == "missing":
        document.report(path, *words(one.error, "", value, ()), at_key=True)
    elif document.is_unfilled(path) or (kind == "too_short" and _length(value) >= one.error["ctx"]["min_length"]):
        pass  # pydantic does not count the items that have mistakes of their own
    elif (kind == "extra_forbidden" and unbuilt.is_key(path)) or unbuilt.is_value(path, value):
        document.report(path, unbuilt.WHY, at_key=one.at_key)
    elif kind == "kinds":
        document.report(path, *mismatch(one.error["nouns"], document.kind(path), value, keys(one.shapes)))
    else:
        got = document.kind(path)
        why, hint = words(one.error, got, value, keys(one.shapes))
        if not hint and why.endswith(got) and isinstance(document.shown(path), str) and document.secrets(path):
            hint = "what it stands for is something else"
        document.report(path, why, hint, at_key=one.at_key)
