"""Where a Redis is, and what is said to it first: from a URL."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

SCHEMES = ("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel")
_PLAIN = re.compile(r"[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[0-9]+)?")
PORT, SENTINEL_PORT = 6379, 26379


@dataclass(frozen=True, slots=True)
class Address:
    """One server, or the sentinels that know it. Its text never holds a password."""

    host: str = ""
    port: int = PORT
    path: str = ""  # of a unix socket
    username: str = ""
    password: str = field(default="", repr=False)
    db: int = 0
    tls: bool = False
    ca: str = ""  # a PEM file of those who may vouch for the server; empty: the system's
    sentinels: tuple[tuple[str, int], ...] = ()
    master: str = ""
    sentinel_password: str = field(default="", repr=False)
    called: str = ""  # what it is told as, in place of where it is

    def __str__(self) -> str:
        if self.called:
            return self.called
        if self.path:
            return f"unix://{self.path}" + (f"?db={self.db}" if self.db else "")
        scheme = "rediss" if self.tls else "redis"
        db = f"/{self.db}" if self.db else ""
        if self.sentinels:
            return f"{scheme}+sentinel://{','.join(_pair(*pair) for pair in self.sentinels)}/{self.master}{db}"
        return f"{scheme}://{_pair(self.host, self.port)}{db}"

    def context(self) -> ssl.SSLContext | None:
        """Raises OSError when the authorities' file cannot be read."""
        return ssl.create_default_context(cafile=self.ca or None) if self.tls else None


def _pair(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def parse(url: str) -> Address:
    """Raises ValueError with what is wrong and what to write instead; never with the password."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError("it is no URL; write redis://host:6379/0") from None
    if parts.scheme not in SCHEMES:
        raise ValueError(f"a store is one of memory://, {', '.join(f'{scheme}://' for scheme in SCHEMES)}{_meant(url)}")
    query = parse_qs(parts.query, keep_blank_values=True)
    unknown = sorted(query.keys() - ({"db"} if parts.scheme == "unix" else {"ca"} if parts.scheme.startswith("rediss") else set()))
    if unknown:
        raise ValueError(f"the URL's query may not say {unknown[0]}; settings stand beside the url")
    username, password = unquote(parts.username or ""), unquote(parts.password or "")
    if parts.scheme == "unix":
        path = unquote(parts.netloc.rpartition("@")[2] + parts.path)
        if not path.startswith("/"):
            raise ValueError("unix:// is followed by the socket's absolute path, as in unix:///run/redis.sock")
        return Address(path=path, db=_db(query.get("db", ["0"])[0]), username=username, password=password)
    tls, ca = parts.scheme.startswith("rediss"), query.get("ca", [""])[0]
    if parts.scheme.endswith("sentinel"):
        master, _, db = parts.path.strip("/").partition("/")
        if not master:
            raise ValueError("the name that the sentinels know it by is missing, as in redis+sentinel://host1,host2/mymaster")
        return Address(
            db=_db(db or "0"), tls=tls, ca=ca, sentinels=_sentinels(parts), master=unquote(master), username=username, password=password
        )
    host, port = host_and_port(parts.netloc.rpartition("@")[2], PORT)
    return Address(host, port, db=_db(parts.path.strip("/") or "0"), tls=tls, ca=ca, username=username, password=password)


def _meant(url: str) -> str:
    """The hint for a URL without its scheme."""
    if url.lower() in ("memory", "local", "none"):
        return "; write memory://"
    if url.lower() in ("redis", "valkey"):
        return "; write redis://host:6379"
    return f"; write redis://{url}" if _PLAIN.fullmatch(url) else ""


def _sentinels(parts: SplitResult) -> tuple[tuple[str, int], ...]:
    return tuple(host_and_port(pair, SENTINEL_PORT) for pair in parts.netloc.rpartition("@")[2].split(","))


def host_and_port(text: str, port: int) -> tuple[str, int]:
    """Of `host`, `host:2000` or `[::1]:2000`; `port` stands in for one that is not said. Raises ValueError."""
    try:
        parts = urlsplit(f"//{text}")
        host, found = parts.hostname, parts.port
    except ValueError:
        host = found = None
    if host and not re.fullmatch(r"[!-~]+", host):
        raise ValueError("a host is a name or an address without blanks; write redis://host:6379/0")
    if not host or found == 0:
        raise ValueError("a host is missing, or its port is none; write redis://host:6379/0")
    return host, found or port


def _db(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 6):
        raise ValueError("a database is a number, as in redis://host:6379/0")
    return int(text)
