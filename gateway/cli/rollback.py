"""`gateway rollback`: write an older policy in the place of the current one, and reload the gateway that runs by it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

from gateway.cli import MISTAKES, OK
from gateway.cli.mistakes import compiled, tell
from gateway.cli.reload import reload
from gateway.config.policy import Policy, load
from gateway.errors import ConfigError, Mistake
from gateway.state.folder import folder_of, write
from gateway.state.record import running
from gateway.state.revisions import Revision, Revisions, hashed


def main(arguments: argparse.Namespace) -> int:
    path = Path(arguments.policy)
    folder = folder_of(path, arguments.state)
    revisions = Revisions(folder)
    try:
        current = _current(path, arguments.env_file)
        wanted = _chosen(revisions, arguments.revision, hashed(current))
        kept = revisions.keep(current, None)
        _put(path, wanted, arguments.env_file)
    except ConfigError as error:
        tell(error, sys.stderr)
        return MISTAKES
    except (OSError, UnicodeDecodeError, LookupError) as error:
        sys.stderr.write(f"gateway rollback: {error.args[0] if isinstance(error, LookupError) else error}\n")
        return MISTAKES
    sys.stdout.write(f"{path} is revision {wanted.number} again; what it held is revision {kept}\n")
    state = running(folder)
    return OK if state is None else reload(folder, state)


def _chosen(revisions: Revisions, number: int | None, current: str) -> Revision:
    """The one of this number; without one, the newest that is not what the file holds now. Raises LookupError."""
    for one in reversed(revisions.all()):
        if one.number == number or (number is None and one.hash != current and one.routes is not None):
            return one
    raise LookupError("there is no earlier revision" if number is None else f"there is no revision {number}; gateway revisions lists them")


def _current(path: Path, env_files: list[str]) -> dict[str, str]:
    """The files of the policy as they are now; the policy's own alone, when it does not load."""
    try:
        return load(path, env_files=env_files).texts
    except ConfigError:
        return {path.name: path.read_bytes().decode()}


def _put(path: Path, wanted: Revision, env_files: list[str]) -> None:
    """Raises ConfigError when the older policy does not load any more: then all is as it was."""
    folder = path.absolute().parent
    before = {name: _text(folder / name) for name in wanted.files}
    try:
        _write(folder, wanted.files)
        _refuse_more(compiled(str(path), env_files), wanted)
    except BaseException:
        _write(folder, {name: text for name, text in before.items() if text is not None})
        for name in [name for name, text in before.items() if text is None]:
            (folder / name).unlink(missing_ok=True)
        raise


def _write(folder: Path, files: Mapping[str, str]) -> None:
    """The policy itself last: a gateway that looks meanwhile finds what it includes."""
    for name, text in reversed(list(files.items())):
        write((folder / name).resolve(), text)  # what is a link stays one


def _refuse_more(policy: Policy, wanted: Revision) -> None:
    """A pattern in `include` may find files that were not there then."""
    more = sorted(set(policy.texts) - set(wanted.files))
    why = f"is included too, and was not part of revision {wanted.number}"
    if more:
        raise ConfigError([Mistake(str(policy.folder / name), 0, 0, "", why, "move it away") for name in more])


def _text(path: Path) -> str | None:
    return path.read_bytes().decode() if path.exists() else None
