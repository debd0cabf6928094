"""A part of the policy against its settings: the settings, or a mistake with its place for each thing that is wrong."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path as FilePath
from typing import Any, TypeVar, get_origin

from pydantic import BaseModel, ValidationError

from gateway.config import familiar
from gateway.config.belonging import SWITCHES, belongs
from gateway.config.document import Document
from gateway.config.position import Path
from gateway.config.settings import At, Settings, Several, Told
from gateway.config.shape import Shapes, below, close, keys
from gateway.config.wording import SCALARS, either, expected, foreign, mismatch, words

M = TypeVar("M", bound=BaseModel)


_ANOTHERS = {
    "type": "value_error",
    "msg": "",
    "ctx": {"error": "no key here is one of a policy's; a policy begins with version: 1, and gateway init writes a first one"},
}
"""What is said of a file for another program."""


@dataclass(slots=True)
class _Found:
    """One error of pydantic's, and where it stands in the file."""

    error: Mapping[str, Any]
    path: Path
    shapes: Shapes  # what is expected there; around it for an unknown key
    union: Path | None = None  # where several forms are possible and this error belongs to one of them:
    member: str | int = ""
    at_key: bool = False


def validate(model: type[M], document: Document, path: Path, value: Any, folder: FilePath, plugins: Container[str] = ()) -> M | None:
    """`value`, which stands at `path`, as `model`; None when mistakes were reported to the document.

    `plugins` are the names of those there are, for keys that stand where they do not belong.
    """
    context = {"folder": folder, "note": document.sources.note, "read": document.sources.disk.read}
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
    for one in _folded(_chosen(found), document):
        _report(one, document, plugins)
    return None


def _locate(error: ValidationError, model: type[BaseModel], document: Document, base: Path) -> list[_Found]:
    return [_place(one, model, document, base) for one in error.errors(include_url=False)]


def _place(error: Any, model: type[BaseModel], document: Document, base: Path) -> _Found:
    """Follow pydantic's location through the file, in which the names of union members, and keys that a short form omits, do not stand."""
    value, path, shapes = document.at(base), base, (model,)
    found = _Found(error, base, shapes)
    for n, step in enumerate(error["loc"]):
        is_last = n == len(error["loc"]) - 1
        holds = _holds(value, step)
        inner = below(shapes, step, holds)
        if holds:
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


def _folded(found: Sequence[_Found], document: Document) -> list[_Found]:
    """One mistake, one message: a misspelt key is not missing too, nor is what stands beside the block it was meant for unknown."""
    strange = {one.path[0] for one in found if one.error["type"] == "extra_forbidden" and len(one.path) == 1}
    if strange and strange == document.value.keys():
        return [replace(found[0], error=_ANOTHERS, path=())]
    found = _named(found)
    strangers: dict[Path, list[_Found]] = defaultdict(list)
    lacking: dict[Path, list[_Found]] = defaultdict(list)
    folded: list[_Found] = []
    for one in found:
        kind = one.error["type"]
        if kind == "extra_forbidden":
            strangers[one.path[:-1]].append(one)
        elif kind == "missing" and one.path[-1:] != one.error["loc"][-1:]:
            lacking[one.path].append(one)
        else:
            folded.append(one)
    for empty in [one for one in folded if one.path and document.at(one.path) is None and keys(one.shapes)]:
        beside = strangers[empty.path[:-1]]
        if outside := [one for one in beside if one.path[-1] in keys(empty.shapes)]:
            strangers[empty.path[:-1]] = [one for one in beside if one not in outside]
            folded[folded.index(empty)] = replace(empty, error={**empty.error, "outside": [str(one.path[-1]) for one in outside]})
    for empty in [one for one in folded if one.path and document.at(one.path) is None and _takes_names(one.shapes)]:
        outside = [one for one in strangers[empty.path[:-1]] if isinstance(document.at(one.path), dict)]
        if outside:
            strangers[empty.path[:-1]] = [one for one in strangers[empty.path[:-1]] if one not in outside]
            folded[folded.index(empty)] = replace(empty, error={**empty.error, "outside": [str(one.path[-1]) for one in outside]})
    for path, all_of_them in lacking.items():
        names = [str(one.error["loc"][-1]) for one in all_of_them]
        meant = {_meant(str(one.path[-1]), names) for one in strangers[path]}
        left = [name for name in names if name not in meant]
        unclear = [one for one in strangers[path] if not close(str(one.path[-1]), keys(one.shapes))]
        if len(left) == len(unclear) == 1:
            unclear[0].error = {**unclear[0].error, "lacking": left[0]}
        elif left and not document.is_unfilled(path):
            folded.append(replace(all_of_them[0], error={**all_of_them[0].error, "keys": left}))
    return folded + [one for some in strangers.values() for one in some]


def _named(found: Sequence[_Found]) -> Sequence[_Found]:
    """Settings that stand where the names of upstreams and checks belong: one mistake, whatever follows of it."""
    for block in ("upstreams", "checks"):
        inside = [one for one in found if one.path[:1] == (block,)]
        unnamed = [one for one in inside if len(one.path) == 2 and one.path[1] in keys(one.shapes) and one.error["type"] == "model_type"]
        if unnamed:
            first = replace(unnamed[0], error={**unnamed[0].error, "unnamed": block.removesuffix("s")})
            found = [*(one for one in found if one not in inside), first]
    return found


def _takes_names(shapes: Shapes) -> bool:
    """Whether names of the operator's own stand there, each with a block."""
    origins: list[Any] = [get_origin(shape) for shape in shapes]
    return dict in origins or Mapping in origins


def _meant(key: str, names: Sequence[str]) -> str:
    """The one of `names` that `key` stands for: misspelt, or with its value in one word."""
    name = key.replace("=", ":").partition(":")[0].strip()
    return name if name in names else close(key, names)


def _length(value: Any) -> int:
    """Of a list, or of a value that stands for a list of one."""
    return len(value) if isinstance(value, list | dict) else 1


def _report(one: _Found, document: Document, plugins: Container[str]) -> None:
    path, kind = one.path, one.error["type"]
    value = document.at(path)
    if kind == "missing" and path[-1:] == one.error["loc"][-1:]:
        document.report(path, *_instead("nothing stands here", "write a value", document, path))
    elif kind == "missing":
        why, hint = words(one.error, "", value, ())
        is_bare = len(path) > 1 and not isinstance(document.at(path), dict)  # a name alone, of a plugin that must have settings
        document.report(path, why, f"write {path[-1]}: {{{hint.removeprefix('write ')}}}" if is_bare else hint, at_key=True)
    elif document.is_unfilled(path) or (kind == "too_short" and _length(value) >= one.error["ctx"]["min_length"]):
        pass  # pydantic does not count the items that have mistakes of their own
    elif kind == "kinds":
        why, hint = mismatch(one.error["nouns"], document.kind(path), value, keys(one.shapes))
        document.report(path, *_instead(why, _block(one, document) or hint, document, path))
    elif "outside" in one.error:
        outside = " and ".join(one.error["outside"])
        document.report(path, "nothing stands below it", f"indent {outside} further than {path[-1]}", at_key=True)
    elif "unnamed" in one.error:
        why = f"the name of the {one.error['unnamed']} is missing above this"
        document.report(path, why, f"write NAME: {{{path[-1]}: ...}}", at_key=True)
    elif kind == "extra_forbidden":
        document.report(path, "unknown key", _unknown(one, document, plugins), at_key=True)
    else:
        cause = one.error.get("ctx", {}).get("error")
        if isinstance(cause, Several):
            for part in cause.parts:
                why, _, hint = str(part).partition("; ")
                document.report((*path, *part.path), why, hint)
            return
        if isinstance(cause, At):
            path = (*path, *cause.path)
        why, hint = words(one.error, document.kind(path), value, keys(one.shapes))
        hint = _block(one, document) or _items(one, document) or hint
        told = (why, hint) if isinstance(cause, Told) else _instead(why, hint, document, path)
        document.report(path, *told, at_key=one.at_key)


def _block(one: _Found, document: Document) -> str:
    """What to write where a block of settings belongs and something else stands: the value as its one setting, or an example."""
    blocks = [shape for shape in one.shapes if isinstance(shape, type) and issubclass(shape, Settings)]
    value = document.at(one.path)
    if one.error["type"] not in ("model_type", "model_attributes_type", "dict_type") or len(blocks) != 1 or isinstance(value, dict):
        return ""
    if blocks[0].example:
        return f"write settings, as in {{{blocks[0].example}}}"
    needed = [field.alias or name for name, field in blocks[0].model_fields.items() if field.is_required()]
    if len(needed) == 1 and isinstance(value, str):
        return f"write {{{needed[0]}: {document.kind(one.path)}}}"
    return f"write {needed[0]}: before it" if len(needed) == 1 and isinstance(value, list) else ""


def _items(one: _Found, document: Document) -> str:
    """What to write for a mapping of names where a list of blocks with a name belongs: `routes: {login: {...}}`."""
    value = document.at(one.path)
    if not isinstance(value, dict) or one.error["type"] not in ("list_type", "tuple_type") or "name" not in keys(below(one.shapes, 0)):
        return ""
    first = next((str(name) for name, item in value.items() if isinstance(item, dict)), "")
    return f"write - name: {first}, and its keys below name" if first and first not in keys(below(one.shapes, 0)) else ""


def _unknown(one: _Found, document: Document, plugins: Container[str]) -> str:
    """What to do with an unknown key: a slip of the pen in a key of this place, one of another place, or one we know nothing of."""
    key, known = str(one.path[-1]), keys(one.shapes)
    if key not in known and (hint := familiar.written(key, known)):
        return hint
    if meant := familiar.key(key, known):
        return f'here it is called "{meant}"'
    if close(key, known, 0.8) or ":" in key or "=" in key:
        return words(one.error, "", None, known)[1]
    if len(one.path) == 1 and key[:2] in ("x_", "X-", "X_"):
        return f"a key of the file's own begins with x-, as in x-{key[2:]}"
    if key in SWITCHES and "plugins" in one.path:
        return "a plugin works where it stands; mode: off, beside its name, turns it off"
    if hint := belongs(one.path, plugins):
        return hint
    if "lacking" in one.error:
        return f'the key "{one.error["lacking"]}" is missing here'
    return words(one.error, "", None, known)[1]


def _instead(why: str, hint: str, document: Document, path: Path) -> tuple[str, str]:
    """A value from elsewhere, and one that was meant to be: what is wrong with it can only be mended there."""
    value, written = document.at(path), document.written(path)
    if written is not None and value in (None, ""):
        return why.replace('""', f'"{written}"', 1).replace("nothing", f'"{written}"', 1), "it is empty"
    if meant := foreign(value):
        return why, meant
    if not hint and why.endswith(document.kind(path)) and isinstance(document.shown(path), str) and document.secrets(path):
        return why, "what it stands for is something else"
    return why, hint
