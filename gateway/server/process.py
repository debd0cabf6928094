"""The gateway as one process: sockets bound, the policy compiled, signals heard, everything ended in order."""

from __future__ import annotations

import asyncio
import logging
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
from gateway.server.listener import Listener
from gateway.server.operations import Operations
from gateway.server.reading import bound
from gateway.server.reload import reloader
from gateway.server.setup import allow_files, bind, tune_collector, write_log
from gateway.server.succession import Succession
from gateway.telemetry.lines import LineWriter
from gateway.wire import require_c_extensions

log = logging.getLogger("gateway")


def serve(policy: Policy, load: Load, folder: Path, *, watch: bool = True) -> int:
    """Run until SIGTERM or SIGINT; a second signal ends at once. Returns the exit code. Raises ConfigError.

    `load` reads the policy again on SIGHUP, and with `watch` when a file of it has changed; `folder` keeps the state.
    """
    write_log(policy)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # one that comes before it can be heard must not end us
    allow_files(policy.server.limits.connections)
    lines = LineWriter(sys.stdout.fileno())
    app = App(policy, lines.write)
    try:
        require_c_extensions()
        listeners = bind(policy)
    except (OSError, RuntimeError) as error:
        print(f"gateway: {error}", file=sys.stderr)  # noqa: T201
        return 1
    compiler = Compiler(load, policy, lines.write)
    return uvloop.run(_run(app, listeners, lines, lambda front: Succession(front, compiler, bound(policy)), folder, watch))


async def _run(
    app: App, listeners: list[Listener], lines: LineWriter, succession: Callable[[Front], Succession], folder: Path, watch: bool
) -> int:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    lines.start()
    front = Front(app, listeners)
    try:
        opened = ports(app.policy.server, lambda: front.app.policy.server.admin, app.control)
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
    tune_collector()
    policies = succession(front)
    reloads = reloader(policies, app.policy.path, folder, watch=watch)
    Operations(front, reloads, policies, app.clock).offer(app.control)
    loop.add_signal_handler(signal.SIGHUP, reloads.ask)
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
    await policies.stop()
    await front.app.stop()
    for port in opened:
        await port.stop()
    lines.stop()
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
