"""Where mail is handed over, as a URL says it."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import unquote, urlsplit

PORTS = {"smtp": 587, "smtps": 465}
"""RFC 6409, section 3.1; RFC 8314, section 3.3."""


class Server(NamedTuple):
    """Where mail is handed over."""

    host: str
    port: int
    is_tls: bool  # from the first byte
    starttls: bool | None  # None: if the server offers it
    username: str | None
    password: str | None

    @classmethod
    def at(cls, url: str, starttls: str) -> Server:
        """`smtp://user:password@host:587`, or smtps://. Raises ValueError."""
        parts = urlsplit(url)
        if parts.scheme not in PORTS or not parts.hostname or parts.path.strip("/") or parts.query or parts.fragment:
            raise ValueError(f"expected the URL of a mail server, as in smtp://user:password@smtp.example.com:{PORTS['smtp']}")
        is_tls = parts.scheme == "smtps"
        wanted = {"required": True, "if_offered": None, "never": False}[starttls]
        username, password = (None if text is None else unquote(text) for text in (parts.username, parts.password))
        return cls(parts.hostname, parts.port or PORTS[parts.scheme], is_tls, False if is_tls else wanted, username, password)
