"""What the rules look at: a policy that has been compiled, and for each of its routes all that a request passes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gateway.app import App
from gateway.config.policy import EntrySettings, RouteSettings
from gateway.config.position import Path
from gateway.config.upstream import UpstreamSettings
from gateway.errors import Mistake
from gateway.router import Route, Router


@dataclass(frozen=True, slots=True)
class Lane:
    """One route, and what a request of it passes."""

    path: Path  # ("routes", 3)
    settings: RouteSettings
    route: Route
    entries: tuple[EntrySettings, ...]  # those that are on, outermost first
    upstream: UpstreamSettings | None
    body: int  # bytes that a body may have where no body_limit says otherwise

    @property
    def name(self) -> str:
        return f'"{self.settings.name}"'

    def named(self, name: str) -> list[EntrySettings]:
        return [entry for entry in self.entries if entry.name == name]


class Subject:
    """A compiled policy in the shape the rules ask for. Everything here is as the gateway runs it: `mode: off` is left out."""

    def __init__(self, app: App) -> None:
        self.policy = app.policy
        self.router: Router = app.router
        self.common = tuple(entry for entry in self.policy.plugins if entry.mode != "off")
        self.lanes = [self._lane(n, settings, route) for n, (settings, route) in enumerate(zip(app.policy.routes, app.routes, strict=True))]
        self.proxied = [lane for lane in self.lanes if lane.upstream is not None]
        self._lanes = {id(lane.route): lane for lane in self.lanes}

    def _lane(self, n: int, settings: RouteSettings, route: Route) -> Lane:
        entries = tuple(entry for entry in self.policy.entries_for(settings) if entry.mode != "off")
        return Lane(
            ("routes", n), settings, route, entries, self.policy.upstreams.get(settings.upstream or ""), self.policy.server.limits.body
        )

    def lane(self, route: Route) -> Lane:
        return self._lanes[id(route)]

    def entries(self) -> Iterator[tuple[EntrySettings, Path]]:
        """Every entry that is on, once, with its place: also one that no route passes."""
        lists: list[tuple[tuple[EntrySettings, ...], Path]] = [(self.policy.plugins, ("plugins",))]
        lists += [(lane.settings.plugins, (*lane.path, "plugins")) for lane in self.lanes]
        for entries, path in lists:
            yield from ((entry, (*path, n, entry.name)) for n, entry in enumerate(entries) if entry.mode != "off")

    def at(self, path: Path, why: str, hint: str = "") -> Mistake:
        return self.policy.mistake(path, why, hint)


def settings(entry: EntrySettings) -> Any:
    """The settings of a built-in plugin, whose class no floor below the plugins knows."""
    return entry.settings
