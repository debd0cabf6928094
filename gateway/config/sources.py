"""What a policy is made of beside its own text: the environment, `.env`, files of secrets; every file that is read is noted."""

from __future__ import annotations

import codecs
import os
from collections import ChainMap
from collections.abc import Mapping, Sequence
from pathlib import Path

from gateway.config import envfile
from gateway.config.interpolation import Unfilled
from gateway.config.kept import Files
from gateway.config.settings import kind
from gateway.errors import ConfigError, Mistake

SIZE = 8 << 20
"""Bytes of a policy file."""
SECRET = 64 << 10
"""Bytes of a file that a ${file:...} names."""
_RELATIVE = "a path is relative to the policy's folder"


class Sources:
    """`files` are absolute, each once, in the order in which they were asked for."""

    def __init__(self, folder: Path, env: Mapping[str, str] | None = None, disk: Files | None = None) -> None:
        """The environment is that of the process unless given, and files are as they are now."""
        self.folder = folder
        self.disk = disk or Files()
        self.env: Mapping[str, str] = os.environ if env is None else env
        self.files: dict[Path, None] = {}
        self.texts: dict[Path, str] = {}  # what was read, by its absolute path

    def note(self, path: Path) -> None:
        self.files[path.absolute()] = None

    def add_env_files(self, named: Sequence[Path | str]) -> None:
        """`.env` of the folder, when there is one, and `named` ones, the last first; the environment given wins over all.

        Raises ConfigError with every mistake in them.
        """
        beside = self.folder / ".env"
        self.note(beside)
        files = [Path(file) for file in named]
        variables: list[dict[str, str]] = []
        mistakes: list[Mistake] = []
        for file in [*([beside] if self.disk.has(beside) else []), *files]:
            try:
                variables.append(envfile.parse(self.read(file, "name one that is there: --env-file FILE"), str(file)))
            except ConfigError as error:
                mistakes += error.mistakes
        if mistakes:
            raise ConfigError(mistakes)
        self.env = ChainMap({}, *map(dict, [self.env, *reversed(variables)]))

    def read(self, path: Path, hint: str = "name the policy: gateway check path/to/gateway.yaml") -> str:
        """The text of a file. Raises ConfigError when it cannot be read, is too large or is not UTF-8."""
        self.note(path)
        try:
            data = self.disk.read(path, SIZE + 1)
        except FileNotFoundError:
            raise ConfigError([Mistake(str(path), 0, 0, "", "no such file", hint)]) from None
        except OSError as error:
            hint = f"name a file in it: {path}/..." if isinstance(error, IsADirectoryError) else ""
            raise ConfigError([Mistake(str(path), 0, 0, "", f"cannot be read: {error.strerror}", hint)]) from None
        if len(data) > SIZE:
            raise ConfigError([Mistake(str(path), 0, 0, "", f"larger than {SIZE >> 20} MiB")])
        try:
            text = self.texts[path.absolute()] = data.decode()
            return text
        except UnicodeDecodeError as error:
            before = data[: error.start]
            line, column = before.count(b"\n") + 1, len(before[before.rfind(b"\n") + 1 :].decode()) + 1
            raise ConfigError(
                [Mistake(str(path), line, column, "", f"byte 0x{data[error.start]:02X} is not UTF-8", _encoding(data))]
            ) from None

    def secret(self, name: str) -> str:
        """What the file of a ${file:name} holds, without the newline at its end. Raises Unfilled."""
        if not name or "\0" in name:
            raise Unfilled(f'"${{file:{name}}}" names no file', "write ${file:path/to/secret}")
        path, shown = self.folder / name, kind(name)
        self.note(path)
        try:
            if not self.disk.is_file(path):  # a pipe or a device might never end
                hint = "a file has no default" if ":-" in name else _RELATIVE
                raise Unfilled(f"{shown} is no file" if path.exists() else f"no such file: {shown}", hint)
            data = self.disk.read(path, SECRET + 1)
        except OSError as error:
            raise Unfilled(f"{shown} cannot be read: {error.strerror}") from None
        if len(data) > SECRET:
            raise Unfilled(f"{shown} is larger than {SECRET >> 10} KiB", "a secret is a short text")
        try:
            return data.decode().removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError:
            raise Unfilled(f"{shown} is not UTF-8", "a secret is text; encode it, as in base64") from None


def _encoding(data: bytes) -> str:
    """What to do about bytes that are no UTF-8."""
    if data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return "it is UTF-16; save it as UTF-8"
    if data[:2] == b"\x1f\x8b":
        return "it is compressed by gzip; unpack it"
    return "save it as UTF-8"
