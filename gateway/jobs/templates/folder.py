"""A folder of templates, read and compiled at load: what is wrong with one is told before anything is sent with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import TemplateSyntaxError, nodes
from jinja2.meta import find_referenced_templates, find_undeclared_variables

from gateway.jobs.templates.renderer import Renderer
from gateway.jobs.templates.sandbox import sandbox

LARGEST = 256 << 10
"""Bytes of one file: a template is written by hand."""
MOST = 500
"""Files in the folder."""


class Templates:
    """Those of a folder, as they were when it was read. `close` ends the process that renders them."""

    def __init__(self, folder: Path) -> None:
        """Raises ValueError with every template that is none, each with file and line."""
        self.folder = folder
        self.texts = _read(folder)
        self._sandbox = sandbox(self.texts)
        self._parsed: dict[str, nodes.Template] = {}
        self._needed: dict[tuple[str, ...], list[str]] = {}
        mistakes = [mistake for name in self.texts if (mistake := self._parse(name))]
        if mistakes:
            raise ValueError("; ".join(mistakes))
        self._renderer = Renderer(self.texts)

    def has(self, name: str) -> bool:
        return name in self.texts

    def needs(self, names: Sequence[str]) -> list[str]:
        """What these templates, and all that they include, must be given, in the order of the alphabet."""
        key = tuple(names)
        if key not in self._needed:
            self._needed[key] = self._find_needs(names)
        return self._needed[key]

    def order(self, name: str) -> list[str]:
        """What a template writes, in the order in which it first does."""
        found = [node.name for node in self._parsed[name].find_all(nodes.Name) if node.ctx == "load"]
        return [one for one in dict.fromkeys(found) if one not in self._sandbox.globals]

    async def render(self, names: Sequence[str], data: Mapping[str, Any]) -> dict[str, str]:
        """The text of each template, by its name. Raises CannotRender."""
        return await self._renderer.render(names, data)

    async def close(self) -> None:
        await self._renderer.close()

    def _know(self, parsed: nodes.Template, name: str) -> None:
        """What compiling would find; that computes what is constant, however large, so it is left to the process that renders."""
        for kind, known in ((nodes.Filter, self._sandbox.filters), (nodes.Test, self._sandbox.tests)):
            for node in parsed.find_all(kind):
                if node.name not in known:
                    raise TemplateSyntaxError(f"no {kind.__name__.lower()} is called {node.name}", node.lineno, name)

    def _find_needs(self, names: Sequence[str]) -> list[str]:
        needed: set[str] = set()
        seen: set[str] = set()
        pending = list(names)
        while pending:
            name = pending.pop()
            if name in seen or name not in self._parsed:
                continue
            seen.add(name)
            needed |= find_undeclared_variables(self._parsed[name])
            pending += [other for other in find_referenced_templates(self._parsed[name]) if other is not None]
        return sorted(needed - set(self._sandbox.globals))

    def _parse(self, name: str) -> str:
        """Why the template is none; "" when it is one."""
        try:
            self._parsed[name] = parsed = self._sandbox.parse(self.texts[name], name)
            self._know(parsed, name)
        except TemplateSyntaxError as error:
            return f"{self.folder.name}/{name}:{error.lineno}: {error.message}"
        missing = [other for other in find_referenced_templates(self._parsed[name]) if other is not None and other not in self.texts]
        return f"{self.folder.name}/{name} includes {missing[0]}, which is not in the folder" if missing else ""


def _read(folder: Path) -> dict[str, str]:
    """The files below the folder by their names, those that begin with a dot left out (a ConfigMap's own folders among them)."""
    texts: dict[str, str] = {}
    try:
        for file in sorted(folder.rglob("*")):
            name = file.relative_to(folder)
            if not file.is_file() or any(part.startswith(".") for part in name.parts):
                continue
            if file.stat().st_size > LARGEST or len(texts) >= MOST:
                raise ValueError(f"{folder} holds more than templates: {name} is too large, or one of more than {MOST} files")
            texts[name.as_posix()] = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"the templates in {folder} cannot be read: {error}") from error
    return texts
