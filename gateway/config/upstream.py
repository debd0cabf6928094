"""The `upstreams` block of a policy: the services behind the gateway and how they are spoken to."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, model_validator
from pydantic.json_schema import WithJsonSchema

from gateway.authority import hostname, is_name_or_ipv4, valid_host
from gateway.config.balance import Balance
from gateway.config.certificate import CERTIFICATE, holds, usable
from gateway.config.recovery import HealthSettings, OutlierSettings, RetrySettings
from gateway.config.settings import Duration, File, OneOrMany, Settings, kind
from gateway.errors import BadRequest

_BARE = re.compile(r"(?:[A-Za-z][A-Za-z0-9.-]*|[0-9]{1,3}(?:\.[0-9]{1,3}){3})(?::[0-9]{1,5})?")
_SLASHES = re.compile(r"(https?)[:/]+([A-Za-z0-9.-]+(?::[0-9]{1,5})?)", re.IGNORECASE)
_PREFIX = re.compile(r"(?:/[A-Za-z0-9._~-]+)+/?")
_EXAMPLE = "write http://host:port or https://host:port"


def target(value: Any) -> str:
    """`http(s)://host[:port]` in lower case and without a slash at the end. Raises ValueError; parts are never shown alone."""
    if not isinstance(value, str):
        raise ValueError(f"{kind(value)} is no target; {_EXAMPLE}")
    scheme, _, rest = value.partition("://")
    if scheme.lower() not in ("http", "https") or not rest:
        meant = f"write http://{value}" if _BARE.fullmatch(value) else _EXAMPLE
        if (slashes := _SLASHES.fullmatch(value)) is not None:
            meant = f"write {slashes[1].lower()}://{slashes[2]}"
        raise ValueError(f"{kind(value)} is no target; {meant}")
    try:
        parts = urlsplit("//" + rest)
    except ValueError:  # a bracket that is not closed
        raise ValueError(f"{kind(value)} is no target; {_EXAMPLE}") from None
    if "@" in parts.netloc:
        raise ValueError("a target holds no user and password; send them with the headers plugin")
    if "://" in rest:
        raise ValueError(f"{kind(value)} is no target, it is several; write a list: [http://one:3000, http://two:3000]")
    if parts.path not in ("", "/") or "?" in rest or "#" in rest:
        raise ValueError(
            "a target holds no path and no query; the path of the request is what goes upstream, and the rewrite plugin changes it"
            + (f": rewrite: {{add_prefix: {parts.path.rstrip('/')}}}" if _PREFIX.fullmatch(parts.path) else "")
        )
    try:
        authority = valid_host(parts.netloc)
    except BadRequest:
        raise ValueError(f"{kind(value)} is no target; {_wrong(parts.netloc)}") from None
    if parts.port == 0:
        raise ValueError(f"{kind(value)} is no target; a port is from 1 to 65535")
    if not authority.startswith("[") and not is_name_or_ipv4(hostname(authority)):
        raise ValueError(f"{kind(value)} is no target; a host of numbers is an IPv4 address, as in 10.0.0.7")
    return f"{scheme.lower()}://{authority}"


def _wrong(netloc: str) -> str:
    """What to write for a host and port that cannot be."""
    host, _, port = netloc.rpartition(":")
    if netloc.count(":") > 1 and "[" not in netloc:
        return "an IPv6 address stands in brackets, as in http://[::1]:3000"
    return "a port is from 1 to 65535" if host and port.isdecimal() and int(port) > 65535 else _EXAMPLE


Target = Annotated[str, BeforeValidator(target), WithJsonSchema({"type": "string", "pattern": "^[Hh][Tt][Tt][Pp][Ss]?://[^/@?#]+/?$"})]


class Keepalive(Settings):
    """Connections that are kept open between two requests."""

    idle: Duration = Field(4.0, gt=0, description="How long; below the upstream's own limit (Node closes at 5 s).")
    max: int = Field(100, ge=0, description="How many idle connections for each target.")


class UpstreamTimeouts(Settings):
    """How long the gateway waits for an upstream; then 504."""

    connect: Duration = Field(1.0, gt=0, description="For a connection, TLS included.")
    head: Duration = Field(10.0, gt=0, description="For the head of the answer, from the last byte of the request; for each try anew.")
    idle: Duration = Field(30.0, gt=0, description="The longest gap between two pieces of the answer.")


class UpstreamTls(Settings):
    """How https targets are trusted, and how the gateway shows who it is."""

    ca: File | None = Field(None, description="The authorities to trust, a PEM file; without it, those of the system.")
    cert: File | None = Field(None, description="The gateway's own certificate, a PEM file, for upstreams that ask for one.")
    key: File | None = Field(None, description="The private key of `cert`.")
    server_name: str = Field("", description="The name the certificate must bear, and the one sent as SNI; without it, the target's host.")
    verify: bool = Field(True, description="false: accept any certificate. Only for tests.")

    @model_validator(mode="after")
    def _is_pair(self) -> Self:
        if (self.cert is None) != (self.key is None):
            raise ValueError("cert and key belong together; write both")
        if self.ca is not None:
            holds("ca", self.ca, CERTIFICATE)
        if self.cert is not None and self.key is not None:
            usable(self.cert, self.key)
        return self


class UpstreamSettings(Settings):
    """One service behind the gateway."""

    targets: OneOrMany[Target] = Field(
        min_length=1, description="Where it runs: `http://host:port` or `https://host:port`; several share the load."
    )
    paths: Literal["loose", "strict"] = Field(
        "loose",
        description="How it tells paths apart. `loose`: case and a trailing slash make no difference, as in Express, and so they make none "
        "to the routes either; `strict`: each spelling is a path of its own.",
    )
    balance: Balance = Field(
        "round_robin",
        description="How a target is chosen. `round_robin`: each in its turn; `least_request`: of two at random, the one with fewer "
        "requests under way; `{hash: {by: client}}`: the same one for the same client.",
    )
    keepalive: Keepalive = Field(default_factory=Keepalive, description="Connections that are kept open between two requests.")
    timeouts: UpstreamTimeouts = Field(default_factory=UpstreamTimeouts, description="How long the gateway waits for it; then 504.")
    tls: UpstreamTls = Field(default_factory=UpstreamTls, description="How https targets are trusted.")
    retry: RetrySettings | None = Field(
        None, description="Which failures are met by asking again. Without it only a connection that turned out to be closed is replaced."
    )
    health: HealthSettings | None = Field(
        None, description="How targets are asked for their health, apart from traffic. Without it they are not."
    )
    outlier: OutlierSettings | None = Field(
        None, description="When a target that fails again and again is left out for a while. Without it no failure of requests does that."
    )
    max_in_flight: int | None = Field(
        None,
        ge=1,
        description="Requests under way at all its targets together, for each worker; any beyond is answered with 503 and Retry-After at "
        "once, for none waits. A WebSocket does not count once it is open. Without it there is no such limit.",
    )
