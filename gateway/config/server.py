"""The `server`, `store` and `telemetry` blocks of a policy: where the gateway listens and what it puts up with."""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, field_validator
from pydantic.json_schema import WithJsonSchema

from gateway.authority import is_name_or_ipv4
from gateway.config.settings import Duration, File, Many, OneOrMany, Settings, Size, kind

_ADDRESS = re.compile(r"(?:(?P<name>[A-Za-z0-9_.-]+)|\[(?P<six>[0-9A-Fa-f:.]+)\]):(?P<port>[0-9]{1,5})", re.ASCII)

SHAPE = r"^([A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}$"
"""Of an address, for editors."""


def address(value: Any) -> tuple[str, int]:
    """Host and port of `127.0.0.1:8080`, `localhost:8080` or `[::1]:8080`. Raises ValueError."""
    match = _ADDRESS.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        example = f"0.0.0.0:{value}" if str(value).isdigit() else "0.0.0.0:8080 or [::1]:8080"
        raise ValueError(f"{kind(value)} is no address; write host:port, as in {example}")
    if int(match["port"]) > 65535:
        raise ValueError(f"{kind(value)} is no address; a port is at most 65535")
    if match["name"] is not None and not is_name_or_ipv4(match["name"]):
        raise ValueError(f"{kind(value)} is no address; a host of numbers is an IPv4 address, as in 0.0.0.0:{match['port']}")
    if match["six"] is not None:
        try:
            IPv6Address(match["six"])
        except AddressValueError:
            raise ValueError(f"{kind(value)} is no address; what stands in brackets must be an IPv6 address") from None
    return match["name"] or match["six"], int(match["port"])


class ListenerTls(Settings):
    """A listener that speaks TLS."""

    cert: File = Field(description="The certificate and its chain, a PEM file.")
    key: File = Field(description="The certificate's private key, a PEM file.")
    min_version: Literal["1.2", "1.3"] = Field("1.2", description="The oldest version of TLS that is spoken; in quotes.")


class Listener(Settings):
    """One address on which the gateway listens."""

    shorthand: ClassVar[str] = "address"

    address: Annotated[str, WithJsonSchema({"type": "string", "pattern": SHAPE})] = Field(
        description="Where to listen: `0.0.0.0:8080`, `127.0.0.1:8080`, `[::1]:8080`; port 0 takes any free one."
    )
    tls: ListenerTls | None = Field(None, description="Speak HTTPS here, with this certificate; without it, HTTP.")

    @field_validator("address", mode="before")
    @classmethod
    def _is_address(cls, value: Any) -> Any:
        address(value)
        return value

    @property
    def host(self) -> str:
        return address(self.address)[0]

    @property
    def port(self) -> int:
        return address(self.address)[1]


def _network(value: Any) -> IPv4Network | IPv6Network:
    if not isinstance(value, str):
        raise ValueError(f"{kind(value)} is no network; write an address or a CIDR, as in 10.0.0.0/8")
    try:
        return ip_network(value)
    except ValueError as error:
        if "host bits" in str(error):
            raise ValueError(f"{kind(value)} is an address inside a network; write {ip_network(value, strict=False)}") from None
        raise ValueError(f"{kind(value)} is no network; write an address or a CIDR, as in 10.0.0.0/8") from None


Workers = Annotated[int, Field(ge=1, le=256)]
Network = Annotated[IPv4Network | IPv6Network, BeforeValidator(_network), WithJsonSchema({"type": "string"})]


class Limits(Settings):
    """What one client may ask of the gateway's memory."""

    head: Size = Field(16 << 10, gt=0, description="Bytes of a request's head; a larger one is answered 431.")
    target: Size = Field(8 << 10, gt=0, description="Bytes of a request's target (path and query); a longer one is answered 414.")
    headers: int = Field(128, ge=1, description="Header fields of a request; more are answered 431.")
    body: Size = Field(
        1 << 20, ge=0, description="Bytes of a request's body where no body_limit says otherwise; a longer one is answered 413."
    )
    connections: int = Field(
        10_000, ge=1, description="Connections of clients at once, WebSockets among them; those beyond are answered 503."
    )


class Timeouts(Settings):
    """How long the gateway waits for its clients, and for itself when it ends."""

    head: Duration = Field(10.0, gt=0, description="For a request's whole head, from its first byte; then 408.")
    body: Duration = Field(30.0, gt=0, description="The longest gap between two pieces of a request's body; then 408.")
    idle: Duration = Field(15.0, gt=0, description="How long a connection is kept open between two requests.")
    drain: Duration = Field(30.0, ge=0, description="At the end, for requests in flight; what is left then is cut.")
    lame_duck: Duration = Field(
        5.0, ge=0, description="At the end, how long readiness already says no while traffic is still served; then the drain begins."
    )


class Recycle(Settings):
    """When a worker is replaced: the fresh one serves before the old one begins to drain. Not with `workers: 1`."""

    memory: Size | None = Field(None, gt=0, description="The bytes of memory from which on a worker is replaced; without it, never.")
    age: Duration | None = Field(None, gt=0, description="How long a worker serves before it is replaced; without it, for ever.")


def _listener(value: str) -> Listener:
    return Listener(address=value)


class ServerSettings(Settings):
    """The side of the gateway that clients see."""

    listen: OneOrMany[Listener] = Field(
        (_listener("0.0.0.0:8080"),),
        min_length=1,
        description="Where to listen: `host:port`, or a list; an entry may be `{address: 0.0.0.0:8443, tls: {cert: ..., key: ...}}`.",
    )
    workers: Workers | Literal["auto"] = Field(
        1,
        description="Processes that share the port, kept running by one more; `auto`: one for each core that this process may use. "
        "1 is a single process that does everything.",
    )
    recycle: Recycle = Field(default_factory=Recycle, description="When a worker is replaced by a fresh one, with nothing cut.")
    trusted_proxies: Many[Network] = Field(
        (), description="Networks (CIDR) whose X-Forwarded-For and Forwarded are believed; empty: the socket's peer is the client."
    )
    limits: Limits = Field(default_factory=Limits, description="What one client may ask of the gateway's memory.")
    timeouts: Timeouts = Field(default_factory=Timeouts, description="How long the gateway waits for its clients.")


class LogSettings(Settings):
    """The gateway's own log; the access log is a plugin."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="The least important message that is written.")
    format: Literal["text", "json"] = Field("text", description="How a message is written: `text`, or `json`, one object a line.")


class TelemetrySettings(Settings):
    """What the gateway tells of itself."""

    log: LogSettings = Field(default_factory=LogSettings, description="The gateway's own log.")


class StoreSettings(Settings):
    """Where counters are kept."""

    url: Literal["memory://"] = Field(
        "memory://", description="`memory://`: in this process, lost when it ends. The only store in this version."
    )
