"""Ports for processes that must be told theirs before they start.

One that the system gives to whoever binds port 0 may be an outgoing connection's a moment later, and then the process cannot listen.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from random import SystemRandom

_PORTS = SystemRandom().sample(range(10_000, 32_768), 5_000)
"""Below those of outgoing connections: Linux takes them from 32768 on, macOS from 49152. Each is given to one test only."""


def free_port() -> int:
    while True:
        port = _PORTS.pop()
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def free_ports(number: int) -> list[int]:
    return [free_port() for _ in range(number)]
