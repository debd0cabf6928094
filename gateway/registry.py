"""From a name in the YAML to a plugin class: the file name is the name, there is nothing to register."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import pkgutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import gateway_plugins

from gateway.plugin import Plugin

PluginClass = type[Plugin[Any]]


class Registry:
    """The built-in plugins, and those in the `plugins` folder beside the policy. Loaded when first asked for."""

    def __init__(self, beside: Path | None = None) -> None:
        self._builtin = {
            module.name: Path(path) / f"{module.name}.py" for path in gateway_plugins.__path__ for module in pkgutil.iter_modules([path])
        }
        folder = None if beside is None else beside / "plugins"
        self._own = {file.stem: file for file in sorted(folder.glob("[!_]*.py"))} if folder is not None and folder.is_dir() else {}
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
        spec = importlib.util.spec_from_file_location(f"policy_plugins.{name}", own)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        return module


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
