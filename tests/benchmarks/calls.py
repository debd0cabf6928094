"""How many calls one proxied GET makes: `python -m tests.benchmarks.calls`. Unlike times, they are the same on any machine.

A front runs in this process and one client asks it over a real socket from a thread of its own; only the front's thread is
counted. `Python` are calls of Python functions (a coroutine that goes on is one more), `built-in` those of C functions made by
Python code. The least of many requests, for a sweep or an answer that comes in two pieces is not what is asked about here; less
what the measurement itself makes.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import uvloop

from gateway.app import App
from gateway.config.policy import loads
from gateway.server.front import Front
from gateway.server.listener import Address, Listener
from gateway.telemetry.lines import LineWriter
from tests.benchmarks.proxy import load, upstream
from tests.benchmarks.proxy.peer import Place
from tests.benchmarks.proxy.peers import gateway
from tests.benchmarks.proxy.sink import LEADS
from tests.benchmarks.proxy.table import markdown

WARM = 5  # requests after which connections are open and the header block is known
REQUESTS = 51
REQUEST = "".join(
    [f"GET {LEADS} HTTP/1.1\r\nHost: 127.0.0.1\r\n", *(f"{name}: {value}\r\n" for name, value in load.HEADERS.items()), "\r\n"]
).encode()

REFUSED = "the reference policy, 429"
PLUGINS = (*gateway.COMMON, gateway.RATE_LIMIT)
UPSTREAM = "upstream: leads"
POLICIES: dict[str, tuple[tuple[str, ...], str]] = {
    "bare": ((), UPSTREAM),
    **{f"bare + {plugin.partition(':')[0]}": ((plugin,), UPSTREAM) for plugin in PLUGINS},
    "the reference policy": (PLUGINS, UPSTREAM),
    "the same, from the cache": (PLUGINS, gateway.CACHED),
    REFUSED: ((*gateway.COMMON, gateway.REFUSING), UPSTREAM),
    "hello (respond)": ((), "plugins: [{respond: {json: {hello: world}}}]"),
}


@dataclass(slots=True)
class Calls:
    """What sys.setprofile tells of one stretch."""

    python: int = 0
    builtin: int = 0
    functions: Counter[CodeType] = field(default_factory=Counter)

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        if event == "call":
            self.python += 1
            self.functions[frame.f_code] += 1
        elif event == "c_call":
            self.builtin += 1


class Client:
    """One connection kept alive; `ask` blocks until the answer is whole."""

    def __init__(self, port: int) -> None:
        self.status = b""  # of the last answer
        self._socket = socket.create_connection(("127.0.0.1", port), 10)

    def ask(self) -> None:
        self._socket.sendall(REQUEST)
        answer = self._some()
        while b"\r\n\r\n" not in answer:
            answer += self._some()
        head, _, body = answer.partition(b"\r\n\r\n")
        self.status = head[9:12]
        length = int(head.lower().partition(b"\r\ncontent-length: ")[2].partition(b"\r\n")[0])
        while len(body) < length:
            body += self._some()

    def _some(self) -> bytes:
        data = self._socket.recv(65536)
        if not data:
            raise RuntimeError("closed instead of answered")
        return data

    def close(self) -> None:
        self._socket.close()


def nap() -> None:
    """Asks for nothing, but not at once: the loop waits for it as for an answer."""
    time.sleep(0.001)


async def counted(act: Callable[[], object]) -> Calls:
    """The calls that the loop's thread makes while `act` runs in another."""
    loop = asyncio.get_running_loop()
    calls = Calls()
    sys.setprofile(calls)
    try:
        await loop.run_in_executor(None, act)
    finally:
        sys.setprofile(None)
    return calls


async def one_request(policy: str, status: bytes) -> Calls:
    """The least, less those of the measurement. Raises RuntimeError when the last answer has another status."""
    with open(os.devnull, "wb") as nowhere:
        lines = LineWriter(nowhere.fileno())
        app = App(loads(policy), lines.write)
        listener = Listener(Address("127.0.0.1", 0))
        front = Front(app, [listener])
        await app.start()
        front.start()
        client = Client(listener.address.port)
        try:
            for _ in range(WARM):
                await counted(client.ask)
            nothing = [await counted(nap) for _ in range(REQUESTS)]
            requests = [await counted(client.ask) for _ in range(REQUESTS)]
            if client.status != status:
                raise RuntimeError(f"answered {client.status!r}")
        finally:
            client.close()
            await front.drain()
            await app.stop()
            lines.stop()
    return _less(_least(requests), _least(nothing))


def _least(many: list[Calls]) -> Calls:
    return min(many, key=lambda calls: (calls.python, calls.builtin))


def _less(calls: Calls, other: Calls) -> Calls:
    return Calls(calls.python - other.python, calls.builtin - other.builtin, calls.functions - other.functions)


def report(counts: dict[str, Calls]) -> str:
    bare = counts["bare"]
    rows = [
        (
            name,
            str(calls.python),
            str(calls.builtin),
            "" if calls is bare else f"{calls.python - bare.python:+d}",
            "" if calls is bare else f"{calls.builtin - bare.builtin:+d}",
        )
        for name, calls in counts.items()
    ]
    return markdown(("one GET", "Python", "built-in", "Python, to bare", "built-in, to bare"), rows)


def by_function(calls: Calls) -> str:
    return "\n".join(
        f"{count:>4}  {code.co_qualname} ({'/'.join(Path(code.co_filename).parts[-2:])}:{code.co_firstlineno})"
        for code, count in calls.functions.most_common()
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.calls", description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--list", choices=POLICIES, metavar="ROW", help="instead: the Python functions called for a row of the table")
    wanted = parser.parse_args().list
    cores = sorted(os.sched_getaffinity(0))
    with upstream.own(cores[-1]) as port:
        chosen = {name: POLICIES[name] for name in ([wanted] if wanted else POLICIES)}
        counts = {
            name: uvloop.run(
                one_request(gateway.policy(Place(Path(), 0, port, None), plugins, route), b"429" if name == REFUSED else b"200")
            )
            for name, (plugins, route) in chosen.items()
        }
    print(by_function(counts[wanted]) if wanted else report(counts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
