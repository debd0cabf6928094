"""A policy compiled: its routes with their pipelines, its plugins and its upstreams, ready to be started."""

from __future__ import annotations

import logging
import ssl
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from gateway.blocks import Blocks
from gateway.caching.contract import Cache
from gateway.caching.workers import Siblings, WorkersCache
from gateway.checks import Check
from gateway.config.jobs import JobsSettings
from gateway.config.policy import EntrySettings, Policy, RouteSettings
from gateway.config.store import StoreSettings
from gateway.config.upstream import UpstreamSettings
from gateway.control import Control
from gateway.detached import fetch
from gateway.errors import ConfigError, GatewayError, Mistake, NotFound
from gateway.exchange import Exchange, Reply
from gateway.jobs.contract import JobStore
from gateway.jobs.queue import NoJobs
from gateway.jobs.service import JobService, Place
from gateway.outbound import Outbound
from gateway.pii import Mask
from gateway.pipeline import Entry, Observed, Pipeline, no_upstream
from gateway.plugin import Changed, Host, Http, JobHandler, Jobs, Mode, Plugin
from gateway.router import Route, Router
from gateway.running import Running
from gateway.span import Traces
from gateway.stamp import Stamp, stamp
from gateway.store.contract import Store
from gateway.store.memory import ADDRESS, MemoryStore
from gateway.store.operations import BLOCKS
from gateway.store.redis.address import Address
from gateway.telemetry.files import LineFile, LineFiles
from gateway.telemetry.metrics.families import Metrics
from gateway.telemetry.metrics.owned import OwnedMetrics
from gateway.telemetry.metrics.shape import Shape
from gateway.telemetry.tracing.destination import Destination, destination
from gateway.telemetry.tracing.exporter import SpanExporter
from gateway.upstream import Target, Upstream
from gateway.watch import follow

Makings = tuple[UpstreamSettings, tuple[Stamp | None, ...]]
"""All that an upstream is made of: its settings, and the files they name."""


class App:
    """Immutable once built. `find` gives an exchange its pipeline; everything else happens at load."""

    def __init__(
        self,
        policy: Policy,
        write_line: Callable[[bytes], None],
        clock: Callable[[], float] = time.monotonic,
        upstream: Callable[[str, UpstreamSettings], Upstream] | None = None,
        before: App | None = None,
        files: LineFiles | None = None,
        outbound: Http | None = None,
        exporter: Callable[[Destination], SpanExporter] | None = None,
        control: Control | None = None,
        metrics: Metrics | None = None,
        store: Callable[[StoreSettings], Store] | None = None,
        jobs: Callable[[JobsSettings], JobStore] | None = None,
        memory: str = "",
        serves: bool = True,
    ) -> None:
        """Opens nothing but `files`. Raises ConfigError with all that plugins and upstreams refuse of their settings.

        `upstream` makes each upstream from its name and settings, `store` and `jobs` the stores from theirs, `outbound` asks other
        services, in place of real ones: a rehearsal's are stubs. The stores of `before`, and its upstreams, live on in this one where
        they would be made of the same; so do its metrics, its `files`, without which lines for a file go to `write_line`, too, and its
        `control`, which plugins ask. `exporter` makes what sends spans; without it, as in a rehearsal, they are sent nowhere. `memory`
        is the socket of the process that hosts `memory://` for several; without it that is this one. One that does not serve runs jobs
        alone: routes and plugins are made, so that what is wrong with them is found, and never started.
        """
        self.policy = policy
        self._serves: bool = serves if before is None else before._serves
        self.running = Running(serves=self._serves)
        self.clock = clock  # seconds, monotonic
        self._memory: str = memory if before is None else before._memory
        self.store: Store = self._store(store or self._new_store, before)
        self._time = time.time if clock is time.monotonic else clock  # a rehearsal's clock counts it itself
        self.control: Control = before.control if before is not None else control or Control()
        self.cache: Cache = self._cache(before)
        self._blocks = Blocks(self.store.shared_set(BLOCKS), self._time)
        self._write_line = write_line
        self._files: LineFiles | None = files if before is None else before._files
        self.metrics: Metrics = metrics or (Metrics() if before is None else before.metrics)
        self._observed = _observed(self.metrics)
        self._defined: dict[str, Shape] = {}
        self._paths = {route.name: route.match.path for route in policy.routes}
        self._vital = frozenset(
            route.name for route in policy.routes if any(entry.plugin.is_vital and entry.mode == "enforce" for entry in route.plugins)
        )
        self._outbound = outbound or self.running.outbound.call
        self._plugins: dict[int, Plugin[Any]] = {}  # by the identity of their entry: a common one is shared by all routes
        self._mistakes: list[Mistake] = []
        self._makings: dict[str, Makings] = {}
        self._job_makings: tuple[object, ...] = ()
        self._new_exporter: Callable[[Destination], SpanExporter] | None = exporter if before is None else before._new_exporter
        self._destination = self._where_spans_go()
        self.running.exporter = self._exporter(before)
        self._traces = Traces(policy.telemetry.traces.sample, None if self.running.exporter is None else self.running.exporter.record)
        self.mask = Mask(policy.telemetry.pii)
        self.jobs: JobService | None = self._jobs(jobs, before)
        make = upstream or self._new_upstream
        self.upstreams = {name: self._upstream(name, settings, make, before) for name, settings in policy.upstreams.items()}
        if upstream is None and self._serves:  # a rehearsal asks nobody
            self.running.checks += [Check(name, settings, self._outbound) for name, settings in policy.checks.items()]
        self.routes = tuple(self._route(route) for route in policy.routes)
        self._unrouted = self.running.pipelines[""] = Pipeline(self._entries(policy.plugins, ""), _unrouted, self._observed)
        if self._mistakes:
            self.running.close_files()
            raise ConfigError(policy.in_order(set(self._mistakes)), policy.files)
        self.router = Router(self.routes)
        self.running.plugins += self._plugins.values()
        self._plugins = {}

    async def start(self) -> None:
        """Start upstreams and plugins, in order. When one fails those started are stopped, and its error is raised."""
        await self.running.start()

    async def stop(self) -> None:
        await self.running.stop()

    @property
    def job_store(self) -> JobStore | None:
        """None: the policy has no jobs."""
        return None if self.jobs is None else self.jobs.store

    def find(self, ex: Exchange) -> Pipeline:
        """The pipeline of the route that `ex` belongs to.

        Without one, the common plugins around a 404 or 405; around a 403, of a client that is blocked, and the 400 of a target that
        cannot be understood.
        """
        try:
            if self._blocks.shared.members:
                self._blocks.check(ex.client)
            if ex.failure is not None:
                return self._unrouted
            route = self.router.find(ex)
        except GatewayError as error:
            ex.failure = error
            return self._unrouted
        if ex.upgrade and ex.upgrade not in route.upgrades:
            ex.upgrade = ""  # not taken up: the upstream answers the request it came with (RFC 9110, section 7.8)
        return route.pipeline

    def _route(self, route: RouteSettings) -> Route:
        upstream = self.upstreams.get(route.upstream or "")
        entries = self._entries(self.policy.entries_for(route), route.name)
        pipeline = Pipeline(entries, no_upstream if upstream is None else upstream.send, self._observed)
        self.running.pipelines[route.name] = pipeline
        settings = self.policy.upstreams.get(route.upstream or "")
        return Route(
            name=route.name,
            path=route.match.path,
            pipeline=pipeline,
            methods=route.match.methods,
            host=route.match.host,
            headers=route.match.headers,
            query=route.match.query,
            loose=settings is None or settings.paths == "loose",
            upstream=route.upstream or "",
            upgrades=route.upgrades,
        )

    def _entries(self, entries: tuple[EntrySettings, ...], route: str) -> list[Entry]:
        common = {id(entry) for entry in self.policy.plugins}
        made = ((entry, self._plugin(entry, "" if id(entry) in common else route)) for entry in entries if entry.mode != "off")
        return [Entry(entry.name, plugin, entry.mode) for entry, plugin in made if plugin is not None]

    def _plugin(self, entry: EntrySettings, route: str) -> Plugin[Any] | None:
        """One instance for each entry, made when first met; None when its settings are refused."""
        if id(entry) not in self._plugins:
            jobs: Jobs = NoJobs() if self.jobs is None else self.jobs.queue
            host = self._host(entry.name, entry.mode, route, jobs, self._outbound)
            try:
                self._plugins[id(entry)] = entry.plugin(entry.settings, host)
            except ValueError as error:
                self._mistakes.append(entry.mistake(error))
            except BaseException:
                self.running.close_files()
                raise
        return self._plugins.get(id(entry))

    def _host(self, name: str, mode: Mode, route: str, jobs: Jobs, outbound: Http) -> Host:
        return Host(
            clock=self.clock,
            mode=mode,
            route=route,
            store=self.store,
            cache=self.cache,
            log=logging.getLogger(f"gateway.plugins.{name}"),
            write_line=self._write_line,
            open_lines=partial(_open_lines, self._files, self._write_line, self.running.files),
            is_ready=self.running.is_ready,
            metrics=OwnedMetrics(self.metrics, name, route, self._defined),
            paths=self._paths,
            vital=self._vital,
            below=partial(fetch, self.running.pipelines.get),
            outbound=outbound,
            watched=_watch,
            has_stale_policy=self.running.has_stale_policy,
            traces=self._traces,
            mask=self.mask,
            is_draining=self.running.is_draining,
            time=self._time,
            ask=self.control.call,
            jobs=jobs,
        )

    def _jobs(self, make: Callable[[JobsSettings], JobStore] | None, before: App | None) -> JobService | None:
        """Those that run already, where they would be made of the same."""
        settings = self.policy.jobs
        if settings is None:
            return None
        self._job_makings = makings = job_makings(self.policy)
        if before is not None and before.jobs is not None and before._job_makings == makings:
            self.running.inherited_jobs = before.jobs
            return before.jobs
        outbound = Outbound()  # they may outlive this policy
        handlers: dict[str, JobHandler[Any]] = {}
        for sender in self.policy.senders:
            host = self._host(sender.name, "enforce", "", NoJobs(), self._outbound if make is not None else outbound.call)
            try:
                handlers[sender.name] = sender.handler(sender.settings, host)
            except ValueError as error:
                self._mistakes.append(sender.mistake(error))
        place, drain = Place.of(settings, self.policy.store), self.policy.server.timeouts.drain
        store = None if make is None else make(settings)
        self.running.jobs = made = JobService(settings, place, handlers, self.metrics, drain, outbound, store)
        return made

    def _store(self, make: Callable[[StoreSettings], Store], before: App | None) -> Store:
        """The one that runs already, with its counts, when its settings are the same."""
        if before is not None and before.policy.store == self.policy.store:
            self.running.inherited_store = before.store
            return before.store
        self.running.store = made = make(self.policy.store)
        return made

    def _cache(self, before: App | None) -> Cache:
        """The one that there is, with all that it has stored, when its settings, and the store, are the same."""
        if before is not None and before.policy.cache == self.policy.cache and before.store is self.store:
            self.running.inherited_cache = before.cache
            return before.cache
        limit, siblings = self.policy.cache.memory, Siblings(self.control)
        is_hosted = self.policy.store.redis is None
        if not is_hosted or self._memory:
            from gateway.caching.redis.cache import RedisCache  # here, as below: most that speaks to Redis is for policies that name one
            from gateway.store.redis.store import RedisStore

            if isinstance(self.store, RedisStore):  # and no rehearsal's
                link = self.store.link
                self.running.cache = made = RedisCache(link.address, limit, lambda: link.gateways, siblings=siblings, is_hosted=is_hosted)
                return made
        return WorkersCache(limit, siblings)

    def _new_store(self, settings: StoreSettings) -> Store:
        address = settings.redis
        if address is None and not self._memory:
            return MemoryStore(self.clock, wall=time.time)
        from gateway.store.redis.store import RedisStore

        return RedisStore(address or Address(path=self._memory, called=ADDRESS), settings.on_failure)

    def _where_spans_go(self) -> Destination | None:
        try:
            return destination(self.policy)
        except ValueError as error:
            self._mistakes.append(self.policy.mistake(("telemetry", "traces", "protocol"), str(error)))
            return None

    def _exporter(self, before: App | None) -> SpanExporter | None:
        """The one that runs already, with the spans that wait in it, when it goes to the same place."""
        if self._destination is None or self._new_exporter is None:
            return None
        if before is not None and before._destination == self._destination:
            return before.running.exporter
        return self._new_exporter(self._destination)

    def _upstream(
        self, name: str, settings: UpstreamSettings, make: Callable[[str, UpstreamSettings], Upstream], before: App | None
    ) -> Upstream:
        """The one that runs already, with its connections, when it would be made of the same."""
        tls_files = (settings.tls.ca, settings.tls.cert, settings.tls.key)
        self._makings[name] = makings = (settings, tuple(stamp(file) for file in tls_files if file is not None))
        if before is not None and before._makings.get(name) == makings:
            upstream = before.upstreams[name]
            self.running.inherited.append(upstream)
        else:
            upstream = make(name, settings)
            self.running.upstreams.append(upstream)
        return upstream

    def _new_upstream(self, name: str, settings: UpstreamSettings) -> Upstream:
        try:
            tls = _tls(settings)
        except (OSError, ssl.SSLError) as error:
            self._mistakes.append(self.policy.mistake(("upstreams", name, "tls"), f"the certificate files cannot be used: {error}"))
            tls = None
        targets = [
            Target(
                url,
                connect=settings.timeouts.connect,
                head=settings.timeouts.head,
                idle=settings.timeouts.idle,
                keepalive=settings.keepalive.idle,
                kept=settings.keepalive.max,
                tls=tls,
                server_name=settings.tls.server_name,
            )
            for url in settings.targets
        ]
        return Upstream(name, targets, settings)


def job_makings(policy: Policy) -> tuple[object, ...]:
    """All that jobs are made of."""
    named = (value for sender in policy.senders for value in vars(sender.settings).values() if isinstance(value, Path))
    files = sorted(file for path in named for file in (path.rglob("*") if path.is_dir() else [path]))
    senders = tuple((sender.name, sender.handler, sender.settings) for sender in policy.senders)
    place = None if policy.jobs is None else Place.of(policy.jobs, policy.store)
    return (policy.jobs, place, senders, policy.telemetry, tuple((file, stamp(file)) for file in files))


def _tls(settings: UpstreamSettings) -> ssl.SSLContext | None:
    """The context for https targets; None when there are none."""
    if not any(url.startswith("https:") for url in settings.targets):
        return None
    tls = settings.tls
    context = ssl.create_default_context(cafile=None if tls.ca is None else str(tls.ca))
    context.set_alpn_protocols(["http/1.1"])
    if tls.cert is not None:
        context.load_cert_chain(str(tls.cert), str(tls.key))
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _open_lines(
    files: LineFiles | None, write_line: Callable[[bytes], None], opened: list[LineFile], file: Path
) -> Callable[[bytes], None]:
    """Not a method: a host must not lead to its App, which leads to the host."""
    if files is None:
        return write_line
    try:
        opened.append(files.open(file))
    except OSError as error:
        raise ValueError(f"{file} cannot be opened: {error.strerror}; write a file that the gateway may write to") from error
    return opened[-1].write


def _watch(host: Host, path: Path, changed: Changed) -> None:
    host.spawn(follow(path, changed), f"watching {path}")


def _observed(metrics: Metrics) -> Observed:
    description = "What entries in `mode: observe` would have done: the status of an answer, or none."
    family = metrics.counter("gateway.observed", description, ("plugin", "route", "status"))
    return lambda plugin, route, status: family.bind(plugin=plugin, route=route, status=status).add()


async def _unrouted(ex: Exchange, pipeline: Pipeline) -> Reply:
    raise ex.failure or NotFound()
