"""One line of a table of requests: the bytes that are sent, and all that may come of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

LINE = b"GET /t HTTP/1.1"
HOST = b"Host: h"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"
"""Sent where a body might be: it must never be taken for a request."""


@dataclass(frozen=True, slots=True)
class Case:
    """`status`: of the answers, in their order. What is not said otherwise follows from it: see `targets` and `keeps`."""

    name: str
    source: str  # the rule or the story: a section of an RFC, a CVE, a known trick
    sent: bytes
    status: tuple[int, ...] = (400,)
    reached: tuple[bytes, ...] | None = None  # targets that the upstream sees; None: /t for each 2xx
    body: bytes = b""  # of the first request at the upstream
    has: tuple[bytes, ...] = ()  # lines that the first request has at the upstream
    lacks: tuple[bytes, ...] = ()  # names that it has not
    alive: bool | Literal["either"] | None = None  # the client's connection goes on; None: if nothing was refused
    methods: tuple[str, ...] = ()  # of the requests, where not GET

    @property
    def targets(self) -> tuple[bytes, ...]:
        return (b"/t",) * sum(status < 300 for status in self.status) if self.reached is None else self.reached

    def keeps(self, closes: bool) -> bool:
        """Whether the connection must go on; `closes`: the last answer says that it does not.

        "either": a body that is refused may have come whole by then, or not.
        """
        if self.alive == "either":
            return not closes
        return max(self.status) < 400 if self.alive is None else self.alive


def lines(*parts: bytes, body: bytes = b"") -> bytes:
    """A head of these lines, and a body."""
    return b"\r\n".join([*parts, b"", body])


def get(*fields: bytes, target: bytes = b"/t", version: bytes = b"1.1", body: bytes = b"") -> bytes:
    return lines(b"GET " + target + b" HTTP/" + version, HOST, *fields, body=body)


def post(*fields: bytes, body: bytes = b"", version: bytes = b"1.1") -> bytes:
    return lines(b"POST /t HTTP/" + version, HOST, *fields, body=body)


def refused(source: str, status: int, **sent: bytes) -> tuple[Case, ...]:
    """Cases that end alike: refused at once, and nothing goes upstream. Each keyword is a case's name."""
    return tuple(Case(name.replace("_", " "), source, data, (status,)) for name, data in sent.items())


def served(source: str, *, body: bytes = b"", **sent: bytes) -> tuple[Case, ...]:
    """Cases that end alike: one request to /t goes upstream."""
    return tuple(Case(name.replace("_", " "), source, data, (200,), body=body) for name, data in sent.items())


def named(kind: str, cases: tuple[Case, ...]) -> tuple[Case, ...]:
    return tuple(replace(case, name=f"{kind}: {case.name}") for case in cases)
