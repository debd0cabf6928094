"""gateway.yaml, read and checked: what the application is built from, and nothing of it changes after."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from gateway.config.cache import CacheSettings
from gateway.config.checks import Checks
from gateway.config.document import Document
from gateway.config.entry import Entries, EntrySettings
from gateway.config.interpolation import Secret
from gateway.config.jobs import JobsSettings
from gateway.config.kept import Files, Kept
from gateway.config.masking import masked
from gateway.config.readiness import CheckSettings
from gateway.config.route import RouteSettings, effective
from gateway.config.schema import PolicySchema
from gateway.config.senders import SenderEntry, senders
from gateway.config.server import ServerSettings, TelemetrySettings
from gateway.config.sources import Sources
from gateway.config.store import StoreSettings
from gateway.config.upstream import UpstreamSettings
from gateway.config.validation import validate
from gateway.errors import ConfigError, Mistake
from gateway.registry import Registry

__all__ = ["EntrySettings", "Policy", "RouteSettings", "load", "loads"]


_QUANTITY = re.compile(r"\d{1,9}(\.\d+)?\s?[A-Za-z%]{0,3}")


@dataclass(frozen=True, slots=True, eq=False)
class Policy:
    """A policy without a mistake that could be seen before its plugins are built."""

    path: Path
    folder: Path  # absolute; what the policy refers to is named relative to it
    version: int
    environment: str  # "" when not told
    server: ServerSettings
    store: StoreSettings
    cache: CacheSettings
    telemetry: TelemetrySettings
    upstreams: Mapping[str, UpstreamSettings]
    plugins: tuple[EntrySettings, ...]  # of the common list, outermost first
    routes: tuple[RouteSettings, ...]
    files: tuple[Path, ...]  # absolute: all that it is made of, itself first; also a .env that is not there, and folders globs looked in
    accept: tuple[str, ...]  # rules that shall not warn
    checks: Mapping[str, CheckSettings]
    jobs: JobsSettings | None
    senders: tuple[SenderEntry, ...]  # who does the jobs
    _document: Document = field(repr=False)
    _registry: Registry = field(repr=False)

    def entries_for(self, route: RouteSettings) -> tuple[EntrySettings, ...]:
        """What a request of `route` passes, outermost first. A common entry is the same object in every route."""
        return effective(self.plugins, route)

    def parts(self) -> list[object]:
        """Most of what it is made of: for whoever would rather have it end a little at a time."""
        return [*self.routes, *self._document.parts()]

    def secrets(self, route: str) -> tuple[Secret, ...]:
        """What the plugins of the route of this name have from the environment, to be shown to nobody; a plain quantity is no secret."""
        found = next((one for one in self.routes if one.name == route), None)
        entries = self.plugins if found is None else self.entries_for(found)
        return tuple(secret for entry in entries for secret in entry.secrets if not _QUANTITY.fullmatch(secret[0]))

    @property
    def texts(self) -> dict[str, str]:
        """The policy as it was read, itself first, then the files it includes, each by its name from `folder` on; no secrets."""
        read = self._document.sources.texts
        files = [Path(name).absolute() for name in self._document.names]
        return {os.path.relpath(file, self.folder): read[file] for file in files}

    def shown(self, path: tuple[str | int, ...]) -> Any:
        """The value at `path` as it is written: what comes from the environment reads `${NAME}`."""
        return self._document.shown(path)

    @property
    def kept(self) -> Kept:
        """All that it was read from, so that `load` can make the same of it in another process: secrets, too."""
        disk = self._document.sources.disk
        return Kept(dict(disk.texts), dict(disk.found), self._registry.code, self._registry.senders.code)

    def masked(self) -> Any:
        """The policy as plain values, merged and filled in, with nothing secret in it. Milliseconds for a thousand routes."""
        return masked(self._document)

    def in_order(self, mistakes: Iterable[Mistake]) -> list[Mistake]:
        """File by file, the policy itself first, and in each from its beginning."""
        return self._document.in_order(mistakes)

    def mistake(self, path: tuple[str | int, ...], why: str, hint: str = "") -> Mistake:
        """A mistake that only showed when something was built from the settings at `path`."""
        return self._document.mistake(path, why, hint)


def load(
    path: Path | str,
    registry: Registry | None = None,
    env: Mapping[str, str] | None = None,
    *,
    env_files: Sequence[Path | str] = (),
    kept: Kept | None = None,
) -> Policy:
    """The policy in a file, or as it was `kept`. Raises ConfigError with every mistake, in the order of the files."""
    path = Path(path)
    sources = Sources(path.absolute().parent, env, Files(kept))
    if registry is None and kept is not None:
        registry = Registry(sources.folder, kept.code, kept.senders)
    with _naming_files(sources):
        return _compile(sources.read(path), path, registry, sources, env_files)


def loads(
    text: str,
    registry: Registry | None = None,
    env: Mapping[str, str] | None = None,
    *,
    path: Path | str = "gateway.yaml",
    env_files: Sequence[Path | str] = (),
) -> Policy:
    """The policy in `text`, as if it stood at `path`. Raises ConfigError.

    The registry is that of the policy's folder, the environment that of the process, unless given. Variables of `.env` in that folder
    and of `env_files`, the last first, stand behind the environment.
    """
    path = Path(path)
    sources = Sources(path.absolute().parent, env)
    sources.note(path)
    sources.texts[path.absolute()] = text
    with _naming_files(sources):
        return _compile(text, path, registry, sources, env_files)


@contextmanager
def _naming_files(sources: Sources) -> Iterator[None]:
    try:
        yield
    except ConfigError as error:
        error.files = tuple(sources.files)
        raise


def _compile(text: str, path: Path, registry: Registry | None, sources: Sources, env_files: Sequence[Path | str]) -> Policy:
    folder = sources.folder
    sources.add_env_files(env_files)
    document = Document(text, str(path), sources)
    for free in [key for key in document.value if key.startswith("x-")]:
        del document.value[free]
    registry = registry or Registry(folder)
    entries = Entries(document, registry, folder)
    common = entries.read(("plugins",))
    own = [entries.read(("routes", n, "plugins")) for n in range(_length(document))]
    schema = validate(PolicySchema, document, (), document.value, folder, registry)
    routes = Checks(document, schema, folder, registry).routes(common, own)
    workers = senders(document, registry.senders, folder)
    document.refuse()
    assert schema is not None
    return Policy(
        path,
        folder,
        schema.version,
        schema.environment or "",
        schema.server,
        schema.store,
        schema.cache,
        schema.telemetry,
        MappingProxyType(schema.upstreams),
        _whole(common),
        tuple(route for route in routes if route is not None),
        tuple(sources.files),
        schema.accept,
        MappingProxyType(schema.checks),
        schema.jobs,
        workers,
        document,
        registry,
    )


def _length(document: Document) -> int:
    routes = document.at(("routes",))
    return len(routes) if isinstance(routes, list) else 0


def _whole(entries: Sequence[EntrySettings | None]) -> tuple[EntrySettings, ...]:
    return tuple(entry for entry in entries if entry is not None)
