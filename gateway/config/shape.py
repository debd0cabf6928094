"""What the settings expect at a place: asked when a mistake there must be explained, never for a policy that is right."""

from __future__ import annotations

import types
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from typing_extensions import TypeAliasType

Shapes = tuple[Any, ...]
"""Annotations of which one holds: the members of a union."""


def members(annotation: Any) -> Iterator[Any]:
    """The annotation, or the members of the union it is, without what is only metadata."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from members(get_args(annotation)[0])
    elif origin in (Union, types.UnionType):
        for member in get_args(annotation):
            yield from members(member)
    elif isinstance(annotation, TypeAliasType):
        yield from members(annotation.__value__)
    else:
        yield annotation


def below(shapes: Shapes, step: str | int, is_there: bool = True) -> Shapes:
    """What is expected one step further down; nothing where no such step is expected. A key that is not there can only be a setting."""
    return tuple(inner for shape in shapes for inner in _below(shape, step, is_there))


def _below(shape: Any, step: str | int, is_there: bool) -> Iterator[Any]:
    args = get_args(shape)
    if isinstance(shape, type) and issubclass(shape, BaseModel):
        for name, field in shape.model_fields.items():
            if step in (field.alias, name):
                yield from members(field.annotation)
    elif isinstance(step, int) and get_origin(shape) in (list, tuple, set, frozenset):
        for arg in args:
            yield from members(arg)
    elif isinstance(step, str) and is_there and get_origin(shape) in (dict, Mapping):
        yield from members(args[1])


def keys(shapes: Shapes) -> list[str]:
    """The keys that a mapping may have here."""
    models = [shape for shape in shapes if isinstance(shape, type) and issubclass(shape, BaseModel)]
    return [field.alias or name for model in models for name, field in model.model_fields.items()]


def nearest(word: str, known: Iterable[str]) -> str:
    """`did you mean "window"?`, what else there is when there is little of it, or nothing."""
    choices = {choice.lower(): choice for choice in known}
    if meant := close(word, choices.values()):
        return f'did you mean "{meant}"?{_strange(word)}'
    return f"known here: {', '.join(choices.values())}" if 0 < len(choices) <= 20 else ""


def close(word: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """The one of `known` that `word` was most likely meant to be, or nothing. Case and the kind of dash make no difference."""
    choices = {choice.lower(): choice for choice in known}
    found = get_close_matches(word.lower(), choices, n=1, cutoff=cutoff)
    return choices[found[0]] if found else ""


def _strange(word: str) -> str:
    """The first letter of another alphabet, which cannot be told from ours by eye."""
    strange = next((one for one in word if not one.isascii()), "")
    name = unicodedata.name(strange, "a control character") if strange else ""
    return f" U+{ord(strange):04X} in it is {name}" if strange else ""
