"""One entry of a list of plugins: `name`, or `{name: settings}` with `mode` beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

from gateway.config import familiar
from gateway.config.belonging import BESIDE, SWITCHES
from gateway.config.document import Document
from gateway.config.interpolation import Secret, conceal
from gateway.config.position import Path, Position
from gateway.config.settings import Settings, kind
from gateway.config.shape import keys, nearest
from gateway.config.validation import validate
from gateway.config.when import When
from gateway.config.wording import either
from gateway.errors import Mistake
from gateway.plugin import HOOKS, Mode, Plugin
from gateway.registry import PluginClass, Registry

MODES: tuple[Mode, ...] = ("enforce", "observe", "off")
WATCHING = ("dry_run", "log_only", "report_only", "shadow")
"""What people write for `mode: observe`."""
_SWITCHED = {True: "enforce", False: "off"}
_ON = {"on": True, "enabled": True, "yes": True, "off": False, "disabled": False, "no": False, "none": False}


@dataclass(frozen=True, slots=True, eq=False)
class EntrySettings:
    """One entry, checked. Compared by identity: the plugin of a common entry is one instance for all routes."""

    name: str
    settings: Settings = field(repr=False)
    mode: Mode
    plugin: PluginClass
    position: Position
    shown: Any  # the settings as written, what came from the environment as ${NAME}
    secrets: tuple[Secret, ...] = field(default=(), repr=False)

    @property
    def may_answer(self) -> bool:
        """Whether a request can end here with a reply: its on_request returns one, or does not say what it returns."""
        returned = str(self.plugin.on_request.__annotations__.get("return", "Reply"))
        return self.mode == "enforce" and "on_request" in self.hooks and "Reply" in returned

    @property
    def hooks(self) -> tuple[str, ...]:
        """What the plugin does, in the order of contract and exchange."""
        return tuple(hook for hook in HOOKS if getattr(self.plugin, hook) is not getattr(Plugin, hook))

    @property
    def needs_body(self) -> bool:
        """It reads whole bodies, as all of its plugin do, or as its settings ask for."""
        return self.plugin.needs_body or bool(getattr(self.settings, "needs_body", False))

    def mistake(self, error: Exception | str) -> Mistake:
        """The mistake for what only the plugin's constructor could see; its message is `why; what to write instead`."""
        why, _, hint = conceal(str(error) or type(error).__name__, self.secrets).partition("; ")
        return self.position.mistake(why, hint)


class Entries:
    """Reads the lists of one policy. What is wrong is reported to the document."""

    def __init__(self, document: Document, registry: Registry, folder: FilePath) -> None:
        self.document = document
        self.registry = registry
        self.folder = folder

    def read(self, path: Path) -> list[EntrySettings | None]:
        """The entries of the list at `path`; None for each that has a mistake."""
        values = self.document.at(path)
        entries = [self._entry((*path, n), value) for n, value in enumerate(values)] if isinstance(values, list) else []
        self._refuse_twice(path, entries)
        return entries

    def _entry(self, path: Path, value: Any) -> EntrySettings | None:
        before = len(self.document.mistakes)
        name = self._name(path, value)
        mode = self._mode(path, value)
        if name is None or (plugin := self._plugin(path, name)) is None:
            return None
        settings_path = (*path, name)
        written = self.document.at(settings_path)
        if (switched := written if isinstance(written, bool) else _ON.get(written) if isinstance(written, str) else None) is not None:
            hint = "write its name alone" if switched else "write mode: off beside its name, or remove it"
            self.document.report(settings_path, f"a plugin is not turned {'on' if switched else 'off'} like this", hint)
            return None
        settings = validate(plugin.settings, self.document, settings_path, {} if written is None else written, self.folder)
        position = self.document.position(settings_path, at_key=True)
        shown, secrets = self.document.shown(settings_path), self.document.secrets(settings_path)
        if settings is None or self.document.is_unfilled(path):
            return None
        entry = EntrySettings(name, settings, mode, plugin, position, shown, secrets)
        self._refuse_unobservable(path, entry)
        return entry if len(self.document.mistakes) == before else None

    def _name(self, path: Path, value: Any) -> str | None:
        if isinstance(value, str):
            return value
        if not isinstance(value, dict):
            self.document.report(path, f"expected a plugin, got {self.document.kind(path)}", "write its name, or name: {settings}")
            return None
        names: list[str] = [key for key in value if key not in BESIDE]
        if not names:
            self.document.report(path, "this entry names no plugin", "write - name, or - name: {settings}")
            return None
        if "name" in names and "name" not in self.registry:
            shown = self.document.shown((*path, "name"))
            name = shown if isinstance(shown, str) and shown in self.registry else "NAME"
            self.document.report((*path, "name"), "a plugin's name is itself the key", f"write - {name}: {{settings}}", at_key=True)
            return None
        if len(names) == 1:
            return names[0]
        plugins = [name for name in names if name in self.registry]
        if len(plugins) != 1:
            self.document.report((*path, names[1]), "a second plugin in one entry", "begin it with a dash of its own", at_key=True)
            return None
        return self._refuse_beside(path, plugins[0], [name for name in names if name != plugins[0]])

    def _refuse_beside(self, path: Path, name: str, strangers: Sequence[str]) -> str | None:
        """Keys beside a plugin's name: its settings, not indented enough, or a misspelt `mode`. The name, if more can be said of it."""
        plugin = self._plugin(path, name) if name in self.registry else None
        settings = keys((plugin.settings,)) if plugin is not None else []
        if self.document.at((*path, name)) is None and any(key in settings for key in strangers):
            why = f"{' and '.join(strangers)} {'stand' if len(strangers) > 1 else 'stands'} beside {name}, not below it"
            self.document.report((*path, strangers[0]), why, "indent by two spaces more", at_key=True)
            return None
        for key in strangers:
            hint = f"indent it further, to stand below {name}" if key in settings else nearest(key, BESIDE)
            if key in MODES or key in WATCHING:
                hint = f"write mode: {key if key in MODES else 'observe'}"
            elif key == "if":
                hint = "write when: {env: NAME}"
            if key in SWITCHES:
                hint = "a plugin works where it stands; mode: off, beside its name, turns it off"
            self.document.report((*path, key), "unknown key", hint, at_key=True)
        return name

    def _mode(self, path: Path, value: Any) -> Mode:
        if not isinstance(value, dict):
            return "enforce"
        mode = value.get("mode", "enforce")
        if mode not in MODES and not self.document.is_unfilled((*path, "mode")):
            got = self.document.kind((*path, "mode"))
            hint = nearest(mode, MODES) if isinstance(mode, str) else f"write {_SWITCHED[mode]}" if isinstance(mode, bool) else ""
            self.document.report((*path, "mode"), f"expected {either(MODES)}, got {got}", hint if "known here" not in hint else "")
        if not self._counts(path, value):
            return "off"
        return mode if mode in MODES else "enforce"

    def _counts(self, path: Path, value: dict[str, Any]) -> bool:
        """Whether this is the environment that the entry is for."""
        if "when" not in value:
            return True
        when = validate(When, self.document, (*path, "when"), value["when"], self.folder)
        return when is None or when.holds(self.document.sources.env)

    def _plugin(self, path: Path, name: str) -> PluginClass | None:
        """The class, or None: unknown, or its file is broken."""
        where = (*path, name) if isinstance(self.document.at(path), dict) else path
        if self.document.is_unfilled(where):
            return None
        if name not in self.registry:
            first = name.partition(":")[0].strip()
            meant = familiar.plugin(name)
            hint = f"here it is written {meant}" if meant else nearest(name, self.registry)
            if not hint and not self.document.secrets(where):
                hint = f"known here: {', '.join(self.registry)}"
            if meant.split(":")[0] not in self.registry and meant:
                hint = f"known here: {', '.join(self.registry)}"
            if ":" in name and first in self.registry:
                hint = f"write it without quotes, and with a space after the colon: - {first}: ..."
            self.document.report(where, f"unknown plugin {kind(name)}", hint, at_key=True)
            return None
        try:
            return self.registry.load(name)
        except LookupError as error:
            self.document.report(where, str(error), at_key=True)
        except Exception as error:  # a plugin's file may fail in any way
            self.document.report(where, f'plugin "{name}" cannot be loaded: {type(error).__name__}: {error}', at_key=True)
        return None

    def _refuse_unobservable(self, path: Path, entry: EntrySettings) -> None:
        if entry.mode == "observe" and entry.plugin.unobservable:
            why = f'plugin "{entry.name}" cannot be observed: {entry.plugin.unobservable}'
            self.document.report((*path, "mode"), why, "write enforce or off")

    def _refuse_twice(self, path: Path, entries: Sequence[EntrySettings | None]) -> None:
        seen: set[str] = set()
        for n, entry in enumerate(entries):
            if entry is not None and entry.plugin.once and not entry.plugin.several:
                if entry.name in seen:
                    self.document.report((*path, n), f'plugin "{entry.name}" stands twice in this list, but works once', "keep one")
                seen.add(entry.name)


def names(values: Any) -> list[str]:
    """The plugins that a list of entries names, right or wrong."""
    entries = values if isinstance(values, list) else []
    return [
        key
        for entry in entries
        for key in ([entry] if isinstance(entry, str) else entry if isinstance(entry, dict) else [])
        if key not in BESIDE
    ]
