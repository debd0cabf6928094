"""The policy as it is written: every key at the top, and every key of a route."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from gateway.config.cache import CacheSettings
from gateway.config.jobs import JobsSettings
from gateway.config.match import Match
from gateway.config.readiness import CheckSettings
from gateway.config.server import ServerSettings, TelemetrySettings
from gateway.config.settings import Many, One, OneOrMany, Settings
from gateway.config.store import StoreSettings
from gateway.config.upstream import UpstreamSettings


def one_line(name: str | None) -> str | None:
    """A name that can stand in a log line. Raises ValueError."""
    if name is not None and (not name.isprintable() or name != name.strip()):
        raise ValueError("a name is one line of printable text, without space around it")
    return name


class RouteSchema(Settings):
    """Which requests are its own, and what becomes of them."""

    name: str | None = Field(
        None, min_length=1, max_length=100, description="What logs and metrics call it; without it, its match as text."
    )
    match: Match = Field(
        description="Which requests it takes: `GET /api/v1/leads/{id}`, `/api/v1/**` for all methods, or a mapping of methods, path, host, "
        "headers and query."
    )
    upstream: str | None = Field(None, description="The upstream that answers; without it, one of the route's own plugins must.")
    upgrades: Many[Literal["websocket"]] = Field(("websocket",), description="Protocols a client may change to; `[]`: none.")
    plugins: Many[Any] = Field((), description="The route's own plugins; they stand below the common ones.")
    without: OneOrMany[str] = Field((), description="Common plugins that this route leaves out.")
    accept: OneOrMany[str] = Field((), description="Rules of `gateway check` that shall not warn of this route.")

    @field_validator("name")
    @classmethod
    def _is_one_line(cls, name: str | None) -> str | None:
        return one_line(name)


class PolicySchema(Settings):
    """A whole policy. Keys that begin with `x-` are free: they hold what the rest refers to by YAML anchors."""

    version: One = Field(description="The version of this format: 1.")
    environment: str | None = Field(
        None, description="Where this gateway runs, as in production; traces say it as deployment.environment.name, and Sentry is told."
    )
    include: OneOrMany[str] = Field(
        (),
        description="Files with more `routes` and `upstreams`, relative to the file that names them; `routes/*.yaml` takes all that match.",
    )
    server: ServerSettings = Field(default_factory=ServerSettings, description="Where the gateway listens and what it puts up with.")
    store: StoreSettings = Field(default_factory=StoreSettings, description="Where counters are kept.")
    cache: CacheSettings = Field(default_factory=CacheSettings, description="How much stored answers may take; see the plugin `cache`.")
    jobs: JobsSettings | None = Field(None, description="Work that requests leave behind, done until it is done. Without it, none.")
    telemetry: TelemetrySettings = Field(default_factory=TelemetrySettings, description="What the gateway tells of itself.")
    checks: dict[str, CheckSettings] = Field(
        default_factory=dict, description="Databases and other services that readiness looks at, in the background, by name."
    )
    upstreams: dict[str, UpstreamSettings] = Field(default_factory=dict, description="The services behind the gateway, by name.")
    plugins: Many[Any] = Field(
        (), description="The common plugins of every route, outermost first: requests flow down the list, replies up it."
    )
    routes: Many[RouteSchema] = Field(min_length=1, description="The routes; of those that match, the most specific one takes a request.")
    accept: OneOrMany[str] = Field((), description="Rules of `gateway check` that shall not warn, anywhere in this policy.")

    @field_validator("jobs", mode="before")
    @classmethod
    def _is_written(cls, value: Any) -> Any:
        if value is None:
            raise ValueError("nothing stands below it; write jobs: {} for what it is by default, or remove it")
        return value

    @field_validator("environment")
    @classmethod
    def _is_one_line(cls, name: str | None) -> str | None:
        return one_line(name)
