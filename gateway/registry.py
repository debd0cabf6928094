"""From a name in the YAML to a class, of a plugin or of a sender: the file name is the name, there is nothing to register."""

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
from typing import Any, Generic, TypeVar

import gateway_plugins

from gateway.jobs import senders
from gateway.jobs.handler import JobHandler
from gateway.plugin import Plugin

PluginClass = type[Plugin[Any]]
C = TypeVar("C")


class Classes(Generic[C]):
    """The built-in ones of a kind, and those in the folder of that kind beside the policy. Loaded when first asked for."""

    def __init__(self, noun: str, base: type[C], package: ModuleType, beside: Path | None, code: Mapping[str, str] | None) -> None:
        """With `code`, source by name, those beside the policy are these, whatever lies in their folder."""
        self._noun = noun
        self._base = base
        self._package = package.__name__
        self._builtin = {
            module.name: Path(path) / f"{module.name}.py" for path in package.__path__ for module in pkgutil.iter_modules([path])
        }
        folder = None if beside is None else beside / f"{noun}s"
        self._own = {file.stem: file for file in sorted(folder.glob("[!_]*.py"))} if folder is not None and folder.is_dir() else {}
        if folder is not None and code is not None:
            self._own = {name: folder / f"{name}.py" for name in code}
        self._kept = code
        self.code: dict[str, str] = {}  # source of those beside the policy that were loaded, by name
        self._loaded: dict[str, type[C]] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(sorted({*self._builtin, *self._own}))

    def __contains__(self, name: object) -> bool:
        return name in self._builtin or name in self._own

    def load(self, name: str) -> type[C]:
        """The class called `name`. Raises LookupError when there is none, or two; whatever its import raises."""
        if name not in self._loaded:
            self._loaded[name] = self._class_in(self._module(name), name)
        return self._loaded[name]

    def _module(self, name: str) -> ModuleType:
        own, builtin = self._own.get(name), self._builtin.get(name)
        if own is not None and builtin is not None and not _same(own, builtin):
            raise LookupError(f"{own} has the name of a built-in {self._noun}; rename it")
        if builtin is not None:
            return importlib.import_module(f"{self._package}.{name}")
        if own is None:
            raise LookupError(f'no {self._noun} is called "{name}"')
        source = self._kept[name].encode(errors="surrogateescape") if self._kept is not None else own.read_bytes()
        self.code[name] = source.decode(errors="surrogateescape")
        spec = importlib.util.spec_from_file_location(f"policy_{self._noun}s.{name}", own, loader=_Source(own, source))
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        return module

    def _class_in(self, module: ModuleType, name: str) -> type[C]:
        found = [
            value
            for value in vars(module).values()
            if inspect.isclass(value) and issubclass(value, self._base) and value.__module__ == module.__name__
        ]
        if len(found) != 1:
            raise LookupError(f'the file of {self._noun} "{name}" defines {len(found)} {self._noun} classes, not one')
        return found[0]


class Senders(Classes[JobHandler[Any]]):
    """Of those who do jobs."""

    def __init__(self, beside: Path | None = None, code: Mapping[str, str] | None = None) -> None:
        super().__init__("sender", JobHandler, senders, beside, code)


class Registry(Classes[Plugin[Any]]):
    """Of plugins; and of senders, which a policy has beside them."""

    def __init__(self, beside: Path | None = None, code: Mapping[str, str] | None = None, senders: Mapping[str, str] | None = None) -> None:
        super().__init__("plugin", Plugin, gateway_plugins, beside, code)
        self.senders = Senders(beside, senders)


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
