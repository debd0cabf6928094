"""`gateway worker`: a process that runs the jobs of a policy, and serves nobody."""

from __future__ import annotations

import asyncio
import logging
import signal

import uvloop

from gateway.app import App
from gateway.config.policy import Policy
from gateway.server.pushing import Pusher
from gateway.server.setup import await_signals, write_log
from gateway.telemetry.metrics.families import Metrics
from gateway.telemetry.tracing.destination import exporter
from gateway.telemetry.watchdog import Watchdog

log = logging.getLogger("gateway")


def work(policy: Policy) -> int:
    """Run jobs until SIGTERM or SIGINT; a second signal ends at once. Returns the exit code. Raises ConfigError."""
    tell_last = write_log(policy)
    await_signals()
    app = App(policy, _nowhere, exporter=exporter, metrics=Metrics())
    try:
        return uvloop.run(_run(app))
    except Exception as error:
        log.critical("the worker failed", exc_info=error)
        return 1
    finally:
        tell_last()


async def _run(app: App) -> int:
    jobs, spans = app.jobs, app.running.exporter
    if jobs is None or not app.policy.senders:
        log.error("there is nothing to do: the policy has no %s", "jobs" if jobs is None else "senders in jobs")
        return 1
    stop = asyncio.Event()
    try:
        await app.store.start()
        await jobs.start()
    except Exception as error:
        log.error("the worker cannot be started: %s", error)
        return 1
    if spans is not None:
        spans.hold()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, _on_signal, stop)
    pusher, watchdog = Pusher(lambda: [app.metrics.read()], lambda: app.policy.telemetry.metrics), Watchdog()
    pusher.start()
    watchdog.start()
    jobs.work()
    log.info("working for %s", ", ".join(sender.name for sender in app.policy.senders))
    await stop.wait()
    log.info("draining")
    await jobs.stop()
    await app.store.stop()
    if spans is not None:
        await spans.release()
    watchdog.stop()
    pusher.stop()
    log.info("ended")
    return 0


def _on_signal(stop: asyncio.Event) -> None:
    if stop.is_set():
        raise SystemExit(1)
    stop.set()


def _nowhere(line: bytes) -> None:
    """A worker has no access log."""
