"""`gateway keys create|list|revoke`: the API keys of a file, which a running gateway reads again when it changes."""

from __future__ import annotations

import argparse
import datetime
import json
import sys
from pathlib import Path

from pydantic import ValidationError

from gateway.cli import MISTAKES, OK
from gateway.config.settings import duration
from gateway.identity import keyfile
from gateway.state.folder import write


def main(arguments: argparse.Namespace) -> int:
    path = Path(arguments.file)
    try:
        act = {"create": _create, "list": _list, "revoke": _revoke}[arguments.action]
        act(arguments, path, _read(path, may_lack=arguments.action == "create"))
    except ValidationError as error:
        sys.stderr.write(f"gateway keys: {keyfile.mistakes(error)}\n")
        return MISTAKES
    except (OSError, ValueError, LookupError) as error:
        sys.stderr.write(f"gateway keys: {error.args[0] if isinstance(error, LookupError) else error}\n")
        return MISTAKES
    return OK


def _create(arguments: argparse.Namespace, path: Path, keys: list[keyfile.Key]) -> None:
    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    expires = None if arguments.expires is None else now + datetime.timedelta(seconds=duration(arguments.expires))
    made = keyfile.new(arguments.consumer, arguments.group, now, expires, _labels(arguments.label))
    _write(path, [*keys, made.kept])
    sys.stdout.write(f"{made.text}\n")
    sys.stderr.write(f"key {made.kept.id} of {made.kept.consumer} is in {path}; it is shown this once\n")


def _list(arguments: argparse.Namespace, path: Path, keys: list[keyfile.Key]) -> None:
    if arguments.json:
        shown = [key.model_dump(mode="json", exclude={"sha256"}) for key in keys]
        sys.stdout.write(json.dumps({"keys": shown}, indent=2) + "\n")
        return
    now = datetime.datetime.now(datetime.UTC)
    for key in keys:
        ends = "" if key.expires is None else f", {'expired' if key.expires <= now else 'expires'} {key.expires:%Y-%m-%d %H:%M}"
        groups = f", in {', '.join(key.groups)}" if key.groups else ""
        labels = "".join(f", {name}={value}" for name, value in key.labels.items())
        sys.stdout.write(f"{key.id}  {key.consumer}{groups}{labels}{ends}\n")


def _revoke(arguments: argparse.Namespace, path: Path, keys: list[keyfile.Key]) -> None:
    """By the id, or by the key itself, which is what leaks."""
    wanted = keyfile.id_of(arguments.key) or arguments.key
    left = [key for key in keys if key.id != wanted]
    if len(left) == len(keys):
        raise LookupError(f"{path} has no key {wanted}; gateway keys list shows them")
    _write(path, left)
    sys.stdout.write(f"key {wanted} is revoked\n")


def _labels(given: list[str]) -> dict[str, str]:
    pairs = [one.partition("=") for one in given]
    if wrong := [name for name, equals, _ in pairs if not name or not equals]:
        raise ValueError(f"a label is NAME=VALUE, not {wrong[0] or 'nothing'}")
    return {name: value for name, _, value in pairs}


def _read(path: Path, *, may_lack: bool) -> list[keyfile.Key]:
    if may_lack and not path.exists():
        return []
    return list(keyfile.parse(path.read_bytes(), str(path)))


def _write(path: Path, keys: list[keyfile.Key]) -> None:
    """A new file is its owner's alone; one that is there keeps its mode."""
    write(path.resolve(), keyfile.text(keys))
