"""`gateway worker`: a process that runs the jobs of a policy, and serves nobody."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys

import uvloop

from gateway.config.policy import Policy
from gateway.jobs.contract import JobsAway
from gateway.ports.opening import observe_port
from gateway.ports.port import Port
from gateway.server.compile import Load
from gateway.server.setup import await_signals, write_log
from gateway.server.working import Working

log = logging.getLogger("gateway")


def work(policy: Policy, load: Load, *, observe: str | None = None, watch: bool = True) -> int:
    """Run jobs until SIGTERM or SIGINT; a second signal ends at once. Returns the exit code. Raises ConfigError.

    `load` reads the policy again on SIGHUP, and with `watch` when a file of it has changed. `observe`: where it can be looked at. That is
    never the policy's own address, which is the gateway's: a worker that came first would keep a gateway of the same machine from starting.
    """
    tell_last = write_log(policy)
    await_signals()
    working = Working(policy, load)
    try:
        port = None if observe is None else observe_port(observe, "--observe", working.app.control)
    except OSError as error:
        sys.stderr.write(f"gateway worker: {error}\n")  # in one piece: the log is written by a thread
        return 1
    try:
        return uvloop.run(_run(working, port, watch))
    except Exception as error:
        log.critical("the worker failed", exc_info=error)
        return 1
    finally:
        tell_last()


async def _run(working: Working, port: Port | None, watch: bool) -> int:
    loop = asyncio.get_running_loop()
    if why := working.idle:
        log.error("there is nothing to do: %s", why)
        return 1
    try:
        await working.start(watch)
    except Exception as error:
        log.error("the worker cannot be started: %s", error, exc_info=None if isinstance(error, JobsAway) else error)
        return 1
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _on_signal, stop)
    loop.add_signal_handler(signal.SIGHUP, working.reloads.ask)
    if port is not None:
        await port.start()
    await stop.wait()
    log.info("draining")
    await working.stop()
    if port is not None:
        await port.stop()
    log.info("ended")
    return 0


def _on_signal(stop: asyncio.Event) -> None:
    if stop.is_set():
        raise SystemExit(1)
    stop.set()
