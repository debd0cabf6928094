"""The hosted store, as a process that a test may freeze and kill as it does with Redis."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

from tests.store.servers import Mortal


class Hosted(Mortal):
    """On a socket that outlives it, as the supervisor's does."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "store")
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(self.path)
        self._listening.listen()
        self._alive, self._theirs = socket.socketpair()

    @property
    def url(self) -> str:
        return f"unix://{self.path}"

    def start(self) -> Hosted:
        """Returns when it answers."""
        passed = (self._listening.fileno(), self._theirs.fileno())
        self.process = subprocess.Popen([sys.executable, "-m", "gateway.store.hosted.process", *map(str, passed)], pass_fds=passed)
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(20)
            line.connect(self.path)
            line.sendall(b"*1\r\n$4\r\nPING\r\n")
            assert line.recv(100) == b"$4\r\nPONG\r\n"
        return self

    def orphan(self) -> None:
        """Its supervisor has died."""
        self._alive.close()

    def close(self) -> None:
        self.kill()
        for one in (self._listening, self._alive, self._theirs):
            one.close()
