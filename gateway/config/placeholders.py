"""A text with {names} in it, parsed at load and filled for each request: `lead:{id}`, `/v2/leads/{id}`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

_NAME = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")


class Placeholders:
    """`literals` stand around `names`: there is one more of them. Raises ValueError for a brace that holds no name."""

    __slots__ = ("_pairs", "literals", "names")

    def __init__(self, text: str) -> None:
        pieces = _NAME.split(text)
        self.literals, self.names = pieces[::2], pieces[1::2]
        if any("{" in literal or "}" in literal for literal in self.literals):
            raise ValueError(f'"{text}" has a brace that holds no name; a placeholder is written {{name}}')
        self._pairs = tuple(zip(self.names, self.literals[1:], strict=True))

    def fill(self, values: Mapping[str, str], encode: Callable[[str], str] = str) -> str:
        """The text with each name's encoded value. Raises LookupError when `values` lacks one."""
        filled = [self.literals[0]]
        for name, literal in self._pairs:
            try:
                filled += encode(values[name]), literal
            except KeyError:
                raise LookupError(f"the route has no parameter {{{name}}}") from None
        return "".join(filled)
