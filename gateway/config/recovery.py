"""What becomes of an upstream's failures: `retry`, `health` and `outlier`."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field
from pydantic.json_schema import WithJsonSchema

from gateway.config.settings import Duration, OneOrMany, Percent, Settings, kind

WORDS = ("connect", "reset")
_PATH = re.compile(r"/(?!/)[!-\"$-~]*")
_URL = re.compile(r"https?://[^/]+(/[!-\"$-~]*)?", re.IGNORECASE)


def _condition(value: Any) -> Any:
    if value in WORDS or (isinstance(value, int) and 500 <= value <= 599):
        return value
    hint = "write the statuses, as in 502, 503, 504" if isinstance(value, str) and value.lower() in ("5xx", "gateway-error") else ""
    if isinstance(value, str) and value.isdecimal():
        hint = "write it without quotes"
    raise ValueError(f"expected connect, reset or a status from 500 to 599, got {kind(value)}" + (f"; {hint}" if hint else ""))


Condition = Annotated[
    Literal["connect", "reset"] | int,
    BeforeValidator(_condition),
    WithJsonSchema({"anyOf": [{"enum": list(WORDS)}, {"type": "integer", "minimum": 500, "maximum": 599}]}),
]


class RetrySettings(Settings):
    """Which failures are met by asking again: another target where there is one."""

    example: ClassVar[str] = "attempts: 2"

    attempts: int = Field(2, ge=2, le=10, description="How often a request is sent at most, the first time included.")
    on: OneOrMany[Condition] = Field(
        ("connect", "reset", 502, 503, 504),
        min_length=1,
        description="After what: `connect` (no connection: any method), `reset` (it broke before the head of the answer), a status of the "
        "upstream's. After all but `connect` only what means the same twice is sent again: GET, HEAD, OPTIONS, TRACE, PUT, DELETE, "
        "and with a body only where it is at hand.",
    )
    budget: Percent = Field(
        0.2,
        description="Which share of the requests of the last 10 to 20 s may be sent again, for each worker; ten may always.",
    )


def _path(value: Any) -> Any:
    if not isinstance(value, str) or _PATH.fullmatch(value) is None:
        hint = f"write {meant}" if isinstance(value, str) and _PATH.fullmatch(meant := "/" + value) else "write it as in /health"
        if isinstance(value, str) and (url := _URL.fullmatch(value)) is not None:
            hint = f"the target says where; write {url[1] or '/'}"
        raise ValueError(f"{kind(value)} is no path; {hint}")
    return value


class HealthSettings(Settings):
    """How targets are asked for their health, apart from traffic."""

    shorthand: ClassVar[str] = "path"
    example: ClassVar[str] = "path: /health"

    path: Annotated[str, BeforeValidator(_path), WithJsonSchema({"type": "string", "pattern": f"^{_PATH.pattern}$"})] = Field(
        description="What a GET is sent for to each target. It passes with a status below 400."
    )
    interval: Duration = Field(5.0, ge=0.1, description="From one probe of a target to the next, a tenth more or less; for each worker.")
    timeout: Duration = Field(1.0, gt=0, le=60, description="What takes longer has failed.")
    passes: int = Field(2, ge=1, description="Probes in a row that must pass until a target is asked again.")
    fails: int = Field(3, ge=1, description="Probes in a row that must fail until it is left out. When all are, all are asked.")


class OutlierSettings(Settings):
    """When a target that fails again and again is left out for a while."""

    example: ClassVar[str] = "consecutive_errors: 5"

    consecutive_errors: int = Field(
        5,
        ge=1,
        description="Failures in a row: no connection, one that breaks, no answer in time or none that can be understood, an answer with "
        "502, 503 or 504. A 500 is none.",
    )
    eject: Duration = Field(
        30.0,
        gt=0,
        description="For how long the first time; twice as long the second time in a row, and so on, ten times at most. Then one request "
        "at a time finds out: the first that succeeds brings it back.",
    )
    max_ejected: Percent = Field(
        0.5, description="Which share of the targets may be left out at once: one at least where there are several, never the only one."
    )
