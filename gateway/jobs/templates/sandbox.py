"""The language of templates: Jinja2 in a sandbox, strict. Used where templates are checked, and in the process that renders them."""

from __future__ import annotations

from collections.abc import Mapping
from traceback import extract_tb
from typing import Any

from jinja2 import DictLoader, StrictUndefined, UndefinedError
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment


class Sandbox(ImmutableSandboxedEnvironment):
    """No attribute that begins with an underscore, no change of what a template is given, no number or text made huge by `*` or `**`."""

    intercepted_binops = frozenset({"*", "**"})

    def getattr(self, obj: Any, attribute: str) -> Any:
        """A field before a method: a lead may have `items`."""
        return self.getitem(obj, attribute) if isinstance(obj, Mapping) else super().getattr(obj, attribute)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if operator == "**" or not isinstance(left, int | float) or not isinstance(right, int | float):
            raise SecurityError(f"a template multiplies numbers and nothing else; {operator} is none of its business")
        return left * right


def sandbox(texts: Mapping[str, str]) -> Sandbox:
    """An environment with the templates `texts`, by their file names; those of HTML escape what they are given."""
    return Sandbox(
        loader=DictLoader(texts),
        undefined=StrictUndefined,
        autoescape=is_html,
        trim_blocks=True,  # a line with nothing but a block, or a comment, leaves no empty one
        lstrip_blocks=True,
        auto_reload=False,
        finalize=_written,
    )


def _written(value: Any) -> Any:
    """What a template writes. Raises UndefinedError for a null: nobody wants to be greeted with "Hello None"."""
    if value is None:
        raise UndefinedError("what it writes is null; write {{ name or 'you' }} where it may be")
    return value


def is_html(name: str | None) -> bool:
    return name is not None and name.endswith((".html", ".htm", ".xml"))


class TooLarge(Exception):
    """What a template writes is longer than allowed."""


def render(environment: Sandbox, name: str, data: Mapping[str, Any], largest: int) -> str:
    """The text of one template. Raises TooLarge past `largest` characters, and whatever the template raises."""
    pieces: list[str] = []
    size = 0
    for piece in environment.get_template(name).generate(data):
        size += len(piece)
        if size > largest:
            raise TooLarge(f"{name} writes more than {largest} characters")
        pieces.append(piece)
    return "".join(pieces)


def told(error: Exception, name: str) -> str:
    """What a template's failure is called: where, what is wrong, and nothing of the data."""
    if isinstance(error, TooLarge):
        return str(error)
    line = next((frame.lineno for frame in reversed(extract_tb(error.__traceback__)) if frame.filename == "<template>"), None)
    place = name if line is None else f"{name}:{line}"
    return f"{place}: {error.message if isinstance(error, UndefinedError | SecurityError) else type(error).__name__}"
