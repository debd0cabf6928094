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

    What the route is `without` is left out; the route's entries of a `once` plugin stand where the first common one of
    its name stood.
    """
    own: dict[str, list[EntrySettings]] = {}
    for entry in route.plugins:
        if entry.plugin.once:
            own.setdefault(entry.name, []).append(entry)
    outer = [one for entry in common if entry.name not in route.without for one in own.get(entry.name, [entry])]
    return tuple(dict.fromkeys([*outer, *route.plugins]))
