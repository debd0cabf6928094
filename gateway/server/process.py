"""The gateway as one process: sockets bound, the policy compiled, signals heard, everything ended in order."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import uvloop

from gateway.caching.operations import CacheOperations, offer_stats
from gateway.config.policy import Policy
from gateway.identity.operations import KeyOperations
from gateway.jobs.contract import JobsAway
from gateway.jobs.operations import JobsOperations
from gateway.ports.opening import ports
from gateway.ports.port import Port
from gateway.server.compile import Load
from gateway.server.front import Front
from gateway.server.listener import Listener
from gateway.server.measures import Measures
from gateway.server.operations import Operations
from gateway.server.pushing import Pusher
from gateway.server.reading import bound
from gateway.server.reload import reloader
from gateway.server.serving import Serving
from gateway.server.setup import allow_files, await_signals, bind, write_log
from gateway.state.record import running
from gateway.store.operations import StoreOperations
from gateway.telemetry.metrics.families import Metrics
from gateway.telemetry.metrics.slots import SlotFile, forget, slot_file
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
    tell_last = write_log(policy)
    await_signals()
    allow_files(policy.server.limits.connections)
    serving = Serving(policy, load, _metrics(folder))
    try:
        require_c_extensions()
        listeners = bind(policy)
    except (OSError, RuntimeError) as error:
        sys.stderr.write(f"gateway: {error}\n")  # in one piece: the log is written by a thread
        return 1
    try:
        return uvloop.run(_run(policy, serving, listeners, folder, watch, offers))
    except Exception as error:
        log.critical("the gateway failed", exc_info=error)
        return 1
    finally:
        tell_last()


def _metrics(folder: Path) -> Metrics:
    """Those of this run, in the state folder; in memory where another gateway keeps its own there."""
    if running(folder) is not None:
        return Metrics()
    forget(folder)
    return Metrics(SlotFile(slot_file(folder, 0)))


async def _run(policy: Policy, serving: Serving, listeners: list[Listener], folder: Path, watch: bool, offers: Offer) -> int:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    serving.open(listeners, bound(policy))
    front, app = serving.front, serving.app
    try:
        opened = ports(policy.server, lambda: front.app.policy.server.admin, app.control)
    except OSError as error:
        log.error("%s", error)
        return _closed(listeners, [])
    try:
        await serving.start()
    except Exception as error:
        log.error("the policy cannot be started: %s", error, exc_info=None if isinstance(error, JobsAway) else error)
        return _closed(listeners, opened)
    reloads = reloader(serving.policies, policy.path, folder, watch=watch)
    serving.serve(lambda: reloads.state)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _on_signal, stop)
    Operations(front, reloads, serving.policies, app.clock).offer(app.control)
    StoreOperations(lambda: front.app.store).offer(app.control)
    KeyOperations(lambda: front.app.store).offer(app.control)
    CacheOperations(lambda: front.app.cache).offer(app.control)
    JobsOperations(lambda: front.app.job_store, lambda: front.app.mask).offer(app.control)
    offers(front)
    loop.add_signal_handler(signal.SIGHUP, reloads.ask)
    loop.add_signal_handler(signal.SIGUSR1, serving.files.reopen)
    measures = Measures(lambda: [app.metrics.read()], folder)
    measures.offer(app.control)
    offer_stats(app.control)
    pusher = Pusher(lambda: [app.metrics.read()], lambda: front.app.policy.telemetry.metrics)
    pusher.start()
    measuring = loop.create_task(measures.run(), name="metrics")
    reloading = loop.create_task(reloads.run(), name="reload")
    for port in opened:
        await port.start()
    for listener in listeners:
        log.info("listening on %s://%s", listener.scheme, listener.address)
    await stop.wait()
    log.info("draining")
    reloading.cancel()  # a policy that took over now would say that it is ready
    await asyncio.wait([reloading])
    await front.drain()
    reloads.stop()
    await serving.stop()
    for port in opened:
        await port.stop()
    pusher.stop()
    measuring.cancel()
    await asyncio.wait([measuring])
    log.info("ended")
    return 0


def _closed(listeners: Sequence[Listener], opened: Sequence[Port]) -> int:
    """The exit code of a gateway that cannot start."""
    for listener in listeners:
        listener.leave()
    for port in opened:
        port.close()
    return 1


def _on_signal(stop: asyncio.Event) -> None:
    if stop.is_set():
        raise SystemExit(1)
    stop.set()
