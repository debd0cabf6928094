"""From a name in the YAML to a plugin class: the file name is the name, there is nothing to register."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import pkgutil
import sys
from collections.abc import Iterator, Mapping
from importlib.abc import SourceLoader
from pathlib import Path
from types import ModuleType
from typing import Any

import gateway_plugins

from gateway.plugin import Plugin

PluginClass = type[Plugin[Any]]


class Registry:
    """The built-in plugins, and those in the `plugins` folder beside the policy. Loaded when first asked for."""

    def __init__(self, beside: Path | None = None, code: Mapping[str, str] | None = None) -> None:
        """With `code`, source by name, the plugins beside the policy are those, whatever lies in their folder."""
        self._builtin = {
            module.name: Path(path) / f"{module.name}.py" for path in gateway_plugins.__path__ for module in pkgutil.iter_modules([path])
        }
        folder = None if beside is None else beside / "plugins"
        self._own = {file.stem: file for file in sorted(folder.glob("[!_]*.py"))} if folder is not None and folder.is_dir() else {}
        if folder is not None and code is not None:
            self._own = {name: folder / f"{name}.py" for name in code}
        self._kept = code
        self.code: dict[str, str] = {}  # source of the plugins beside the policy that were loaded, by name
        self._loaded: dict[str, PluginClass] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(sorted({*self._builtin, *self._own}))

    def __contains__(self, name: object) -> bool:
        return name in self._builtin or name in self._own

    def load(self, name: str) -> PluginClass:
        """The class of the plugin `name`. Raises LookupError when there is none, or two; whatever its import raises."""
        if name not in self._loaded:
            self._loaded[name] = _plugin_in(self._module(name), name)
        return self._loaded[name]

    def _module(self, name: str) -> ModuleType:
        own, builtin = self._own.get(name), self._builtin.get(name)
        if own is not None and builtin is not None and not _same(own, builtin):
            raise LookupError(f"{own} has the name of a built-in plugin; rename it")
        if builtin is not None:
            return importlib.import_module(f"gateway_plugins.{name}")
        if own is None:
            raise LookupError(f'no plugin is called "{name}"')
        source = self._kept[name].encode(errors="surrogateescape") if self._kept is not None else own.read_bytes()
        self.code[name] = source.decode(errors="surrogateescape")
        spec = importlib.util.spec_from_file_location(f"policy_plugins.{name}", own, loader=_Source(own, source))
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        return module


class _Source(SourceLoader):
    """Code as it was read once: what is kept of it is what runs."""

    def __init__(self, path: Path, source: bytes) -> None:
        self._path = path
        self._source = source

    def get_filename(self, fullname: str) -> str:
        return str(self._path)

    def get_data(self, path: str) -> bytes:
        if path != str(self._path):
            raise FileNotFoundError(path)  # its bytecode
        return self._source


def _same(own: Path, builtin: Path) -> bool:
    """A checkout's own plugins stand beside its policy: a file that is the built-in one, byte for byte, is no clash."""
    return own.samefile(builtin) or own.read_bytes() == builtin.read_bytes()


def _plugin_in(module: ModuleType, name: str) -> PluginClass:
    found = [
        value
        for value in vars(module).values()
        if inspect.isclass(value) and issubclass(value, Plugin) and value.__module__ == module.__name__
    ]
    if len(found) != 1:
        raise LookupError(f'the file of plugin "{name}" defines {len(found)} plugin classes, not one')
    return found[0]
