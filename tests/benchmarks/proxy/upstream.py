"""What every peer stands in front of: nginx serving a file where it is installed, else a server of our own."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.proxy import sink
from tests.benchmarks.proxy.peer import Place, find
from tests.benchmarks.proxy.peers import nginx
from tests.benchmarks.proxy.process import free_port, running


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """A temporary one that a server may read which gives up root's rights."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        path = Path(name)
        path.chmod(0o755)
        yield path


@contextlib.contextmanager
def leads(core: int) -> Iterator[tuple[int, str]]:
    """The port of one that serves the leads and a GiB of zeros, and its name."""
    with folder() as place:
        port = free_port()
        if find("nginx") is None:
            name, command = "the benchmark's own", _command(port)
        else:
            name, command = "nginx", nginx.serving(Place(place, port, 0, None), {sink.LEADS: sink.BODY, sink.ZEROS: sink.GIB})
        with running(command, core, place) as process:
            process.wait_until_answering(port, sink.LEADS, {})
            yield port, name


@contextlib.contextmanager
def own(core: int) -> Iterator[int]:
    """The port of one that answers in one write, and reads uploads to their end before it answers 204."""
    with folder() as place:
        port = free_port()
        with running(_command(port), core, place) as process:
            process.wait_until_answering(port, sink.LEADS, {})
            yield port


def _command(port: int) -> list[str]:
    return [sys.executable, sink.__file__, str(port)]
