"""gateway.yaml, read and checked: what the application is built from, and nothing of it changes after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from gateway.config.checks import Checks
from gateway.config.document import Document, read
from gateway.config.entry import Entries, EntrySettings
from gateway.config.route import RouteSettings, effective
from gateway.config.schema import PolicySchema
from gateway.config.server import ServerSettings, StoreSettings, TelemetrySettings
from gateway.config.upstream import UpstreamSettings
from gateway.config.validation import validate
from gateway.errors import Mistake
from gateway.registry import Registry

__all__ = ["EntrySettings", "Policy", "RouteSettings", "load", "loads"]


@dataclass(frozen=True, slots=True, eq=False)
class Policy:
    """A policy without a mistake that could be seen before its plugins are built."""

    path: Path
    folder: Path  # absolute; what the policy refers to is named relative to it
    version: int
    server: ServerSettings
    store: StoreSettings
    telemetry: TelemetrySettings
    upstreams: Mapping[str, UpstreamSettings]
    plugins: tuple[EntrySettings, ...]  # of the common list, outermost first
    routes: tuple[RouteSettings, ...]
    _document: Document = field(repr=False)

    def entries_for(self, route: RouteSettings) -> tuple[EntrySettings, ...]:
        """What a request of `route` passes, outermost first. A common entry is the same object in every route."""
        return effective(self.plugins, route)

    def mistake(self, path: tuple[str | int, ...], why: str, hint: str = "") -> Mistake:
        """A mistake that only showed when something was built from the settings at `path`."""
        return self._document.mistake(path, why, hint)


def load(path: Path | str, registry: Registry | None = None, env: Mapping[str, str] | None = None) -> Policy:
    """The policy in a file. Raises ConfigError with every mistake, in the order of the file."""
    return loads(read(Path(path)), registry, env, path=path)


def loads(
    text: str, registry: Registry | None = None, env: Mapping[str, str] | None = None, *, path: Path | str = "gateway.yaml"
) -> Policy:
    """The policy in `text`, as if it stood at `path`. Raises ConfigError.

    The registry is that of the policy's folder, the environment that of the process, unless given.
    """
    path = Path(path)
    folder = path.absolute().parent
    document = Document(text, str(path), env)
    for free in [key for key in document.value if key.startswith("x-")]:
        del document.value[free]
    entries = Entries(document, registry or Registry(folder), folder)
    common = entries.read(("plugins",))
    own = [entries.read(("routes", n, "plugins")) for n in range(_length(document))]
    schema = validate(PolicySchema, document, (), document.value, folder)
    routes = Checks(document, schema, folder).routes(common, own)
    document.refuse()
    assert schema is not None
    return Policy(
        path,
        folder,
        schema.version,
        schema.server,
        schema.store,
        schema.telemetry,
        MappingProxyType(schema.upstreams),
        _whole(common),
        tuple(route for route in routes if route is not None),
        document,
    )


def _length(document: Document) -> int:
    routes = document.at(("routes",))
    return len(routes) if isinstance(routes, list) else 0


def _whole(entries: Sequence[EntrySettings | None]) -> tuple[EntrySettings, ...]:
    return tuple(entry for entry in entries if entry is not None)
