"""What a policy was read from, kept, so that another process can read the same, whatever the disk holds by then."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from glob import glob
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Kept:
    """Secrets are in it: it goes from process to process, never to a disk or a log."""

    texts: Mapping[str, str]  # absolute path -> what it held: the policy, what it includes, files of variables and of secrets
    found: Mapping[str, list[str]]  # a pattern of `include` -> the files that it found
    code: Mapping[str, str]  # name of a plugin beside the policy -> its source
    senders: Mapping[str, str] = field(default_factory=dict)  # the same of senders

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Kept:
        return cls(**values)

    @property
    def values(self) -> dict[str, Any]:
        """As JSON values."""
        return {"texts": dict(self.texts), "found": dict(self.found), "code": dict(self.code), "senders": dict(self.senders)}

    @property
    def digest(self) -> str:
        """The same for the same policy, and for no other."""
        return hashlib.sha256(json.dumps(self.values, sort_keys=True).encode()).hexdigest()


@dataclass(slots=True)
class Files:
    """Reads from the disk and remembers what it found; with `kept`, finds what was there when that was read, and nothing else."""

    kept: Kept | None = None
    texts: dict[str, str] = field(default_factory=dict)
    found: dict[str, list[str]] = field(default_factory=dict)

    def read(self, path: Path, most: int) -> bytes:
        """What the file holds, up to `most` bytes. Raises OSError."""
        name = str(path.absolute())
        if self.kept is not None:
            if name not in self.kept.texts:
                raise FileNotFoundError(name)
            data = self.kept.texts[name].encode(errors="surrogateescape")[:most]
        else:
            with path.open("rb") as stream:
                data = stream.read(most)
        self.texts[name] = data.decode(errors="surrogateescape")
        return data

    def has(self, path: Path) -> bool:
        """Whether there is anything of that name."""
        return path.exists() if self.kept is None else str(path.absolute()) in self.kept.texts

    def is_file(self, path: Path) -> bool:
        return path.is_file() if self.kept is None else self.has(path)

    def matching(self, folder: Path, pattern: str) -> list[Path]:
        """The files below `folder` that a pattern of the shell's finds, in no order. Raises OSError or ValueError."""
        where = str(folder.absolute() / pattern)
        if self.kept is not None:
            files = [Path(file) for file in self.kept.found.get(where, [])]
        else:
            files = [path for name in glob(pattern, root_dir=folder, recursive=True) if (path := folder / name).is_file()]
        self.found[where] = [str(file) for file in files]
        return files
