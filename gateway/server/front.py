"""The front: all client connections of one gateway, their limits, their time, and how they end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Sequence
from email.utils import formatdate
from functools import partial
from typing import TYPE_CHECKING, Any

from gateway.config.match import UNNAMED
from gateway.errors import Unavailable
from gateway.server.connection import Connection
from gateway.server.debug_token import admits
from gateway.server.forwarding import Forwarding, plain_address
from gateway.server.head import HeadReader, Peer
from gateway.server.listener import Listener
from gateway.telemetry.recent import Recent

if TYPE_CHECKING:
    from gateway.app import App
    from gateway.config.server import ServerSettings
    from gateway.exchange import Exchange
    from gateway.server.tunnel import Tunnel
    from gateway.server.turn import Turn

log = logging.getLogger("gateway.server")

SWEEP = 0.25  # seconds between two looks at the connections: how coarse every time limit is


class Front:
    """`start` listens, `drain` ends without cutting anything that has begun."""

    def __init__(self, app: App, listeners: Sequence[Listener]) -> None:
        self.loop = asyncio.get_running_loop()
        self.clock = app.clock  # loop.time() counts whole milliseconds under uvloop: good for limits, not for durations
        self.listeners = tuple(listeners)
        self.draining = False
        self.recent: Recent | None = None  # what became of the last exchanges
        self.adopted = 0.0  # when the app began, by the clock
        self.tunnels: set[Tunnel] = set()
        self._connections: set[Connection] = set()
        self._ended: list[Turn] = []  # whose plugins have yet to be told
        self._empty = asyncio.Event()
        self.date = ""  # of replies that have none (RFC 9110, section 6.6.1); kept by the sweep
        self._sweep: asyncio.TimerHandle | None = None
        self._looks = 0
        self._settings: ServerSettings | None = None
        description = "Requests that were refused before they were any route's, by the status of the answer."
        self._refused = app.metrics.counter("gateway.refused", description, ("status",))
        self.adopt(app)

    def adopt(self, app: App) -> None:
        """What begins from now on is done by `app`; what is under way goes on as it began. Of `server`, `listen` is not looked at."""
        settings, before = app.policy.server, self._settings
        self.app = app
        self._settings = settings
        self.timeouts = settings.timeouts
        self.head_limit = settings.limits.head
        self.heads = HeadReader(
            target=settings.limits.target,
            headers=settings.limits.headers,
            body=settings.limits.body,
            extra_methods=frozenset(method for route in app.routes for method in route.methods or UNNAMED),
            clock=self.clock,
        )
        self._most = settings.limits.connections
        if before is None or before.debug.recent != settings.debug.recent:
            self.recent = Recent(settings.debug.recent, self.clock) if settings.debug.recent else None
        self._debug_secret = settings.debug.secret
        self.adopted = self.clock()
        if before is None or before.trusted_proxies != settings.trusted_proxies:
            self.forwarding = Forwarding([str(network) for network in settings.trusted_proxies])
        if before is not None and before != settings:
            for connection in self._connections:
                connection.forget()

    def start(self) -> None:
        self._look()
        for listener in self.listeners:
            listener.start(partial(Connection, self, listener.scheme), self.timeouts.head, self._room)

    def _room(self) -> int:
        return self._most - self.connections

    @property
    def connections(self) -> int:
        """Of clients, that are open; WebSockets among them."""
        return len(self._connections) + len(self.tunnels)

    def admits(self, token: str, ex: Exchange) -> bool:
        """Whether this debug token lets the client of `ex`, which has its route, see what is decided about it."""
        return bool(self._debug_secret) and admits(self._debug_secret, token, ex, time.time())

    def refused(self, status: int) -> None:
        """A connection was answered without an exchange."""
        self._refused.bind(status=status).add()

    def peer(self, transport: Any, scheme: str) -> Peer:
        name = transport.get_extra_info("peername")
        return Peer(plain_address(name[0]) if name else "", scheme, self.forwarding)

    def ended(self, turn: Turn) -> None:
        """The reply is sent. Its plugins are told at the loop's next turn, with all that end in this one.

        Little is done at an end, and most of its cost is that nothing of it is in the processor's caches when it comes: a line of the
        access log takes 30 us by itself, and 5 in a row of sixteen.
        """
        if not self._ended:
            self.loop.call_soon(self._conclude)
        self._ended.append(turn)

    def _conclude(self) -> None:
        ended, self._ended = self._ended, []
        for turn in ended:
            try:
                turn.conclude()
            except Exception:
                log.exception("the end of an exchange could not be told: request_id=%s", turn.ex.given_id)

    def opened(self, connection: Connection) -> None:
        self._connections.add(connection)
        if self._room() < 0:
            connection.refuse(Unavailable("Too many connections.", headers=[("Retry-After", "1")]))

    def closed(self, connection: Connection) -> None:
        self._connections.discard(connection)
        if self.draining:
            self._end_when_empty()

    def tunnelled(self, connection: Connection, tunnel: Tunnel) -> None:
        """The connection's two sides pass bytes now, and nothing else of it is left to look at."""
        self.tunnels.add(tunnel)
        self._connections.discard(connection)

    def untunnelled(self, tunnel: Tunnel) -> None:
        self.tunnels.discard(tunnel)
        if self.draining:
            self._end_when_empty()

    def _end_when_empty(self) -> None:
        if not self._connections and not self.tunnels:
            self._empty.set()

    def _look(self) -> None:
        """The one coarse sweep: time limits of all connections, the date, renewed certificates."""
        self._sweep = self.loop.call_later(SWEEP, self._look)
        self.date = formatdate(time.time(), usegmt=True)
        now = self.loop.time()
        for connection in list(self._connections):
            connection.check(now)
        self._looks += 1
        if self._looks % 8 == 0:
            for listener in self.listeners:
                if listener.certificate is not None:
                    listener.certificate.refresh()

    async def drain(self) -> None:
        """Readiness says no for `lame_duck` while all is served; then no more is accepted, and what has begun may end.

        An idle connection is closed when it has been quiet for a second, for a request may be on its way; one that is used is told
        `Connection: close`. After `drain` what is left is cut.
        """
        self.be_unready()
        await asyncio.sleep(self.timeouts.lame_duck)
        await self.stop_accepting()
        await self.end(self.timeouts.drain)

    def be_unready(self) -> None:
        """Readiness says no; all is served still."""
        self.app.running.draining = True

    async def stop_accepting(self, *, others_go_on: bool = False) -> None:
        """What has begun may end. `others_go_on`: other processes accept what waits at the same sockets."""
        self.draining = True
        if (jobs := self.app.running.jobs) is not None:
            jobs.quiet()
        if others_go_on:
            for listener in self.listeners:
                listener.leave()
        else:
            await asyncio.gather(*(listener.close() for listener in self.listeners))

    async def end(self, patience: float | None) -> None:
        """Wait for what has begun; what is left after `patience` seconds, if there is such a limit, is cut."""
        self._end_when_empty()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._empty.wait(), patience)
        left = len(self._connections) + len(self.tunnels)
        if left:
            log.warning("%d connections did not end within %g s and are cut", left, patience)
        for connection in list(self._connections):
            connection.abort("cut at the end of the drain")
        for tunnel in list(self.tunnels):
            tunnel.close()
        await asyncio.sleep(0)  # their losses are told
        self._conclude()
        if self._sweep is not None:
            self._sweep.cancel()
