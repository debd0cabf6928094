"""`when:` beside a plugin's name: the environment in which the entry counts; in any other it is as if it said `mode: off`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from gateway.config.settings import OneOrMany, Settings

Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class When(Settings):
    """What must be so for the entry to count."""

    env: OneOrMany[Variable] = Field(min_length=1, description="Variables of the environment: all must be set, and not be empty.")

    def holds(self, env: Mapping[str, str]) -> bool:
        return all(env.get(name) for name in self.env)
