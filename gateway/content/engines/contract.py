"""What the two engines, which check values against JSON Schemas (2020-12), have in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

DIALECT = "https://json-schema.org/draft/2020-12/schema"


class Fault(NamedTuple):
    """What is wrong with a value, or, held against the schema of schemas, with a schema."""

    keyword: str  # "falseSchema" where the schema is `false`, "required" for dependentRequired, "contains" for its bounds, too;
    # "work" where it would take too long to know
    path: Sequence[str | int]
    said: Any = None  # what the keyword asks for; the names of members that are one too many; the name of one that is missing
    text: str = ""  # the engine's own words, where there are none better; of schemas only, for it may repeat values


class NoSchema(ValueError):
    """What was to be compiled is no schema."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.text)
        self.fault = fault


class Compiled(Protocol):
    """A schema that values are held against."""

    def is_valid(self, value: Any) -> bool: ...

    def faults(self, value: Any) -> Iterator[Fault]:
        """All of them, in the order of the schema."""
        ...

    def first(self, value: Any) -> Fault | None:
        """The first alone, in a part of the time."""
        ...


class Engine(Protocol):
    """A module that compiles."""

    name: str
    notice: str  # what operators are told of it in the log, if anything
    quick: int  # bytes of a body that it checks within a millisecond or so

    def registry(self, documents: Mapping[str, Any]) -> Any:
        """What references are looked up in, and nowhere else: documents by their URIs."""
        ...

    def compiled(self, schema: Any, base: str, registry: Any) -> Compiled:
        """`base`: the URI that its references start from. Raises NoSchema."""
        ...

    def schema_faults(self, schema: Any) -> Iterator[Fault]:
        """What the schema of schemas has against it; its references are not followed."""
        ...
