"""What of a policy runs: its plugins and upstreams, from their start to their stop, and how many exchanges use them."""

from __future__ import annotations

import asyncio
import logging
from typing import Any
from weakref import WeakValueDictionary

from gateway.caching.contract import Cache
from gateway.checks import Check
from gateway.jobs.service import JobService
from gateway.outbound import Outbound
from gateway.pipeline import Pipeline
from gateway.plugin import Host, Plugin, Store
from gateway.telemetry.files import LineFile
from gateway.telemetry.tracing.exporter import SpanExporter
from gateway.upstream import Upstream

log = logging.getLogger("gateway")

GRACE = 1.0  # seconds that a plugin's cancelled tasks have to end


class Running:
    """Filled while its App is built. It outlives the App after a reload, as long as an exchange that it began is under way."""

    def __init__(self, *, serves: bool = True) -> None:
        """`serves`: False of a process that runs jobs alone: then what stands on the way of requests is never started."""
        self._serves = serves
        self.exchanges = 0  # under way; the front counts
        self.draining = False
        self.is_stale = False  # a newer policy was refused
        self.plugins: list[Plugin[Any]] = []
        self.files: list[LineFile] = []  # that plugins write lines to
        self.checks: list[Check] = []
        self.store: Store | None = None  # its own, to be started and stopped
        self.inherited_store: Store | None = None  # as `inherited`
        self.cache: Cache | None = None  # as the store
        self.inherited_cache: Cache | None = None
        self.jobs: JobService | None = None  # as `store`
        self.inherited_jobs: JobService | None = None  # as `inherited`
        self.upstreams: list[Upstream] = []  # its own, to be started and stopped
        self.inherited: list[Upstream] = []  # they run already, and are their last owner's until `succeed`
        self.exporter: SpanExporter | None = None  # of spans; held together with the policies before and after, if they have the same
        self._holds = False  # the exporter
        self._works = False  # its jobs are run
        # By the name of their route; "": of what no route matches. Not held here, for one that is used outlives the others.
        self.pipelines: WeakValueDictionary[str, Pipeline] = WeakValueDictionary()
        self.outbound = Outbound()
        self._started: list[tuple[Host, Plugin[Any] | None]] = []

    @property
    def is_busy(self) -> bool:
        """An exchange or a job is under way."""
        return self.exchanges > 0 or self.jobs_active > 0

    @property
    def jobs_active(self) -> int:
        """Jobs under way in this process."""
        return 0 if self.jobs is None else self.jobs.active

    def is_ready(self) -> bool:
        return not self.draining and not any(check.failure for check in self.checks if check.is_required)

    def is_draining(self) -> bool:
        return self.draining

    def has_stale_policy(self) -> bool:
        return self.is_stale

    async def start(self) -> None:
        """Start store, jobs, upstreams and plugins, in order. When one fails those started are stopped, and its error is raised."""
        try:
            if self.store is not None:
                await self.store.start()
            if self.jobs is not None:
                await self.jobs.start()
            if self.exporter is not None:
                self.exporter.hold()
                self._holds = True
            if self._serves:
                await self._start_serving()
        except BaseException:
            await self.stop()
            raise

    async def _start_serving(self) -> None:
        if self.cache is not None:
            await self.cache.start()
        for upstream in self.upstreams:
            upstream.start()
        await asyncio.gather(*(check.look() for check in self.checks))
        for check in self.checks:
            check.start()
        for plugin in self.plugins:
            self._started.append((plugin.host, plugin))
            try:
                await plugin.start()
            except BaseException as error:
                error.add_note(f"plugin {type(plugin).__module__.rpartition('.')[2]} cannot be started")
                raise

    def work(self) -> None:
        """This is the policy in force from now on: its jobs are run."""
        self._works = True
        if self.jobs is not None and (self.jobs.runs_here or not self._serves):
            self.jobs.work()

    async def stop(self) -> None:
        """Stop what was started, last first; one that fails keeps none of the others from it."""
        self._stop_checks()
        for host, plugin in reversed(self._started):
            tasks = list(host.tasks)
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks, timeout=GRACE)  # what they use is closed by the plugin's stop
            if plugin is not None:
                await _stop(plugin)
        self._started.clear()
        self.plugins.clear()  # their hosts lead back here: a circle that no collector would find, for it does not look at what is loaded
        if self.jobs is not None:
            await self.jobs.stop()
            self.jobs = None  # its handlers' hosts lead back here
        await self.outbound.close()
        for upstream in self.upstreams:
            upstream.stop()
        if self.cache is not None:
            await self.cache.stop()
        if self.store is not None:
            await self.store.stop()
        if self.exporter is not None and self._holds:
            self._holds = False
            await self.exporter.release()
        self.close_files()

    def close_files(self) -> None:
        for file in self.files:
            file.close()
        self.files.clear()

    def succeed(self, before: Running) -> None:
        """Own from now on what was inherited from `before`, which will be stopped without it."""
        if self.inherited_store is not None:
            self.store, self.inherited_store, before.store = self.inherited_store, None, None
        if self.inherited_cache is not None:
            self.cache, self.inherited_cache, before.cache = self.inherited_cache, None, None
        if self.inherited_jobs is not None:
            self.jobs, self.inherited_jobs, before.jobs = self.inherited_jobs, None, None
        replaced = {upstream.name: upstream for upstream in before.upstreams}
        for upstream in self.upstreams:
            if upstream.name in replaced:
                upstream.succeed(replaced[upstream.name])
        for upstream in self.inherited:
            before.upstreams.remove(upstream)
        self.upstreams += self.inherited
        self.inherited.clear()
        if before._works:
            self.work()
        before.retire()

    def retire(self) -> None:
        """No exchange begins any more. Those under way may last for days, each with its own pipeline: the rest need not."""
        self._started = [(host, plugin if plugin is not None and _must_stop(plugin) else None) for host, plugin in self._started]
        self.plugins.clear()
        self._stop_checks()
        for upstream in self.upstreams:
            upstream.retire()
        if self.jobs is not None:
            self.jobs.quiet()

    def _stop_checks(self) -> None:
        for check in self.checks:
            check.stop()


def _must_stop(plugin: Plugin[Any]) -> bool:
    return type(plugin).stop is not Plugin.stop


async def _stop(plugin: Plugin[Any]) -> None:
    try:
        await plugin.stop()
    except Exception:
        log.exception("%s did not stop", type(plugin).__name__)
