"""What one part of a policy says of another: names that must exist, or must not exist twice."""

from __future__ import annotations

from collections.abc import Container, Sequence
from pathlib import Path as FilePath

from pydantic import ValidationError

from gateway.config.document import Document
from gateway.config.entry import EntrySettings, names
from gateway.config.match import Match
from gateway.config.position import Path
from gateway.config.route import RouteSettings, effective
from gateway.config.schema import PolicySchema, RouteSchema
from gateway.config.shape import close, nearest
from gateway.template import PARAMETER, parse

KNOWING = ("authenticate", "forward_auth")
"""Plugins that say who asks."""
Entries = Sequence[EntrySettings | None]
"""None stands for an entry whose mistake has been told."""


class Checks:
    """Reports to the document. Routes are checked although other parts of the policy have mistakes: `schema` is then None."""

    def __init__(self, document: Document, schema: PolicySchema | None, folder: FilePath, plugins: Container[str]) -> None:
        """`plugins` are the names of those there are."""
        self.document = document
        self.plugins = plugins
        self.schema = schema
        self.folder = folder
        upstreams = document.at(("upstreams",))
        self.upstreams = list(upstreams) if isinstance(upstreams, dict) else []
        self.is_upstreams_told = "upstreams" not in document.value and any(close(key, ["upstreams"], 0.8) for key in document.value)
        if upstreams is not None and not (isinstance(upstreams, dict) and all(isinstance(one, dict) for one in upstreams.values())):
            self.is_upstreams_told = True  # what they are called cannot be known
        self.common = names(document.at(("plugins",)))
        self.is_common_told = not isinstance(document.at(("plugins",)), list | None)
        self.named: dict[str, int] = {}
        self.matched: dict[tuple[object, ...], int] = {}
        self.missing: set[Path] = set()  # where a parameter that some route lacks has been told

    def routes(self, common: Entries, own: Sequence[Entries]) -> list[RouteSettings | None]:
        paths: list[Path] = [("routes", n) for n in range(len(own))]
        for path in paths:
            self._name(path)
        return [self._route(path, common, own[n]) for n, path in enumerate(paths)]

    def _route(self, path: Path, common: Entries, own: Entries) -> RouteSettings | None:
        self._upstream(path)
        self._without(path)
        self._answers(path, own)
        form = self._form(path)
        if form is None:
            return None
        self._match(path, form.match)
        route = RouteSettings(
            form.name or self._derived(int(path[1]), str(form.match)),
            form.match,
            form.upstream,
            form.upgrades,
            tuple(entry for entry in own if entry is not None),
            form.without,
            self.document.position(path),
            form.accept,
        )
        self._bodies(path, route, [entry for entry in common if entry is not None])
        self._parameters(path, route, common, own)
        self._known(path, route, common, own)
        return route

    def _form(self, path: Path) -> RouteSchema | None:
        if self.schema is not None:
            return self.schema.routes[int(path[1])]
        try:
            return RouteSchema.model_validate(self.document.at(path), context={"folder": self.folder})
        except ValidationError:
            return None  # its mistakes have been told with those of the whole

    def _text(self, path: Path) -> str | None:
        """The text at `path`; None for anything else, about which enough has been said."""
        value = self.document.at(path)
        return value if isinstance(value, str) and not self.document.is_unfilled(path) else None

    def _name(self, path: Path) -> None:
        name = self._text((*path, "name"))
        if name is not None and (other := self.named.setdefault(name, int(path[1]))) != path[1]:
            first = self.document.where(("routes", other), path)
            self.document.report((*path, "name"), f'{first} is called "{name}" too', "a name stands for one route")

    def _derived(self, n: int, text: str) -> str:
        """A name for a route without one: its match; two may differ in nothing that is told, and then in a number."""
        name, count = text, 1
        while self.named.setdefault(name, n) != n:
            count += 1
            name = f"{text} ({count})"
        return name

    def _match(self, path: Path, match: Match) -> None:
        n = int(path[1])
        if (other := self.matched.setdefault(match.key, n)) != n:
            first = self.document.where(("routes", other), path)
            self.document.report((*path, "match"), f"{first} takes the same requests, so this route is never reached")
        if self.document.at(("upstreams", self._text((*path, "upstream")) or "", "paths")) != "strict":
            try:
                parse(match.path)
            except ValueError as error:
                where = (*path, "match", "path") if isinstance(self.document.at((*path, "match")), dict) else (*path, "match")
                why, _, hint = str(error).partition("; ")
                self.document.report(where, why, hint)

    def _upstream(self, path: Path) -> None:
        name = self._text((*path, "upstream"))
        if name is not None and name not in self.upstreams and not self.is_upstreams_told:
            hint = nearest(name, self.upstreams) or "name it under upstreams"
            if "://" in name:
                hint = "write its name; where it runs stands under upstreams, as targets"
            self.document.report((*path, "upstream"), f'no upstream is called "{name}"', hint)
        if self.document.at((*path, "upgrades")) and self.document.at((*path, "upstream")) is None:
            self.document.report((*path, "upgrades"), "only an upstream can take an upgraded connection", "name one under upstream")

    def _without(self, path: Path) -> None:
        where: Path = (*path, "without")
        values = self.document.at(where)
        for place in [(*where, n) for n in range(len(values))] if isinstance(values, list) else [where]:
            name = self._text(place)
            if name is not None and name not in self.common and not self._is_common_told(name):
                own = names(self.document.at((*path, "plugins")))
                hint = "remove it from this route's own" if name in own else nearest(name, self.common)
                self.document.report(place, f'the common list has no plugin "{name}"', hint)

    def _is_common_told(self, name: str) -> bool:
        """The list is none, or the plugin is misspelt there: enough has been said."""
        return self.is_common_told or close(name, [one for one in self.common if one not in self.plugins], 0.8) != ""

    def _answers(self, path: Path, own: Entries) -> None:
        route = self.document.at(path)
        if (
            None in own
            or not isinstance(route, dict)
            or route.get("upstream") is not None
            or not {"match"} <= route.keys() <= RouteSchema.model_fields.keys()
        ):
            return  # not yet the route that is meant
        if not any(entry is not None and entry.may_answer for entry in own):
            self.document.report(path, "nothing answers here", "name an upstream, or a plugin that answers")

    def _bodies(self, path: Path, route: RouteSettings, common: Sequence[EntrySettings]) -> None:
        """An upgraded connection is a stream without end: a route that is made for them has no whole bodies."""
        is_written = self.document.at((*path, "upgrades")) is not None
        for entry in effective(common, route) if is_written and route.upgrades else ():
            if entry.needs_body and entry.mode != "off":
                hint = f"write without: [{entry.name}]" if entry in common else "remove one of them"
                why = f'plugin "{entry.name}" needs whole bodies, but this route streams ({self.document.where((*path, "upgrades"), path)})'
                self.document.report((*path, "upgrades"), why, hint)

    def _known(self, path: Path, route: RouteSettings, common: Entries, own: Entries) -> None:
        """A plugin whose settings need to know who asks stands below one that says it."""
        is_known = False
        for entry in effective([entry for entry in common if entry is not None], route):
            if entry.mode == "enforce" and entry.name in KNOWING:
                is_known = True
            elif entry.mode != "off" and not is_known and getattr(entry.settings, "needs_consumer", False):
                where = (*path, "plugins", list(own).index(entry)) if entry in own else path
                self.document.report(where, f"nobody above {entry.name} says who asks", "write authenticate above it")

    def _parameters(self, path: Path, route: RouteSettings, common: Entries, own: Entries) -> None:
        """What an entry puts in the place of {name} must be in the path of every route that has the entry."""
        passed = effective([entry for entry in common if entry is not None], route)
        for above, entries in (((), common), (path, own)):
            for n, entry in enumerate(entries):
                if entry is not None and entry in passed and entry.mode != "off":
                    self._fill(route, entry, (*above, "plugins", n, entry.name))

    def _fill(self, route: RouteSettings, entry: EntrySettings, path: Path) -> None:
        known = PARAMETER.findall(route.match.path)
        for keys, name in entry.plugin.placeholders(entry.settings):
            if name not in known and (*path, *keys) not in self.missing:
                self.missing.add((*path, *keys))
                hint = f"it has {', '.join(f'{{{one}}}' for one in known)}" if known else "write one there, as in /leads/{id}"
                if path[0] == "plugins":
                    hint = f"write without: [{entry.name}] there, or the entry in the routes that have it"
                self.document.report((*path, *keys), f'the path of route "{route.name}", {route.match.path}, has no {{{name}}}', hint)
