"""A request as an operator names it, and the bytes that a client would send."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address

CLIENT = "192.0.2.1"
"""Who sends what nobody in particular sends: an address for documentation (RFC 5737)."""
HOST = "localhost"

_URL = re.compile(r"(https?)://([^/?#]*)([^#]*)(?:#.*)?", re.IGNORECASE | re.DOTALL)
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


@dataclass(frozen=True, slots=True)
class Request:
    """`url` is a path, or a whole URL whose scheme and host the request then has."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    client: str = CLIENT

    def __post_init__(self) -> None:
        """Raises ValueError for what is not one request but part of the next."""
        if not _TOKEN.fullmatch(self.method):
            raise ValueError(f'"{self.method}" is no method')
        try:
            ip_address(self.client)
        except ValueError:
            raise ValueError(f'"{self.client}" is no IP address') from None
        if not self.url:
            raise ValueError("the URL is empty; write a path, as in /api, or a whole URL")
        if set(self.target) & set(" \r\n"):
            raise ValueError("a URL is written without blanks; percent-encode them")
        for name, value in self.headers:
            if not _TOKEN.fullmatch(name) or set(value) & set("\r\n\0"):
                raise ValueError(f'"{name}" is no header of one line; write Name: value')

    @property
    def scheme(self) -> str:
        whole = _URL.fullmatch(self.url)
        return whole[1].lower() if whole else "http"

    @property
    def target(self) -> str:
        """As it stands in the request line; nothing of it is normalized here."""
        whole = _URL.fullmatch(self.url)
        if whole is None:
            return self.url
        return whole[3] if whole[3][:1] == "/" else "/" + whole[3]

    @property
    def head(self) -> bytes:
        lines = [f"{self.method} {self.target} HTTP/1.1", *(f"{name}: {value}" for name, value in self._fields())]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape")

    def _fields(self) -> Sequence[tuple[str, str]]:
        given = {name.lower() for name, _ in self.headers}
        whole = _URL.fullmatch(self.url)
        host = [] if "host" in given else [("Host", whole[2] if whole else HOST)]
        is_framed = self.body is None or not given.isdisjoint(("content-length", "transfer-encoding"))
        length = [] if self.body is None or is_framed else [("Content-Length", str(len(self.body)))]
        return [*host, *self.headers, *length]
