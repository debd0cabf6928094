"""What a stubbed upstream does when it is asked: an answer, or one of the ways not to answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from gateway.exchange import Headers

Failure = Literal["refused", "reset", "timeout"]
"""No connection; a connection that breaks before a byte of an answer; no answer within the upstream's time limit."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    delay: float = 0.0  # seconds of the rehearsal's clock before the head
    fail: Failure | None = None

    def data(self, method: str) -> bytes:
        """The bytes as the upstream sends them."""
        fields = [*self.headers]
        if self.status not in (204, 304):
            fields.append(("Content-Length", str(len(self.body))))
        head = "".join(f"{name}: {value}\r\n" for name, value in fields)
        body = b"" if method == "HEAD" or self.status in (204, 304) else self.body
        return f"HTTP/1.1 {self.status} \r\n{head}\r\n".encode("utf-8", "surrogateescape") + body


@dataclass(frozen=True, slots=True)
class Sent:
    """A request that reached an upstream: what it would have read from its socket."""

    upstream: str
    method: str
    target: str
    headers: Headers
    body: bytes


Ask = Callable[[Sent], Answer]
"""Chooses the answer. Whether a connection is refused is asked with what is about to be sent, too."""
