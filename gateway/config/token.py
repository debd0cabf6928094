"""A token in the policy: what lets somebody in who sends it."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator
from pydantic.json_schema import WithJsonSchema

_TOKEN = re.compile(r"[!-~]{16,}")


def token(value: str) -> str:
    """What can stand in `Authorization: Bearer`, and is not guessed. Raises ValueError."""
    if _TOKEN.fullmatch(value) is None:
        raise ValueError("a token has 16 characters or more, ASCII without blanks; make one: openssl rand -hex 32")
    return value


Token = Annotated[str, AfterValidator(token), WithJsonSchema({"type": "string", "pattern": f"^{_TOKEN.pattern}$"})]
