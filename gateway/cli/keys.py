"""`gateway keys create|list|revoke`: the API keys of a file, or of the store; running gateways hear of a change by themselves."""

from __future__ import annotations

import argparse
import datetime
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from pydantic import ValidationError

from gateway.cli import MISTAKES, OK
from gateway.cli.storing import answer
from gateway.config.settings import duration
from gateway.identity import keyfile
from gateway.state.folder import write
from gateway.store.memory import ADDRESS


class _Told(Exception):
    """It was not done, and that has been told."""


class _Place(Protocol):
    """Where keys are kept. Raises _Told, OSError, ValueError and LookupError."""

    def add(self, key: keyfile.Key) -> str:
        """And where it is then."""

    def all(self) -> Sequence[keyfile.About]: ...

    def remove(self, id_: str) -> None: ...


def main(arguments: argparse.Namespace) -> int:
    place: _Place = _Store(arguments) if arguments.store else _File(Path(arguments.file))
    try:
        {"create": _create, "list": _list, "revoke": _revoke}[arguments.action](arguments, place)
    except _Told:
        return MISTAKES
    except ValidationError as error:
        sys.stderr.write(f"gateway keys: {keyfile.mistakes(error)}\n")
        return MISTAKES
    except (OSError, ValueError, LookupError) as error:
        sys.stderr.write(f"gateway keys: {error.args[0] if isinstance(error, LookupError) else error}\n")
        return MISTAKES
    return OK


def _create(arguments: argparse.Namespace, place: _Place) -> None:
    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    expires = None if arguments.expires is None else now + datetime.timedelta(seconds=duration(arguments.expires))
    made = keyfile.new(arguments.consumer, arguments.group, now, expires, _labels(arguments.label))
    where = place.add(made.kept)
    sys.stdout.write(f"{made.text}\n")
    sys.stderr.write(f"key {made.kept.id} of {made.kept.consumer} is in {where}; it is shown this once\n")


def _list(arguments: argparse.Namespace, place: _Place) -> None:
    keys = place.all()
    if arguments.json:
        sys.stdout.write(json.dumps({"keys": [keyfile.shown(key) for key in keys]}, indent=2) + "\n")
        return
    now = datetime.datetime.now(datetime.UTC)
    for key in keys:
        ends = "" if key.expires is None else f", {'expired' if key.expires <= now else 'expires'} {key.expires:%Y-%m-%d %H:%M}"
        groups = f", in {', '.join(key.groups)}" if key.groups else ""
        labels = "".join(f", {name}={value}" for name, value in key.labels.items())
        sys.stdout.write(f"{key.id}  {key.consumer}{groups}{labels}{ends}\n")


def _revoke(arguments: argparse.Namespace, place: _Place) -> None:
    """By the id, or by the key itself, which is what leaks."""
    wanted = keyfile.id_of(arguments.key) or arguments.key
    place.remove(wanted)
    sys.stdout.write(f"key {wanted} is revoked\n")


def _labels(given: list[str]) -> dict[str, str]:
    pairs = [one.partition("=") for one in given]
    if wrong := [name for name, equals, _ in pairs if not name or not equals]:
        raise ValueError(f"a label is NAME=VALUE, not {wrong[0] or 'nothing'}")
    return {name: value for name, _, value in pairs}


class _File:
    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, key: keyfile.Key) -> str:
        self._write([*(self.all() if self._path.exists() else ()), key])
        return str(self._path)

    def all(self) -> list[keyfile.Key]:
        return list(keyfile.parse(self._path.read_bytes(), str(self._path)))

    def remove(self, id_: str) -> None:
        keys = self.all()
        left = [key for key in keys if key.id != id_]
        if len(left) == len(keys):
            raise LookupError(f"{self._path} has no key {id_}; gateway keys list shows them")
        self._write(left)

    def _write(self, keys: list[keyfile.Key]) -> None:
        """A new file is its owner's alone; one that is there keeps its mode."""
        write(self._path.resolve(), keyfile.text(keys))


class _Store:
    """The key itself stays with this command: what it sends is its hash."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._arguments = arguments

    def add(self, key: keyfile.Key) -> str:
        store = self._asked("keys_add", {"key": key.model_dump(mode="json", exclude_defaults=True)})["store"]
        return f"{store}, which keeps it until the gateway ends" if store == ADDRESS else f"{store}"

    def all(self) -> list[keyfile.About]:
        return [keyfile.About.model_validate(one) for one in self._asked("keys_list", {})["keys"]]

    def remove(self, id_: str) -> None:
        self._asked("keys_revoke", {"id": id_})

    def _asked(self, operation: str, asking: dict[str, Any]) -> Any:
        found = answer("keys", self._arguments, operation, asking)
        if found is None:
            raise _Told
        return found
