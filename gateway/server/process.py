"""The gateway as a process: sockets bound, the policy compiled, signals heard, everything ended in order."""

from __future__ import annotations

import asyncio
import gc
import logging
import resource
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import uvloop

from gateway.app import App
from gateway.config.policy import Policy
from gateway.ports.opening import ports
from gateway.ports.port import Port
from gateway.server.compile import Compiler, Load
from gateway.server.front import Front
from gateway.server.listener import Address, Certificate, Listener
from gateway.server.measures import Measures
from gateway.server.operations import Operations
from gateway.server.pushing import Pusher
from gateway.server.reload import Reloader, reloader
from gateway.server.sampling import Sampler
from gateway.state.record import running
from gateway.telemetry.lines import LineWriter
from gateway.telemetry.log import LogHandler, formatter
from gateway.telemetry.metrics.families import Metrics
from gateway.telemetry.metrics.slots import SlotFile, forget, slot_file
from gateway.telemetry.tracing.destination import exporter
from gateway.wire import require_c_extensions

log = logging.getLogger("gateway")

Offer = Callable[[Front], None]


def _no_more(front: Front) -> None:
    return None


def serve(policy: Policy, load: Load, folder: Path, *, watch: bool = True, offers: Offer = _no_more) -> int:
    """Run until SIGTERM or SIGINT; a second signal ends at once. Returns the exit code. Raises ConfigError.

    `load` reads the policy again on SIGHUP, and with `watch` when a file of it has changed; `folder` keeps the state.
    `offers` adds operations to those of the gateway's own.
    """
    handler = LogHandler(sys.stderr.fileno())
    handler.setFormatter(formatter(policy.telemetry.log.format))
    logging.basicConfig(handlers=[handler], level=policy.telemetry.log.level.upper())
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # one that comes before it can be heard must not end us
    _allow_files(policy.server.limits.connections)
    lines = LineWriter(sys.stdout.fileno())
    app = App(policy, lines.write, exporter=exporter, metrics=_metrics(folder))
    try:
        require_c_extensions()
        listeners = _bind(policy)
    except (OSError, RuntimeError) as error:
        print(f"gateway: {error}", file=sys.stderr)  # noqa: T201
        return 1
    compiler = Compiler(load, policy, lines.write)
    measures = Measures(lambda: [app.metrics.read()], folder)
    return uvloop.run(_run(app, listeners, lines, measures, lambda front: reloader(front, compiler, folder, watch=watch), offers))


def _metrics(folder: Path) -> Metrics:
    """Those of this run, in the state folder; in memory where another gateway keeps its own there."""
    if running(folder) is not None:
        return Metrics()
    forget(folder)
    return Metrics(SlotFile(slot_file(folder, 0)))


def _bind(policy: Policy) -> list[Listener]:
    """All addresses, or none. Raises OSError that says which one cannot be had."""
    listeners: list[Listener] = []
    try:
        for settings in policy.server.listen:
            address = Address(settings.host, settings.port)
            tls = settings.tls
            try:
                certificate = None if tls is None else Certificate(str(tls.cert), str(tls.key), tls.min_version)
                listeners.append(Listener(address, certificate))
            except OSError as error:  # ssl.SSLError is one
                raise OSError(f"cannot listen on {address}: {error.strerror or error}") from error
    except OSError:
        for listener in listeners:
            listener.close()
        raise
    return listeners


async def _run(
    app: App, listeners: list[Listener], lines: LineWriter, measures: Measures, reloads: Callable[[Front], Reloader], offers: Offer
) -> int:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    lines.start()
    front = Front(app, listeners)
    try:
        opened = ports(app.policy.server, lambda: front.app.policy.server, app.control)
    except OSError as error:
        log.error("%s", error)
        return _closed(listeners)
    try:
        await app.start()
    except Exception as error:
        log.error("the policy cannot be started: %s", error, exc_info=error)
        return _closed([*listeners, *opened])
    front.start()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _on_signal, stop)
    _tune_collector()
    reloader = reloads(front)
    Operations(front, reloader, app.clock).offer(app.control)
    offers(front)
    loop.add_signal_handler(signal.SIGHUP, reloader.ask)
    sampler = Sampler(front, lambda: reloader.state)
    sampler.follow_log("access", lambda: lines.dropped)
    sampler.start()
    measures.offer(app.control)
    pusher = Pusher(lambda: [app.metrics.read()], lambda: front.app.policy.telemetry.metrics)
    pusher.start()
    measuring = loop.create_task(measures.run(), name="metrics")
    reloading = loop.create_task(reloader.run(), name="reload")
    for port in opened:
        await port.start()
    for listener in listeners:
        log.info("listening on %s://%s", listener.scheme, listener.address)
    await stop.wait()
    log.info("draining")
    reloading.cancel()  # a policy that took over now would say that it is ready
    await asyncio.wait([reloading])
    await front.drain()
    await reloader.stop()
    await front.app.stop()
    for port in opened:
        await port.stop()
    lines.stop()
    sampler.stop()
    pusher.stop()
    measuring.cancel()
    await asyncio.wait([measuring])
    app.metrics.file.close()
    log.info("ended")
    return 0


def _closed(bound: Sequence[Listener | Port]) -> int:
    """The exit code of a gateway that cannot start."""
    for one in bound:
        one.close()
    return 1


def _on_signal(stop: asyncio.Event) -> None:
    if stop.is_set():
        raise SystemExit(1)
    stop.set()


def _allow_files(connections: int) -> None:
    """Each exchange may need two sockets; a usual shell allows 1,024 files, though more could be had."""
    needed = 2 * connections + 64
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    if most < needed:
        log.warning("the system allows %d open files; server.limits.connections: %d may need %d", hard, connections, needed)


def _tune_collector() -> None:
    """What is loaded lives as long as the process: the collector need not look at it again, nor look so often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
