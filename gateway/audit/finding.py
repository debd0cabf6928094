"""What a rule says of a policy that is right: a warning, with its place and the rule's name."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from gateway.errors import Mistake


@dataclass(frozen=True, slots=True)
class Finding:
    rule: str  # unreachable-route
    mistake: Mistake

    def __str__(self) -> str:
        return f"{self.mistake} [{self.rule}]"

    @property
    def values(self) -> dict[str, object]:
        """As plain values, for programs."""
        return {"severity": "warning", "rule": self.rule, **asdict(self.mistake)}
