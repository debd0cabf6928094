"""The supervisor as a process: it binds the sockets, starts workers, hears signals, and ends everything in order. No traffic passes it."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from gateway.config.policy import Policy
from gateway.config.ports import Admin
from gateway.control import Control
from gateway.ports.opening import ports
from gateway.ports.port import Port
from gateway.server.listener import Listener
from gateway.server.reading import Reading, Terms, bound, files
from gateway.server.reload import Reloader, reloader
from gateway.server.setup import allow_files, await_signals, bind, write_log
from gateway.state.record import running
from gateway.supervisor.balance import SLOT, size
from gateway.supervisor.child import Child, spawned
from gateway.supervisor.cores import cores
from gateway.supervisor.counting import Counting
from gateway.supervisor.crew import Crew, Decided
from gateway.supervisor.drain import drain
from gateway.supervisor.operations import Operations
from gateway.supervisor.orders import Orders, sockets
from gateway.supervisor.place import Place
from gateway.supervisor.storekeeper import Storekeeper, storekeeping
from gateway.supervisor.watchman import Watchman
from gateway.telemetry.metrics.slots import forget

log = logging.getLogger("gateway")


def supervise(policy: Policy, env_files: Sequence[str], folder: Path, *, watch: bool = True) -> int:
    """Run until SIGTERM or SIGINT; a second signal ends at once. Returns the exit code.

    Reloads on SIGHUP, and with `watch` when a file of the policy has changed; `folder` keeps the state.
    """
    tell_last = write_log(policy)
    await_signals()
    allow_files(policy.server.limits.connections)  # each worker inherits that
    try:
        listeners = bind(policy)
    except OSError as error:
        sys.stderr.write(f"gateway: {error}\n")  # in one piece: the log is written by a thread
        return 1
    number = _size(policy)
    with tempfile.TemporaryFile() as balance, _metrics_in(folder) as metrics, storekeeping(number) as storekeeper:
        balance.truncate(size(number) * SLOT)
        orders = Orders(
            policy=str(policy.path),
            env_files=tuple(env_files),
            metrics=str(metrics),
            sockets=sockets(policy, listeners),
            bound=bound(policy),
            balance=balance.fileno(),
            slots=size(number),
            memory="" if storekeeper is None else storekeeper.path,
        )
        try:
            return asyncio.run(_run(policy, orders, number, listeners, folder, watch, storekeeper))
        finally:
            tell_last()


@contextmanager
def _metrics_in(folder: Path) -> Iterator[Path]:
    """The state folder, with what a former gateway counted forgotten; another, for a while, where that is in use or cannot be written."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        is_ours = running(folder) is None and os.access(folder, os.W_OK)
    except OSError:
        is_ours = False
    if is_ours:
        forget(folder)
        yield folder
    else:
        with tempfile.TemporaryDirectory(prefix="gateway-") as other:
            yield Path(other)


async def _run(
    policy: Policy,
    orders: Orders,
    number: int,
    listeners: Sequence[Listener],
    folder: Path,
    watch: bool,
    storekeeper: Storekeeper | None,
) -> int:
    loop = asyncio.get_running_loop()
    control = Control()
    is_store_needed = storekeeper is not None and policy.store.redis is None

    async def spawn(number: int) -> Child:
        child = await spawned(number, orders.descriptors, control)
        if storekeeper is not None and is_store_needed:
            await storekeeper.begun()  # while the worker's process begins
        return child

    crew = Crew(spawn, orders, Decided(policy.kept, Terms.of(policy)), Reading.of(policy, files(policy)))
    try:
        opened = ports(policy.server, lambda: _admin(crew.decided.terms), control)
    except OSError as error:
        log.error("%s", error)
        return 1
    places = [Place(crew, n) for n in range(number)]
    reloads = reloader(crew, policy.path, folder, watch=watch)
    listen = [f"{listener.scheme}://{listener.address}" for listener in listeners]
    Operations(crew, places, reloads, policy.path, listen).offer(control)
    metrics = Path(orders.metrics)
    counting = Counting(crew, reloads, metrics, folder if metrics == folder else None, control)
    watchman = Watchman(crew, places, policy.folder)
    signals: asyncio.Queue[None] = asyncio.Queue()
    for heard in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(heard, signals.put_nowait, None)
    loop.add_signal_handler(signal.SIGUSR1, crew.reopen)
    first = loop.create_task(signals.get())
    beside = [loop.create_task(watchman.run()), loop.create_task(counting.run())]
    if storekeeper is not None:
        beside.append(loop.create_task(storekeeper.run(is_store_needed), name="store"))
    keeping = loop.create_task(_keep(places, reloads, opened, listen))
    await asyncio.wait([first, keeping, *beside], return_when=asyncio.FIRST_COMPLETED)
    for task in (keeping, *beside):
        if task.done() and (failure := task.exception()) is not None:
            log.critical("the supervisor fails, and ends", exc_info=failure)
    log.info("draining")
    watchman.rest()
    keeping.cancel()
    await asyncio.wait([keeping])
    ending = loop.create_task(drain(crew, listeners))
    second = loop.create_task(signals.get())
    await asyncio.wait([ending, second], return_when=asyncio.FIRST_COMPLETED)
    is_well = first.done() and ending.done() and ending.result()
    for child in list(crew.children.values()):
        child.kill()
    reloads.stop()
    for port in opened:
        await port.stop()
    for task in beside:
        task.cancel()
    await asyncio.wait(beside)
    counting.stop()
    log.info("ended" if is_well else "ended, not in order")
    return 0 if is_well else 1


async def _keep(places: Sequence[Place], reloads: Reloader, opened: Sequence[Port], listen: Sequence[str]) -> None:
    """Serve until cancelled. Returns when not one worker could be started."""
    await asyncio.gather(*(place.fill() for place in places))
    if all(place.child is None for place in places):
        return
    for port in opened:
        await port.start()
    for address in listen:
        log.info("listening on %s", address)
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reloads.ask)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(reloads.run(), name="reload")
        for place in places:
            tasks.create_task(place.run())


def _size(policy: Policy) -> int:
    """How many workers there are to be, and what is to be known of that."""
    available, wanted = cores(), policy.server.workers
    number = available if wanted == "auto" else wanted
    log.info("%d worker%s; %d core%s to run on", number, "s" * (number != 1), available, "s" * (available != 1))
    if number > 1 and policy.store.redis is None:
        log.info("memory:// is kept by a process of its own, for all workers")
    return number


def _admin(terms: Terms) -> Admin | None:
    """The settings of the admin port in force."""
    return None if terms.admin is None else Admin(address=terms.admin[0], token=terms.admin[1])
