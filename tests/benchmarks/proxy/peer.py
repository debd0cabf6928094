"""A proxy under measurement: what it is, how it is started, and how to see that it does what its row claims."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

BIN = Path(sys.executable).parent
LIMIT = 1_000_000_000
"""Requests in a window, more than any run makes: they are counted, and none is refused."""
UPSTREAM_CONNECTIONS = 1024
"""Idle connections to the upstream that each peer may keep, where it asks: as many as the largest number of clients."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where one start of a peer lives."""

    folder: Path  # of its files; empty at the start, world-readable
    port: int  # where it listens, on 127.0.0.1
    upstream: int  # the port of what it stands in front of
    node_modules: Path | None

    def write(self, name: str, text: str) -> str:
        """The file's path."""
        file = self.folder / name
        file.write_text(text)
        return str(file)


@dataclass(frozen=True, slots=True)
class Peer:
    """`configure` writes the configuration into its place and returns the command that serves there in the foreground."""

    name: str
    does: str
    program: str
    install: str  # the command that brings it
    version: tuple[str, ...]  # the arguments with which it tells its version; for Node.js: the packages
    configure: Callable[[Place], list[str]]
    status: int = 200
    headers: frozenset[str] = frozenset()  # what a reply must have, in lower case: that the policy is really there
    is_node: bool = False

    def missing(self, node_modules: Path | None) -> str:
        """What is not there, and the command that brings it; empty when all is."""
        if find(self.program) is None:
            return f"{self.program} is not installed: {self.install}"
        if self.is_node:
            if node_modules is None:
                return f"--node-modules is not given: {self.install}; --node-modules node_modules"
            if absent := [name for name in self.version if not (node_modules / name / "package.json").exists()]:
                return f"{', '.join(absent)} not in {node_modules}: {self.install}"
        return ""

    def told_version(self, node_modules: Path | None) -> str:
        """One line."""
        if self.is_node and node_modules is not None:
            script = "console.log(process.argv.slice(1).map(p => p + ' ' + require(p + '/package.json').version).join(', '))"
            packages = [str(node_modules / name) for name in self.version]
            told = _output([self.program, "-e", script, *packages]).replace(f"{node_modules}{os.sep}", "")
            return f"node: {_output([self.program, '--version'])}, {told}"
        path = find(self.program) or self.program
        return f"{Path(path).name}: {_output([path, *self.version]).removeprefix(path).strip()}"


def find(program: str) -> str | None:
    """The path of a program: beside this interpreter, where PyPI puts it, before the rest of PATH; Debian's sbin too."""
    return shutil.which(program, path=os.pathsep.join([str(BIN), os.environ.get("PATH", ""), "/usr/sbin"]))


def _output(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    return ((done.stdout or done.stderr).strip().splitlines() or [""])[0]
