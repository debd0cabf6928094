"""The contract between the gateway and its plugins: all that a plugin may import, and how an entry becomes one.

Requests flow down the list of plugins, replies flow up it. A plugin is a class in a file of its own name; overriding a hook is
what opts into it, and a hook may be `async`. docs/writing-a-plugin.md builds one from nothing.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, Protocol, TypeVar, get_args, get_origin

from pydantic import Field

from gateway import errors
from gateway.bearer import CHALLENGE, has_token
from gateway.by import IPV6_PREFIX, Identities, key_of, missing_parameter, reads_body, verified
from gateway.config.csp import Csp
from gateway.config.header import HeaderName, HeaderValue
from gateway.config.network import Network
from gateway.config.origin import Origin, valid_origin
from gateway.config.placeholders import Placeholders
from gateway.config.settings import Duration, File, Many, NewFile, OneOrMany, Percent, Rate, Settings, Size
from gateway.config.token import Token
from gateway.control import Control, ControlError
from gateway.errors import (
    BadRequest,
    CallFailed,
    Forbidden,
    GatewayError,
    NotCached,
    NotFound,
    PayloadTooLarge,
    QuotaExceeded,
    ReducedCapacity,
    Unauthorized,
    Unavailable,
)
from gateway.exchange import Attempt, End, Entity, Exchange, Headers, Reply, new_id
from gateway.jobs.contract import LATER, Dead, Enqueued, Job, Jobs, JobsAway, Park, PayloadRefused, Retry
from gateway.jobs.handler import JobHandler, SenderSettings
from gateway.jobs.queue import NoJobs
from gateway.pii import Mask
from gateway.span import Event, Span, Traces, Value
from gateway.store.contract import Algorithm, Cost, Decision, Decisions, LimitSpec, OnFailure, Period, Soon, Store, StoreAway
from gateway.template import folded_segments
from gateway.tracecontext import RANDOM, SAMPLED, Parent, parent, tracestate

if TYPE_CHECKING:
    from gateway import caching as caching
    from gateway import content as content
    from gateway import expressions as expressions
    from gateway import identity as identity
    from gateway import signing as signing

__all__ = [
    "CHALLENGE",
    "IPV6_PREFIX",
    "LATER",
    "RANDOM",
    "SAMPLED",
    "Algorithm",
    "Answers",
    "Attempt",
    "BadRequest",
    "CallFailed",
    "ControlError",
    "Cost",
    "Counter",
    "Csp",
    "Dead",
    "Decision",
    "Decisions",
    "Duration",
    "End",
    "Enqueued",
    "Entity",
    "Event",
    "Exchange",
    "Field",
    "File",
    "Forbidden",
    "GatewayError",
    "Gauge",
    "HeaderName",
    "HeaderValue",
    "Headers",
    "Histogram",
    "Host",
    "Identities",
    "Job",
    "JobHandler",
    "Jobs",
    "JobsAway",
    "LimitSpec",
    "Many",
    "Mask",
    "Metric",
    "Metrics",
    "Mode",
    "Network",
    "NewFile",
    "NoSettings",
    "NotCached",
    "NotFound",
    "OnFailure",
    "OneOrMany",
    "Origin",
    "Parent",
    "Park",
    "PayloadRefused",
    "PayloadTooLarge",
    "Percent",
    "Period",
    "Placeholders",
    "Plugin",
    "QuotaExceeded",
    "Rate",
    "ReducedCapacity",
    "Reply",
    "Retry",
    "SenderSettings",
    "Settings",
    "Size",
    "Soon",
    "Span",
    "Store",
    "StoreAway",
    "Token",
    "Traces",
    "Unauthorized",
    "Unavailable",
    "Value",
    "caching",
    "content",
    "errors",
    "expressions",
    "folded_segments",
    "has_token",
    "identity",
    "key_of",
    "missing_parameter",
    "new_id",
    "parent",
    "reads_body",
    "signing",
    "tracestate",
    "valid_origin",
    "verified",
]


ROOMS = frozenset({"caching", "content", "expressions", "identity", "signing"})


def __getattr__(name: str) -> Any:
    """What is in a room is imported with the plugins that ask for it: a policy waits for none that it does not use."""
    if name in ROOMS:
        return import_module(f"gateway.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


Mode = Literal["enforce", "observe", "off"]

DURATION = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Seconds: the bounds that OpenTelemetry's semantic conventions advise for the durations of requests."""


class Answers(str):
    """An explanation of a plugin that answers: nothing below it is reached."""

    __slots__ = ()


class Counter(Protocol):
    """What only grows."""

    def add(self, amount: float = 1.0) -> None: ...


class Gauge(Protocol):
    """What is so now."""

    def add(self, amount: float = 1.0) -> None: ...

    def set(self, value: float) -> None: ...


class Histogram(Protocol):
    """How values are distributed over buckets."""

    def observe(self, value: float) -> None: ...


B = TypeVar("B", covariant=True)


class Metric(Protocol[B]):
    """One metric. Bind it in `__init__`, or keep what is bound: binding looks things up, counting does not."""

    def bind(self, **labels: object) -> B:
        """What counts for these values of the labels; those with dots are given as `**{"http.route": ...}`.

        The same for the same values, after a reload too. Beyond `series` different ones, all count as "other".
        """


class Metrics(Protocol):
    """Metrics of a plugin's own, named as OpenTelemetry does: `cache.hits` is gateway_cache_hits_total in Prometheus.

    The labels `plugin` and `route` come first and are filled in. Names of OpenTelemetry's semantic conventions (`http.`) stay as they are,
    and have only the labels that are given. Raises ValueError when another plugin of the policy means something else by the name.
    """

    def counter(
        self, name: str, description: str, labels: Sequence[str] = (), *, unit: str = "", series: int = 1000
    ) -> Metric[Counter]: ...

    def gauge(
        self,
        name: str,
        description: str,
        labels: Sequence[str] = (),
        *,
        unit: str = "",
        merge: Literal["sum", "max", "worker"] = "sum",
        series: int = 1000,
    ) -> Metric[Gauge]:
        """`merge`: what it is over all workers. A worker that has ended has none."""

    def histogram(
        self,
        name: str,
        description: str,
        labels: Sequence[str] = (),
        *,
        unit: str = "s",
        bounds: Sequence[float] = DURATION,
        series: int = 1000,
    ) -> Metric[Histogram]:
        """`bounds`: the upper ends of its buckets; each counts what is at most that. `unit`: "s", "By" or "1"."""


class NoSettings(Settings):
    """The settings of a plugin that has none."""


Fetch = Callable[["Host", Exchange, Mapping[str, str | None], float, int], Awaitable[Reply]]
Http = Callable[[str, str, Mapping[str, str], bytes, float, int], Awaitable[Reply]]
Changed = Callable[[bytes], None]
Watching = Callable[["Host", Path, Changed], None]
WriteLine = Callable[[bytes], None]


@dataclass(slots=True, eq=False)
class Host:
    """What a plugin is given: one for each entry of the policy. gateway.testing.host() makes one with memory twins."""

    clock: Callable[[], float]  # seconds, monotonic
    mode: Mode
    route: str  # "" for an entry of the common list
    store: Store  # counters, leases, small values
    cache: caching.Cache  # stored answers, and what has been purged
    log: logging.Logger
    write_line: WriteLine  # one line of the access log; never blocks
    open_lines: Callable[[Path], WriteLine]  # `write_line` of a file; for a constructor. Raises ValueError when it cannot be opened
    is_ready: Callable[[], bool]  # false while the gateway drains, or a required check fails
    metrics: Metrics
    paths: Mapping[str, str]  # of the routes, by their names: templates, such as /api/v1/leads/{id}
    vital: frozenset[str]  # routes that are never refused because there is too much to do, by their names
    below: Fetch  # what `fetch`, `http` and `watch` do, behind their defaults
    outbound: Http
    watched: Watching
    has_stale_policy: Callable[[], bool] = lambda: False  # the policy's file is newer, and was refused
    traces: Traces = field(default_factory=Traces)  # which are sampled, and who takes their spans
    mask: Mask = field(default_factory=Mask)  # hides what nobody shall read: telemetry.pii, and secrets
    is_draining: Callable[[], bool] = lambda: False
    time: Callable[[], float] = time.time  # seconds since 1970, for what others have dated; jumps as the system's clock does
    jobs: Jobs = field(default_factory=NoJobs)  # enqueue, and ask what became of it
    ask: Callable[[str], Awaitable[Any]] = Control().call  # what the gateway knows of itself, by name; raises ControlError
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Run `work` beside the requests; owned by the policy, cancelled with it. What it raises is logged."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self.tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.log.error("%s failed", task.get_name(), exc_info=error)

    async def fetch(
        self, ex: Exchange, headers: Mapping[str, str | None] | None = None, *, within: float = 30.0, limit: int = 1 << 20
    ) -> Reply:
        """What the plugins below this one, and the upstream, answer to the request of `ex`, with `headers` replaced (None: removed).

        No client waits for it and none can cut it short; `ex` is left as it is. The body is at hand. Raises UpstreamTimeout when it is
        not whole after `within` seconds, BadGateway past `limit` bytes, ValueError while a body of `ex` has not been read.
        """
        return await self.below(self, ex, headers or {}, within, limit)

    async def http(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        within: float = 5.0,
        limit: int = 1 << 20,
    ) -> Reply:
        """Ask another service, with a deadline in seconds. The answer, whatever its status, with its body at hand.

        Redirects are not followed: they lead where nobody allowed. Raises CallFailed when there is no answer within `within` seconds,
        or none of at most `limit` bytes.
        """
        return await self.outbound(method, url, headers or {}, body, within, limit)

    def watch(self, path: Path, changed: Changed) -> None:
        """Call `changed` with what stands in the file each time that it has changed, from `start` until the policy ends.

        What `changed` raises is logged, and the plugin goes on with what it had.
        """
        self.watched(self, path, changed)

    async def run_blocking(self, call: Callable[[], Any]) -> Any:
        """Run what blocks (a library's file or network call, long computing) in a thread, off the event loop."""
        return await asyncio.get_running_loop().run_in_executor(None, call)


S = TypeVar("S", bound=Settings)

HOOKS = ("on_request", "on_attempt", "on_response", "on_chunk", "on_body_end", "on_end")


class Plugin(Generic[S]):
    """One concern of the gateway. Override the hooks you need; the others cost nothing.

    One instance for each entry in the YAML: an entry in the common list serves all routes and shares its state over them,
    one in a route serves that route.
    """

    once: ClassVar[bool] = False
    """A route's entry replaces the common one (cors, security_headers, body_limit); else both run."""
    several: ClassVar[bool] = False
    """Of those with `once`: one list may hold several, each with an effect of its own (access_log: to different files)."""
    needs_body: ClassVar[bool] = False
    """Reads whole bodies: refused at load on a route that streams. Settings may say so too, by a property of this name."""
    handles_mode: ClassVar[bool] = False
    """Has effects of its own, in the store or elsewhere, and reads host.mode: in `mode: observe` it has none, and answers nothing.

    For all others an answer is discarded; what a hook changes of the request or the reply is, for all.
    """
    unobservable: ClassVar[str] = ""
    """Why `mode: observe` would mean nothing for it: the policy is refused with this reason."""
    survives_client: ClassVar[bool] = False
    """Once sent upstream, the exchange goes on though the client left, until all plugins have seen the reply."""
    is_vital: ClassVar[bool] = False
    """Whoever watches over the gateway asks it: a route with it is never refused because there is too much to do."""

    settings: ClassVar[type[Settings]] = NoSettings
    """Filled in from `Plugin[...]`."""

    def __init_subclass__(cls, **kw: Any) -> None:
        super().__init_subclass__(**kw)
        for name, value in vars(cls).items():
            if name.startswith("on_") and callable(value) and name not in HOOKS:
                raise TypeError(f"{cls.__module__}.{cls.__qualname__}.{name} is no hook; the hooks are {', '.join(HOOKS)}")
        for base in getattr(cls, "__orig_bases__", ()):
            if get_origin(base) is Plugin and isinstance(settings := get_args(base)[0], type):
                cls.settings = settings

    def __init__(self, settings: S, host: Host) -> None:
        self.host = host

    async def start(self) -> None:
        """Before the first request: open what is needed. An exception refuses the policy."""

    async def stop(self) -> None:
        """After the last request; also right after a failed start."""

    @classmethod
    def placeholders(cls, settings: S) -> Iterable[tuple[tuple[str, ...], str]]:
        """The parameters of the route that the settings name, each with the keys that lead there: `(("query", "set", "lead"), "id")`.

        One that the path of a route with this entry lacks is a mistake of the policy, told at these keys.
        """
        return ()

    def on_request(self, ex: Exchange) -> Reply | Awaitable[Reply | None] | None:
        """Going down: a Reply answers here, None goes on, a GatewayError is an answer too.

        One that must only sometimes wait is a plain `def` and returns a Future then: an `async def` costs every exchange a task.
        """
        return None

    def on_attempt(self, ex: Exchange, attempt: Attempt) -> None:
        """Before each try at the upstream. Never async: it stands between a picked connection and its use."""

    def on_response(self, ex: Exchange, reply: Reply) -> Reply | Awaitable[Reply | None] | None:
        """Coming up, before the first byte: change the head in place, or return another reply."""
        return None

    def on_chunk(self, ex: Exchange, chunk: bytes) -> bytes:
        """Coming up: a piece of the body; may return b"" and keep it. Not called for HEAD, 204, 304, upgrades."""
        return chunk

    def on_body_end(self, ex: Exchange) -> bytes:
        """Coming up: what is left to send. Not called when the body was cut."""
        return b""

    def on_end(self, ex: Exchange, end: End) -> None:
        """Always, for each plugin whose on_request was reached, also when the client left. Release, count, log."""

    def explain(self, ex: Exchange) -> str | Awaitable[str | None] | None:
        """What this plugin would decide for this request, without moving anything: no counter, no call to others but the store.

        `ex` is no traffic: change it as on_request would, for the plugins below. An `Answers`, or a GatewayError, ends it here.
        """
        return None
