"""`when:` beside a plugin's name: the environment in which the entry counts; in any other it is as if it said `mode: off`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic.json_schema import WithJsonSchema

from gateway.config.settings import OneOrMany, Settings, Told, kind

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MEANT = re.compile(rf"[$%]?\{{?({_NAME.pattern})\}}?%?(?:[=!]=?.*)?")
"""$NAME, %NAME% and NAME=value."""


def _variable(value: str) -> str:
    """A variable's name. Raises ValueError with what is most likely meant."""
    if _NAME.fullmatch(value) is None:
        found = _MEANT.fullmatch(value.strip())
        hint = f"; write {found[1]}: it must be set and not be empty" if found is not None else ""
        raise Told(f"{kind(value)} is no name of a variable{hint}")
    return value


Variable = Annotated[str, AfterValidator(_variable), WithJsonSchema({"type": "string", "pattern": f"^{_NAME.pattern}$"})]


class When(Settings):
    """What must be so for the entry to count."""

    env: OneOrMany[Variable] = Field(min_length=1, description="Variables of the environment: all must be set, and not be empty.")

    def holds(self, env: Mapping[str, str]) -> bool:
        return all(env.get(name) for name in self.env)
