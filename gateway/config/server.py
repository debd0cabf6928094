"""The `server` and `telemetry` blocks of a policy: where the gateway listens and what it puts up with."""

from __future__ import annotations

import re
from importlib.util import find_spec
from typing import Annotated, ClassVar, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, field_validator, model_validator
from pydantic.json_schema import WithJsonSchema

from gateway.config.address import Address, address
from gateway.config.certificate import usable
from gateway.config.header import HeaderName, HeaderValue
from gateway.config.network import Network
from gateway.config.ports import Admin, Observe
from gateway.config.settings import At, Duration, File, Many, OneOrMany, Settings, Size, kind

_SIGNAL = re.compile(r"/v1/(traces|metrics|logs)/?$")
SECRET = 32
"""Bytes: fewer than those of the digest would make HMAC-SHA256 weaker than it is (RFC 2104, section 3)."""


class ListenerTls(Settings):
    """A listener that speaks TLS."""

    cert: File = Field(description="The certificate and its chain, a PEM file.")
    key: File = Field(description="The certificate's private key, a PEM file.")
    min_version: Literal["1.2", "1.3"] = Field("1.2", description="The oldest version of TLS that is spoken; in quotes.")

    @model_validator(mode="after")
    def _can_be_used(self) -> Self:
        usable(self.cert, self.key)
        return self


class Listener(Settings):
    """One address on which the gateway listens."""

    shorthand: ClassVar[str] = "address"

    address: Address = Field(description="Where to listen: `0.0.0.0:8080`, `127.0.0.1:8080`, `[::1]:8080`; port 0 takes any free one.")
    tls: ListenerTls | None = Field(None, description="Speak HTTPS here, with this certificate; without it, HTTP.")

    @property
    def host(self) -> str:
        return address(self.address)[0]

    @property
    def port(self) -> int:
        return address(self.address)[1]


Workers = Annotated[int, Field(ge=1, le=256)]


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
    """When a worker is replaced: a fresh one serves before the old one drains. Not with `workers: 1`."""

    memory: Size | None = Field(None, gt=0, description="The bytes of memory from which on a worker is replaced; without it, never.")
    age: Duration | None = Field(None, gt=0, description="How long a worker serves before it is replaced; without it, for ever.")


class DebugSettings(Settings):
    """How one request is looked at while traffic flows."""

    secret: Annotated[str, WithJsonSchema({"type": "string", "pattern": f"^(.{{{SECRET},}})?$"})] = Field(
        "",
        description="Signs the tokens of `gateway debug-token`: a request with one under `Gateway-Debug` is answered with what was decided "
        "about it, and how long that took. At least 32 characters, as `openssl rand -hex 32` makes them; empty: there are no such answers.",
    )
    recent: int = Field(
        4096, ge=0, le=1_000_000, description="Exchanges that `gateway explain --request ID` remembers, about 1 KiB each; 0: none."
    )

    @field_validator("secret")
    @classmethod
    def _is_long(cls, value: str) -> str:
        if 0 < len(value.encode()) < SECRET:
            raise ValueError(f"a secret has at least {SECRET} characters, or tokens can be forged; make one with openssl rand -hex 32")
        return value


def _listener(value: str) -> Listener:
    return Listener(address=value)


class ServerSettings(Settings):
    """The side of the gateway that clients see."""

    example: ClassVar[str] = "listen: 0.0.0.0:8080"

    listen: OneOrMany[Listener] = Field(
        (_listener("0.0.0.0:8080"),),
        min_length=1,
        description="Where to listen: `host:port`, or a list; an entry may be `{address: 0.0.0.0:8443, tls: {cert: ..., key: ...}}`.",
    )
    observe: Observe | None = Field(
        None, description="To read: health in detail, and metrics; served while the gateway drains, too. Without it there is no such port."
    )
    admin: Admin | None = Field(
        None,
        description="To act: reload, log level, the policy in force; for the `gateway` command, too. Without it there is no such port.",
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
    debug: DebugSettings = Field(default_factory=DebugSettings, description="How one request is looked at while traffic flows.")

    @model_validator(mode="after")
    def _have_ports_of_their_own(self) -> Self:
        taken: list[tuple[str, Listener | Observe | Admin]] = []
        for listener in self.listen:
            for _, before in taken:
                if _overlap(address(listener.address), address(before.address)):
                    raise At(("listen",), f"{listener.address} is taken by {before.address} already; remove one of them")
            taken.append(("listen", listener))
        for name, port in (("observe", self.observe), ("admin", self.admin)):
            if port is not None:
                for other, place in taken:
                    if _overlap(address(port.address), address(place.address)):
                        raise At((name,), f"{name} and {other} both want {port.address}; write another port")
                taken.append((name, port))
        return self

    @model_validator(mode="after")
    def _have_somebody_in_their_place(self) -> Self:
        if self.workers == 1 and self.recycle != Recycle():
            raise ValueError("recycle replaces one worker while others serve, and workers: 1 has no others; write workers: auto")
        return self


def _overlap(one: tuple[str, int], other: tuple[str, int]) -> bool:
    """Whether one socket only can have both. Linux would let them be bound, and then refuse to listen."""
    return one[1] == other[1] != 0 and (one[0] == other[0] or bool({one[0], other[0]} & {"0.0.0.0", "::"}))


class LogSettings(Settings):
    """The gateway's own log; the access log is a plugin."""

    example: ClassVar[str] = "level: debug"

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="The least important message that is written.")
    format: Literal["text", "json"] = Field("text", description="How a message is written: `text`, or `json`, one object a line.")


def _receiver(value: str | None) -> str | None:
    """Raises ValueError unless it is empty, or a URL with a host and nothing behind its path."""
    if value:
        url = urlsplit(value)
        if url.scheme not in ("http", "https") or not url.hostname or url.query or url.fragment:
            raise ValueError(f"{kind(value)} is no endpoint; write the URL of an OTLP receiver, as in http://127.0.0.1:4318")
        if _SIGNAL.search(url.path):
            raise ValueError(f"{kind(value)} is no endpoint: what is sent decides its path; write {_SIGNAL.sub('', value)}")
    return value


class MetricsSettings(Settings):
    """Who is sent the metrics. They can be asked for whether or not anybody is."""

    endpoint: Annotated[str | None, AfterValidator(_receiver)] = Field(
        None, description="The OTLP receiver, as in http://127.0.0.1:4318; /v1/metrics is put behind it. Empty: nobody is sent anything."
    )
    interval: Duration = Field(60.0, gt=0, description="How often they are sent.")


class TracesSettings(Settings):
    """Which traces are sampled, and who is sent their spans."""

    endpoint: Annotated[str | None, AfterValidator(_receiver)] = Field(
        None,
        description="The OTLP receiver, as in http://127.0.0.1:4318; over http, /v1/traces is put behind it. Empty: no spans are recorded, "
        "and trace context is passed on all the same.",
    )
    sample: float = Field(0.1, ge=0, le=1, description="The share of traces that is sampled, of those that begin here: 0 to 1.")
    protocol: Literal["http", "grpc"] = Field(
        "http", description="How OTLP is spoken: `http` (protobuf), or `grpc`, for which the extra gateway[grpc] must be installed."
    )
    headers: dict[HeaderName, HeaderValue] = Field(
        default_factory=dict, description='Sent with the spans, as in `{Authorization: "${file:otlp-token}"}`.'
    )


def _dsn(value: str) -> str:
    """Raises ValueError unless it is empty, or https://KEY@HOST/PROJECT and the extra that sends there is installed."""
    if not value:
        return value
    url = urlsplit(value)
    if url.scheme not in ("http", "https") or not url.username or not url.hostname or not url.path.rpartition("/")[2].isdigit():
        raise ValueError("this is no DSN of Sentry's; write https://KEY@HOST/PROJECT, as Sentry shows it among a project's client keys")
    if find_spec("sentry_sdk") is None:
        raise ValueError('the extra for Sentry is not installed; pip install "gateway[sentry]", or leave sentry_dsn empty')
    return value


Dsn = Annotated[str, AfterValidator(_dsn), WithJsonSchema({"type": "string", "pattern": r"^(https?://[^/@\s]+@[^/@\s]+/(.*/)?[0-9]+)?$"})]


class TelemetrySettings(Settings):
    """What the gateway tells of itself."""

    metrics: MetricsSettings = Field(default_factory=MetricsSettings, description="Who is sent the metrics, over OTLP.")
    service_name: str = Field("gateway", min_length=1, description="What traces call this gateway: their service.name.")
    traces: TracesSettings = Field(default_factory=TracesSettings, description="Which traces are sampled, and who is sent their spans.")
    pii: Many[Annotated[str, Field(min_length=1)]] = Field(
        (),
        description="Names of fields whose values nobody shall read, in any case: parameters of paths and queries, fields of JSON and of "
        "notes. Passwords, tokens and signatures are hidden without being named.",
    )
    sentry_dsn: Dsn | None = Field(
        None,
        description="The project at Sentry that is told of errors, as in `${SENTRY_DSN:-}`; empty: none. Needs the extra gateway[sentry].",
    )
    log: LogSettings = Field(default_factory=LogSettings, description="The gateway's own log.")
