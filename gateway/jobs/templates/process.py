"""The process that renders templates: apart from the gateway, so that one that loops, or eats memory, takes nothing with it but itself.

Reads the templates, then a request after another; see gateway.jobs.templates.renderer, which speaks to it.
"""

from __future__ import annotations

import json
import resource
import signal
import sys
from typing import Any, BinaryIO

from gateway.jobs.templates.sandbox import Sandbox, render, sandbox, told

MEMORY = 512 << 20
"""Bytes of address space. The interpreter with Jinja2 has taken a fifth of it."""
TIME = 2.0
"""Seconds for all templates of one message; then the kernel ends this process, whatever it does, and whether or not anybody waits."""
LARGEST = 1 << 20
"""Characters that one template may write."""
LENGTH = 4
"""Bytes, big-endian, before each message."""


def main(source: BinaryIO, sink: BinaryIO) -> None:
    """Until `source` ends."""
    templates = read(source)
    if templates is None:
        return
    environment = sandbox(templates)
    while (asked := read(source)) is not None:
        signal.setitimer(signal.ITIMER_REAL, TIME)
        answer = answered(environment, asked)
        signal.setitimer(signal.ITIMER_REAL, 0)
        data = json.dumps(answer).encode()
        sink.write(len(data).to_bytes(LENGTH) + data)
        sink.flush()


def read(source: BinaryIO) -> Any:
    """The next message; None at the end."""
    head = source.read(LENGTH)
    return json.loads(source.read(int.from_bytes(head))) if len(head) == LENGTH else None


def answered(environment: Sandbox, asked: Any) -> dict[str, Any]:
    """`{"texts": {name: text}}`, or `{"why": ...}`."""
    texts: dict[str, str] = {}
    for name in asked["names"]:
        try:
            texts[name] = render(environment, name, asked["data"], LARGEST)
        except Exception as error:  # a template may raise anything; MemoryError is one
            return {"why": told(error, name)}
    return {"texts": texts}


if __name__ == "__main__":
    if sys.platform == "linux":  # elsewhere the kernel does not hold it, or knows it not
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    main(sys.stdin.buffer, sys.stdout.buffer)
