"""1 GiB down and up through a proxy: how fast, and how much memory that takes."""

from __future__ import annotations

import contextlib
import socket
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from tests.benchmarks.proxy import upstream
from tests.benchmarks.proxy.peer import Peer, Place
from tests.benchmarks.proxy.peers import gateway, nginx
from tests.benchmarks.proxy.process import NotServing, free_port, running
from tests.benchmarks.proxy.sink import GIB, LEADS, ZEROS
from tests.benchmarks.proxy.table import markdown, ratio

PIECE = memoryview(bytes(1 << 20))
PATIENCE = 120.0  # seconds without a byte


@dataclass(frozen=True, slots=True)
class Passage:
    seconds: float
    grown: int  # bytes of memory at the peak, more than before


def download(port: int) -> None:
    """Raises ConnectionError when it is not whole."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
        client.sendall(f"GET {ZEROS} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
        buffer = bytearray(1 << 20)
        head = b""
        while b"\r\n\r\n" not in head:
            head += _some(client, buffer)
        head, _, rest = head.partition(b"\r\n\r\n")
        if b" 200 " not in head.splitlines()[0]:
            raise ConnectionError(f"refused: {head!r}")
        left = GIB - len(rest)
        while left and (count := client.recv_into(buffer)):
            left -= count
        if left:
            raise ConnectionError(f"{left:,} bytes are missing")


def upload(port: int) -> None:
    """Raises ConnectionError when it is not taken."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
        client.sendall(f"POST /zeros HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {GIB}\r\nConnection: close\r\n\r\n".encode())
        for _ in range(GIB // len(PIECE)):
            client.sendall(PIECE)
        answer = _some(client, bytearray(4096))
        if b" 204 " not in answer:
            raise ConnectionError(f"refused: {answer!r}")


def _some(client: socket.socket, buffer: bytearray) -> bytes:
    count = client.recv_into(buffer)
    if not count:
        raise ConnectionError("closed before the answer")
    return bytes(buffer[:count])


def report(rounds: int, cores: tuple[int, int]) -> str:
    """The table, and what is missing. `cores`: the server's and that of everything else, this process included."""
    peers = [peer for peer in (nginx.STREAMING, gateway.STREAMING) if not peer.missing(None)]
    rows: list[list[str]] = []
    with upstream.leads(cores[1]) as (leads, _), upstream.own(cores[1]) as sink:
        for what, move, behind in (("download", download, leads), ("upload", upload, sink)):
            move(behind)  # the first time the file is read from the disk
            passages: defaultdict[str, list[Passage]] = defaultdict(list)
            for _ in range(rounds):
                passages["nothing"].append(Passage(_seconds(move, behind), 0))
                for peer in peers:
                    passages[peer.name].append(_through(peer, move, behind, cores[0]))
            rows += _rows(what, passages)
    missing = [f"\nnot measured: {peer.name}: {why}" for peer in (nginx.STREAMING,) if (why := peer.missing(None))]
    return markdown(("1 GiB", "through", "MB/s", "x nginx", "memory grown MB"), rows, texts=2) + "".join(missing)


def _rows(what: str, passages: dict[str, list[Passage]]) -> list[list[str]]:
    speeds = {name: GIB / 1e6 / median(one.seconds for one in many) for name, many in passages.items()}
    return [
        [what, name, f"{speed:,.0f}", ratio(speed, speeds.get("nginx", 0)), f"{max(one.grown for one in passages[name]) / (1 << 20):.1f}"]
        for name, speed in speeds.items()
    ]


def _through(peer: Peer, move: Callable[[int], None], behind: int, core: int) -> Passage:
    """Raises NotServing when it breaks."""
    with contextlib.ExitStack() as stack:
        place = Place(stack.enter_context(upstream.folder()), free_port(), behind, None)
        process = stack.enter_context(running(peer.configure(place), core, place.folder))
        process.wait_until_answering(place.port, LEADS, {})
        before = process.resident()
        process.forget_peak()
        try:
            seconds = _seconds(move, place.port)
        except OSError as error:
            raise NotServing(f"{peer.name}: {error}") from error
        return Passage(seconds, process.most_resident() - before)


def _seconds(move: Callable[[int], None], port: int) -> float:
    started = time.monotonic()
    move(port)
    return time.monotonic() - started
