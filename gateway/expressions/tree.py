"""A value of the policy with expressions anywhere in it: a text, a list, a mapping of these."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Annotated, Any

from pydantic import AfterValidator

from gateway.config.settings import At, Several
from gateway.expressions.language import Expression, Missing, Mistaken

Fill = Callable[[Mapping[str, Any], list[str]], Any]


class Tree:
    """`fill` gives the value for one exchange, and puts what is missing for it into the list; in its place stands None."""

    __slots__ = ("fill", "names", "value")

    def __init__(self, value: Any) -> None:
        """Raises ValueError for a text that is no expression."""
        self.value = value
        self.fill: Fill = _filler(value)
        self.names = frozenset(name for text in texts(value) for name in Expression(text).names)

    def known(self, later: object) -> Any:
        """The value as far as it is known before there is an exchange, with `later` for the rest."""
        return _known(self.value, later)


def texts(value: Any) -> Iterator[str]:
    """Every text in a value; keys are none."""
    match value:
        case str():
            yield value
        case dict():
            for item in value.values():
                yield from texts(item)
        case list() | tuple():
            for item in value:
                yield from texts(item)


def _filler(value: Any) -> Fill:
    """All that can be done before an exchange comes is done here."""
    match value:
        case str():
            return partial(_fill, Expression(value))
        case dict():
            fillers = {key: _filler(item) for key, item in value.items()}
            return lambda values, missed: {key: fill(values, missed) for key, fill in fillers.items()}
        case list() | tuple():
            items = [_filler(item) for item in value]
            return lambda values, missed: [fill(values, missed) for fill in items]
    return lambda values, missed: value


def _fill(expression: Expression, values: Mapping[str, Any], missed: list[str]) -> Any:
    try:
        return expression(values)
    except Missing as error:
        missed.append(str(error))
        return None


def _known(value: Any, later: object) -> Any:
    match value:
        case str():
            return value if Expression(value).is_constant else later
        case dict():
            return {key: _known(item, later) for key, item in value.items()}
        case list() | tuple():
            return [_known(item, later) for item in value]
    return value


def _are_expressions(value: dict[str, Any]) -> dict[str, Any]:
    parts: list[At] = []
    for path, text in _placed(value):
        try:
            Expression(text)
        except Mistaken as error:
            parts.append(At(path, str(error)))
    if parts:
        raise parts[0] if len(parts) == 1 else Several(parts)
    return value


def _placed(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Every text in a value, and the keys that lead to it."""
    match value:
        case str():
            yield path, value
        case dict():
            for key, item in value.items():
                yield from _placed(item, (*path, key))
        case list() | tuple():
            for n, item in enumerate(value):
                yield from _placed(item, (*path, n))


Data = Annotated[dict[str, Any], AfterValidator(_are_expressions)]
"""A mapping with expressions anywhere in its values, refused at load when they are none."""
