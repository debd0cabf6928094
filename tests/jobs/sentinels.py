"""A master, its replica, and the sentinel that watches over them."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.free_ports import free_ports
from tests.store.servers import BINARIES, Mortal, Server


class Sentinels(Mortal):
    """`servers` are the master that there was at first, and its replica; `url` is how a policy names them.

    A master that knows no replica takes no writes: else it would take, before it hears that it is none any more, what then is lost.
    """

    def __init__(self, folder: Path, kind: str = "valkey") -> None:
        *ports, port = free_ports(3)
        options = ("--appendonly", "yes", "--min-replicas-to-write", "1", "--repl-diskless-sync-delay", "0")
        self.servers: list[Server] = []
        for name, one, more in (("a", ports[0], ()), ("b", ports[1], ("--replicaof", "127.0.0.1", str(ports[0])))):
            (folder / name).mkdir()
            self.servers.append(Server(folder / name, kind, *options, *more, port=one))
        self._conf = folder / "conf"
        self._conf.write_text(
            f"port {port}\nunixsocket {folder / 's'}\nsentinel monitor jobs 127.0.0.1 {ports[0]} 1\n"
            "sentinel down-after-milliseconds jobs 300\nsentinel failover-timeout jobs 2000\n"
        )
        self._command = [BINARIES[kind], str(self._conf), "--sentinel"]
        self._sentinel = Server(folder, kind, port=port)  # never started: it is asked as a server is
        self.url = f"redis+sentinel://127.0.0.1:{port}/jobs"

    def start(self) -> Sentinels:
        for server in self.servers:
            server.start()
        until(lambda: b"state=online" in told(self.servers[0], "INFO"))
        self.process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(lambda: b"slaves=1" in told(self._sentinel, "INFO"))
        return self

    @property
    def master(self) -> Server:
        """The one that the sentinel names."""
        found = self._sentinel.say("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "jobs")
        assert isinstance(found, list)
        return next(server for server in self.servers if server.port == int(found[1]))

    def fail_over(self) -> Server:
        """Have the replica take over from a master that is well, and wait for that. The master that there is then."""
        before = self.master
        until(lambda: self._sentinel.say("SENTINEL", "FAILOVER", "jobs") == b"OK")
        until(lambda: self.master is not before)
        return self.master

    def kill(self) -> None:
        super().kill()
        for server in self.servers:
            server.kill()


def told(server: Server, *command: str) -> bytes:
    try:
        found = server.say(*command)
    except OSError:
        return b""
    return found if isinstance(found, bytes) else b""


def until(true: Callable[[], bool], within: float = 30.0) -> None:
    deadline = time.monotonic() + within
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)
