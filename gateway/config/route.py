"""One route of the policy, checked, and the list of plugins that results for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.config.entry import EntrySettings
from gateway.config.match import Match
from gateway.config.position import Position


@dataclass(frozen=True, slots=True, eq=False)
class RouteSettings:
    """Which requests are its own, and what becomes of them."""

    name: str
    match: Match
    upstream: str | None
    upgrades: tuple[str, ...]
    plugins: tuple[EntrySettings, ...]  # its own
    without: tuple[str, ...]
    position: Position
    accept: tuple[str, ...] = ()  # rules that shall not warn


def effective(common: Sequence[EntrySettings], route: RouteSettings) -> tuple[EntrySettings, ...]:
    """The common entries, then the route's own, outermost first.

    What the route is `without` is left out; a `once` plugin of the route stands where the common one of its name stood.
    """
    own = {entry.name: entry for entry in route.plugins if entry.plugin.once}
    outer = [own.get(entry.name, entry) for entry in common if entry.name not in route.without]
    return (*outer, *(entry for entry in route.plugins if entry not in outer))
