"""What is asked of those who are known: to be one of some consumers, in one of some groups, to have claims of some values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Protocol

from gateway.identity.claims import holds


class Known(Protocol):
    """Who asks: an Identity, or an Exchange that has one."""

    @property
    def consumer(self) -> str | None: ...
    @property
    def groups(self) -> tuple[str, ...]: ...
    @property
    def claims(self) -> Mapping[str, Any]: ...


class Unmet(NamedTuple):
    """Why not, for a 403."""

    needs: str  # "the group admin or owner", for the client
    reason: str  # for the log alone
    fields: dict[str, Any]  # of the problem


class Requirement:
    """All that is given must hold; nothing given holds for everybody."""

    __slots__ = ("_claims", "_consumers", "_groups")

    def __init__(
        self, groups: Iterable[str] = (), claims: Mapping[str, tuple[str | int | bool, ...]] | None = None, consumers: Iterable[str] = ()
    ) -> None:
        self._groups = frozenset(groups)
        self._claims = tuple((claims or {}).items())
        self._consumers = frozenset(consumers)

    def unmet(self, who: Known) -> Unmet | None:
        """The first that does not hold."""
        if self._consumers and who.consumer not in self._consumers:
            return Unmet("another consumer", f"is {who.consumer}", {})  # who may is nobody else's business
        if self._groups and self._groups.isdisjoint(who.groups):
            groups = sorted(self._groups)
            return Unmet(f"the group {' or '.join(groups)}", f"{who.consumer} is in {list(who.groups)}", {"groups": groups})
        for name, wanted in self._claims:
            if not holds(who.claims, name, wanted):
                return Unmet(f"another value of the claim {name}", f"the claim {name} of {who.consumer}", {"claim": name})
        return None
