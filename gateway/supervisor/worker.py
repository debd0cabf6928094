"""One worker: a process of its own that serves, and does what its supervisor says. `python -m gateway.supervisor.worker`, never by hand."""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

import uvloop

from gateway.caching.operations import CacheOperations
from gateway.config.kept import Kept
from gateway.config.policy import load
from gateway.control import NONE, Arguments, Control, ControlError
from gateway.identity.operations import KeyOperations
from gateway.jobs.operations import JobsOperations
from gateway.rehearsal.live import offer
from gateway.server.compile import told
from gateway.server.operations import health
from gateway.server.reading import Terms
from gateway.server.recall import recall
from gateway.server.serving import Serving
from gateway.server.setup import write_log
from gateway.server.telling import set_log_level
from gateway.store.operations import StoreOperations
from gateway.supervisor.balance import Balance
from gateway.supervisor.channel import Channel, Gone, opened
from gateway.supervisor.judging import BEAT, Beat
from gateway.supervisor.orders import Orders
from gateway.supervisor.stack import STACK
from gateway.telemetry.levels import adopt
from gateway.telemetry.metrics.families import Metrics
from gateway.telemetry.metrics.slots import SlotFile, slot_file

log = logging.getLogger("gateway")

LOST = 120.0
"""Seconds after which a loop that hangs ends its process by itself: the supervisor would have ended it, if it still lived."""
ASKING = 5.0
"""Seconds for the supervisor to answer what a plugin asks of the gateway."""


class Above(Control):
    """What plugins ask of the gateway is the supervisor's to answer, for all workers."""

    def __init__(self, channel: Channel) -> None:
        super().__init__()
        self._channel = channel

    def offers(self, name: str) -> bool:
        return True

    async def own(self, name: str, arguments: Arguments) -> Any:
        """What this worker alone can answer."""
        return await super().call(name, arguments)

    async def call(self, name: str, arguments: Arguments = NONE) -> Any:
        try:
            return await self._channel.call(name, arguments, deadline=ASKING)
        except (Gone, TimeoutError):
            raise ControlError(503, "the supervisor does not answer") from None


class Worker:
    """What it can be told, by the names of its methods, is in `_orders`."""

    serving: Serving

    def __init__(self, stacks: int) -> None:
        """`stacks`: a file that the supervisor reads when this process hangs, or has died."""
        self._stacks = stacks
        self._ends: asyncio.Task[None] | None = None
        self._tell_last: Callable[[], None] = _nothing
        self._is_started = False
        self._is_over = asyncio.Event()
        self._channel: Channel
        self._above: Above
        self._orders = {
            order.__name__: order
            for order in (
                self.start, self.serve, self.prepare, self.commit, self.abandon, self.unready, self.drain,
                self.health, self.policy, self.exchange, self.set_log_level, self.checks, self.take_checks,
            )
        }  # fmt: skip

    async def run(self, end: socket.socket) -> int:
        """Until it has drained; when the supervisor is gone it drains by itself. The exit code."""
        self._channel = await opened(end, self._answer)
        self._above = Above(self._channel)
        telling = asyncio.create_task(self._channel.run(), name="channel")
        beating = asyncio.create_task(self._beat(), name="beat")
        over = asyncio.create_task(self._is_over.wait())
        await asyncio.wait([telling, over], return_when=asyncio.FIRST_COMPLETED)
        if not over.done() and self._is_started:
            if self._ends is None:
                log.error("the supervisor is gone: this worker serves what it has begun, and ends")
                await self.drain({"others_go_on": False, "patience": self.serving.front.timeouts.drain})
            await over
        beating.cancel()
        over.cancel()
        self._tell_last()
        return 0

    async def _answer(self, name: str, arguments: Arguments) -> Any:
        order = self._orders.get(name)
        return await (order(arguments) if order is not None else self._above.own(name, arguments))

    async def _beat(self) -> None:
        """A sign of life each second; and whoever does not come to give one ends."""
        while True:
            faulthandler.dump_traceback_later(LOST, exit=True, file=self._stacks)
            due = monotonic() + BEAT
            await asyncio.sleep(BEAT)
            if self._is_started:
                front, policies, lag = self.serving.front, self.serving.policies, max(0.0, monotonic() - due)
                is_ready = front.app.running.is_ready()
                self._channel.tell(
                    "beat", asdict(Beat(is_ready, policies.exchanges, front.connections, round(lag, 4), _memory(), policies.jobs))
                )

    async def start(self, arguments: Arguments) -> None:
        """Compile and start the policy as it was kept; nobody is served yet. Refuses with its mistakes, one a line."""
        orders, kept = Orders.from_values(arguments["orders"]), Kept.from_values(arguments["kept"])
        again = partial(load, orders.policy, env_files=orders.env_files)
        try:
            policy = again(kept=kept)
            self._tell_last = write_log(policy)
            adopt(arguments["levels"])
            number = arguments["number"]
            metrics = Metrics(SlotFile(slot_file(Path(orders.metrics), number)))
            self.serving = serving = Serving(policy, again, metrics, self._above, memory=orders.memory)
            listeners = [one.listener() for one in orders.sockets]
            serving.open(listeners, orders.bound)
            await serving.start()
        except (Exception, SystemExit) as error:
            raise ControlError(422, "\n".join(told(error))) from error
        self._balance, self._number = Balance(orders.balance, orders.slots), number
        for listener in listeners:
            listener.yield_when(lambda coming: self._balance.is_ahead(number, serving.front.connections + coming))
        offer(serving.front)
        StoreOperations(lambda: serving.front.app.store).offer(self._above)
        KeyOperations(lambda: serving.front.app.store).offer(self._above)
        CacheOperations(lambda: serving.front.app.cache).offer(self._above)
        JobsOperations(lambda: serving.front.app.job_store, lambda: serving.front.app.mask).offer(self._above)
        serving.app.running.is_stale = arguments["is_stale"]
        self._is_started = True

    async def serve(self, arguments: Arguments) -> None:
        self.serving.serve()
        self._balance.join(self._number)

    async def prepare(self, arguments: Arguments) -> Any:
        """Compile and start the policy beside the running one: as it is now, or as it was `kept`."""
        kept = None if arguments["kept"] is None else Kept.from_values(arguments["kept"])
        reading = await self.serving.policies.prepare(kept)
        policy = self.serving.policies.prepared
        if policy is None:
            return {"reading": reading.values, "digest": ""}
        answer: dict[str, Any] = {"reading": reading.values, "digest": policy.kept.digest}
        return answer if kept is not None else answer | {"kept": policy.kept.values, "terms": asdict(Terms.of(policy))}

    async def commit(self, arguments: Arguments) -> None:
        self.serving.policies.commit()

    async def abandon(self, arguments: Arguments) -> None:
        await self.serving.policies.abandon()

    async def unready(self, arguments: Arguments) -> None:
        self.serving.front.be_unready()

    async def drain(self, arguments: Arguments) -> None:
        """Accept no more, and end when what has begun has: what is left after `patience` seconds, if there is such a limit, is cut."""
        await self.serving.front.stop_accepting(others_go_on=arguments["others_go_on"])
        self._balance.leave(self._number)
        if self._ends is not None:
            self._ends.cancel()  # it was replaced, and had all the time there is; now the gateway ends
        self._ends = asyncio.create_task(self._end(arguments["patience"]), name="drain")

    async def _end(self, patience: float | None) -> None:
        await self.serving.front.end(patience)
        await self.serving.stop()
        self._is_over.set()

    async def health(self, arguments: Arguments) -> Any:
        return health(self.serving.front.app, {})

    async def checks(self, arguments: Arguments) -> Any:
        """Why each of the policy's checks fails, by its name; empty while it passes."""
        return {check.name: check.failure for check in self.serving.front.app.running.checks}

    async def take_checks(self, arguments: Arguments) -> None:
        """What another worker answered to that."""
        for check in self.serving.front.app.running.checks:
            if check.name in arguments:
                check.take(arguments[check.name])

    async def policy(self, arguments: Arguments) -> Any:
        """The policy in force, without its secrets."""
        return await asyncio.to_thread(self.serving.front.app.policy.masked)

    async def exchange(self, arguments: Arguments) -> Any:
        """What became of the exchanges whose request id is `id`, the newest first."""
        return await recall(self.serving.front, str(arguments.get("id", "")))

    async def set_log_level(self, arguments: Arguments) -> None:
        set_log_level(arguments, self.serving.front.app.policy.telemetry.log.level)

    async def reopen(self, arguments: Arguments) -> None:
        """The files of the access log, which were renamed."""
        self.serving.files.reopen()


def _nothing() -> None:
    return None


def _memory() -> int | None:
    """Bytes that this process holds."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return None


def main(end: int, stacks: int) -> int:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)  # they are meant for the supervisor, who says what to do, and when
    faulthandler.enable(file=stacks)
    faulthandler.register(STACK, file=stacks)
    return uvloop.run(_main(end, stacks))


async def _main(end: int, stacks: int) -> int:
    return await Worker(stacks).run(socket.socket(fileno=end))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
