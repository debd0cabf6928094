"""Where a schema stands, and what its references lead to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urljoin

from gateway.content.documents import Folder

FAR = 20
"""References of references that are followed."""


@dataclass(frozen=True, slots=True)
class Source:
    """A schema as it was written, in the policy or in a file."""

    schema: Any
    base: str  # the URI that its $refs start from
    folder: Folder
    root: Any  # the whole document that has this URI
    file: Path | None = None
    at: tuple[str | int, ...] = ()  # where it stands in the file, when it is a part of it

    def part(self, *path: str | int) -> Source:
        """What stands at `path` in a document that is no schema itself."""
        pointer = "".join(f"/{quote(str(step).replace('~', '~0').replace('/', '~1'))}" for step in path)
        return replace(self.holding({"$ref": f"{self.base}#{pointer}"}), at=path)

    def holding(self, schema: Any) -> Source:
        """A schema that refers to parts of the document. Its URI is its own: what has that of the file is taken for the file."""
        return replace(self, schema=schema, base=f"{self.base}~")

    def inner(self, schema: Any) -> Source:
        """A schema inside this one."""
        return replace(self, schema=schema)

    def followed(self) -> Source:
        """Where its own $ref leads, and that one's; itself without one. An empty one where only the library can tell."""
        found = self
        for _ in range(FAR):
            reference = found.schema.get("$ref") if isinstance(found.schema, dict) else None
            if not isinstance(reference, str):
                return found
            found = found._referred(reference)
        return found.inner({})

    @property
    def keywords(self) -> dict[str, Any]:
        """Those that are asked for, here or where its $ref leads."""
        found = self.followed().schema
        return found if isinstance(found, dict) else {}

    def _referred(self, reference: str) -> Source:
        """Raises ValueError for what lies outside the folder."""
        file, _, pointer = urljoin(self.base, reference).partition("#")
        root = self.root if file == self.base else self.folder.at(file)
        found = root
        steps = [step.replace("~1", "/").replace("~0", "~") for step in unquote(pointer).split("/")[1:]]
        for step in steps:
            if isinstance(found, dict):
                found = found.get(step)
            elif isinstance(found, list) and step.isdecimal() and int(step) < len(found):
                found = found[int(step)]
            else:
                found = None
        return replace(self, schema=found, base=file, root=root, at=tuple(steps))
