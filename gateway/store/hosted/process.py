"""The hosted store as a process of its own. `python -m gateway.store.hosted.process`, by the supervisor and never by hand."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
import sys
import time

import uvloop

from gateway.store.hosted.commands import Commands
from gateway.store.hosted.serving import Client

SWEEP = 0.1
"""Seconds between two parts of letting go of what is over."""


async def serve(listening: socket.socket, alive: socket.socket) -> None:
    """Until the supervisor's end of `alive` is closed, and no gateway is there any more: they may still end what they have begun."""
    clients: set[Client] = set()
    commands = Commands(lambda: time.time_ns() // 1000)
    loop = asyncio.get_running_loop()
    orphaned = asyncio.Event()

    def orphan() -> None:
        orphaned.set()
        loop.remove_reader(alive)

    loop.add_reader(alive, orphan)
    server = await loop.create_unix_server(lambda: Client(commands, clients), sock=listening)
    while clients or not orphaned.is_set():
        await asyncio.sleep(SWEEP)
        commands.sweep()
    server.close()


def main(listening: int, alive: int) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)  # they are meant for the supervisor
    gc.freeze()
    gc.disable()  # integers in tuples in dicts: no circles, and a million of them to look through
    uvloop.run(serve(socket.socket(fileno=listening), socket.socket(fileno=alive)))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
