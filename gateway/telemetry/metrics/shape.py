"""What a metric is: its name, kind, unit and labels, and how its series are called in the slots."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import orjson

Kind = Literal["counter", "gauge", "histogram"]
Merge = Literal["sum", "max", "worker"]
"""What a gauge is over several workers: their sum, the greatest of theirs, or one series for each. All others are summed."""

OTHER = "other"
"""The value of the labels of series beyond a family's limit."""
LONGEST = 200
"""Characters of a label's value that are kept."""

UNITS = {"s": "seconds", "By": "bytes", "1": "ratio", "": ""}
"""Units that are part of a name in Prometheus, by their UCUM code."""

_NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*")


@dataclass(frozen=True, slots=True)
class Shape:
    """All that tells one metric from another; the names are OpenTelemetry's, with dots. Raises ValueError when it can be none."""

    name: str
    kind: Kind
    unit: str
    description: str
    labels: tuple[str, ...]
    bounds: tuple[float, ...] = ()  # of a histogram: its buckets' upper ends, themselves included, without the infinite one
    merge: Merge = "sum"

    def __post_init__(self) -> None:
        for name in (self.name, *self.labels):
            if _NAME.fullmatch(name) is None:
                raise ValueError(
                    f'"{name}" is no name of a metric or label; write small letters, digits and "_", in parts with dots between'
                )
        if len(set(self.labels)) != len(self.labels):
            raise ValueError(f"{self.name}: a label is named twice")
        if self.unit not in UNITS:
            raise ValueError(f'{self.name}: "{self.unit}" is no unit; the units are {", ".join(unit for unit in UNITS if unit)}')
        if (self.kind == "histogram") != bool(self.bounds) or list(self.bounds) != sorted(set(self.bounds)):
            raise ValueError(f"{self.name}: a histogram has bounds, that rise; others have none")

    @property
    def slots(self) -> int:
        """Of one series. A histogram's are the sum of what it observed, then the number in each bucket, the infinite one last."""
        return len(self.bounds) + 2 if self.kind == "histogram" else 1

    def series(self, values: tuple[str, ...]) -> bytes:
        """The name of the series with these values of the labels."""
        return orjson.dumps((self.name, self.kind, self.unit, self.description, self.labels, self.bounds, self.merge, values))

    @property
    def prometheus(self) -> str:
        """The name in Prometheus, without the _total of a counter (OpenTelemetry, Prometheus and OpenMetrics Compatibility)."""
        name, unit = self.name.replace(".", "_"), UNITS[self.unit]
        return f"{name}_{unit}" if unit and not name.endswith(f"_{unit}") else name


def parse(series: bytes) -> tuple[Shape, tuple[str, ...]]:
    """The inverse of `Shape.series`. Raises ValueError."""
    try:
        name, kind, unit, description, labels, bounds, merge, values = orjson.loads(series)
        return Shape(name, kind, unit, description, tuple(labels), tuple(bounds), merge), tuple(values)
    except TypeError as error:
        raise ValueError(f"{series!r} is no series") from error


def label_value(value: object) -> str:
    """As text that every reader takes: no longer than LONGEST, and no half of a surrogate pair."""
    text = value if isinstance(value, str) else str(value)
    return text[:LONGEST].encode("utf-8", "backslashreplace").decode()
