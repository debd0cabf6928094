"""The end of a listening socket: who was let in is served, and everybody else is refused, never reset."""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
import time

import pytest

from gateway.server.deaf import deafen
from gateway.server.listener import Address, Listener

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux filters what arrives at a socket")


class Greeting(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(b"hello")
        transport.close()


class Asking(threading.Thread):
    """Connects again and again, until refused."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.port = port
        self.served = 0
        self.cut: list[str] = []

    def run(self) -> None:
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=10) as client:
                    if client.recv(5) != b"hello":
                        self.cut.append("closed")
                    self.served += 1
            except ConnectionRefusedError:
                return
            except OSError as error:
                self.cut.append(repr(error))


class LateClient(Listener):
    """Somebody asks to connect between the last look at who waits and the end of the socket."""

    async def close(self) -> None:
        self.client = socket.socket()
        await super().close()

    def leave(self) -> None:
        self.client.setblocking(False)
        self.client.connect_ex((self.address.host, self.address.port))
        super().leave()


@linux
async def test_who_comes_at_the_last_moment_is_refused_and_not_cut() -> None:
    listener = LateClient(Address("127.0.0.1", 0))
    listener.start(Greeting, 1.0, lambda: 100)
    await listener.close()
    with listener.client as client, pytest.raises(ConnectionRefusedError):
        async with asyncio.timeout(30):
            await asyncio.get_running_loop().sock_connect(client, (listener.address.host, listener.address.port))


@linux
async def test_nobody_is_cut_when_the_socket_closes_under_load() -> None:
    listener = Listener(Address("127.0.0.1", 0))
    listener.start(Greeting, 1.0, lambda: 100)
    clients = [Asking(listener.address.port) for _ in range(6)]
    for client in clients:
        client.start()
    async with asyncio.timeout(30):
        while sum(client.served for client in clients) < 50:
            await asyncio.sleep(0.01)
    await listener.close()
    for client in clients:
        await asyncio.to_thread(client.join, 10)
    assert [client.cut for client in clients] == [[]] * 6
    assert not any(client.is_alive() for client in clients)


@linux
@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_a_deaf_socket_lets_in_who_came_before_and_nobody_after(family: socket.AddressFamily, host: str) -> None:
    with socket.socket(family) as listening, socket.socket(family) as before, socket.socket(family) as after:
        try:
            listening.bind((host, 0))
        except OSError:
            pytest.skip("IPv6 is switched off here")
        listening.listen()
        before.connect(listening.getsockname())
        assert deafen(listening)
        after.settimeout(0.2)
        with pytest.raises(TimeoutError):
            after.connect(listening.getsockname())
        accepted, _ = listening.accept()
        with accepted:
            accepted.send(b"hello")
            assert before.recv(5) == b"hello"


@pytest.mark.alone
async def test_a_listener_that_never_began_closes_at_once() -> None:
    listener = Listener(Address("127.0.0.1", 0))
    begun = time.monotonic()
    await listener.close()
    assert listener.fileno() == -1
    assert time.monotonic() - begun < 0.05
