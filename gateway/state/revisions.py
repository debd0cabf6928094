"""The policies that were in force, as they were written: text and included files, never the values of secrets or of the environment."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from gateway.state.folder import write
from gateway.state.record import now

MOST = 20
"""Revisions that are kept; the oldest goes."""


@dataclass(frozen=True, slots=True)
class Revision:
    number: int  # from 1
    time: str  # RFC 3339
    hash: str
    routes: int | None  # None: kept by a rollback, which does not ask whether it was ever in force
    files: Mapping[str, str]  # name, relative to the policy's folder -> text; the policy itself comes first


class Revisions:
    """Those below `folder`, a file each. Whatever writes raises OSError."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "revisions"

    def all(self) -> list[Revision]:
        """The oldest first; a file that is none is passed over."""
        found = [_read(path) for path in sorted(self._folder.glob("[0-9]*.json"))]
        return [revision for revision in found if revision is not None]

    def keep(self, files: Mapping[str, str], routes: int | None) -> int:
        """The number of the revision with these files: the newest, if nothing has changed since, else a new one."""
        kept = self.all()
        digest = hashed(files)
        newest = kept[-1] if kept else None
        if newest is not None and newest.hash == digest:
            return newest.number
        number = 1 if newest is None else newest.number + 1
        revision = Revision(number, now(), digest, routes, dict(files))
        write(self._path(number), json.dumps(asdict(revision), ensure_ascii=False, indent=2) + "\n")
        for old in kept[: max(0, len(kept) + 1 - MOST)]:
            self._path(old.number).unlink(missing_ok=True)
        return number

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:06}.json"


def _read(path: Path) -> Revision | None:
    try:
        return Revision(**json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def hashed(files: Mapping[str, str]) -> str:
    """Of names and texts; short, for people."""
    return hashlib.sha256(json.dumps(sorted(files.items())).encode()).hexdigest()[:12]
