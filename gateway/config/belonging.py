"""Where a key belongs that stands in the wrong place: asked when that is explained, never for a policy that is right."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterator, Mapping
from functools import cache
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from gateway.config.position import Path
from gateway.config.schema import PolicySchema
from gateway.config.shape import close, members

ANY = "NAME"
"""Stands for a name that the operator gives."""
BESIDE = ("mode", "when")
"""Keys that stand beside a plugin's name."""
SWITCHES = ("enabled", "enable", "disabled")
"""What people write for `mode`."""

Places = dict[str, list[tuple[str, ...]]]


def belongs(path: Path, plugins: Container[str]) -> str:
    """What to do with the unknown key at the end of `path`, when it is known elsewhere; "" when it is not."""
    key = str(path[-1])
    if path[0] == "plugins" or (path[0] == "routes" and "plugins" in path):
        return "it stands beside the plugin's name, not below it" if key in BESIDE else ""
    if key in BESIDE:
        return "it stands beside a plugin's name"
    if key in plugins and isinstance(path[0], str) and path[0] != "upstreams":
        return f"it is a plugin; write it in a list, plugins: [{key}]"
    here = _shape(path[:-1])
    near = {name: found for name, places in _places().items() if (found := [one for one in places if one != here and _is_near(one, here)])}
    name = key if key in near or len(here) not in (0, 2) else close(key, near, 0.88)
    shared = max((_shared(place, here) for place in near.get(name, [])), default=0)
    nearest = [place for place in near.get(name, []) if _shared(place, here) == shared]
    return f"{'it' if name == key else name} belongs {' or '.join(map(_spelt, nearest))}" if 0 < len(nearest) <= 3 else ""


@cache
def _places() -> Places:
    found: Places = defaultdict(list)
    for key, place in _walk(PolicySchema, ()):
        found[key].append(place)
    return found


def _walk(model: type[BaseModel], place: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...]]]:
    for name, field in model.model_fields.items():
        yield name, place
        for shape in members(field.annotation):
            yield from _inside(shape, (*place, name))


def _inside(shape: Any, place: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...]]]:
    if isinstance(shape, type) and issubclass(shape, BaseModel):
        yield from _walk(shape, place)
    elif (origin := get_origin(shape)) in (tuple, list):
        for member in members(get_args(shape)[0]):
            yield from _inside(member, (*place, "[]"))
    elif origin in (dict, Mapping):
        for member in members(get_args(shape)[1]):
            yield from _inside(member, (*place, ANY))


def _shape(path: Path) -> tuple[str, ...]:
    named = path[0] in ("upstreams", "checks") if path else False
    return tuple("[]" if isinstance(step, int) else ANY if named and n == 1 else step for n, step in enumerate(path))


def _is_near(place: tuple[str, ...], here: tuple[str, ...]) -> bool:
    """Below, above or beside; and what is set for an upstream is often looked for in the route."""
    return not here or not place or place[0] == here[0] or (place == ("upstreams", ANY) and here == ("routes", "[]"))


def _shared(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    return next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _spelt(place: tuple[str, ...]) -> str:
    if not place:
        return "at the top of the policy"
    if place == ("routes", "[]"):
        return "in a route"
    return f"under {'.'.join(place).replace('.[]', '[]')}"
