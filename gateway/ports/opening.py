"""The ports that a policy names, bound."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from gateway.config.address import address
from gateway.config.ports import Admin
from gateway.config.server import ServerSettings
from gateway.control import Control
from gateway.ports import admin, observe
from gateway.ports.endpoint import Endpoints
from gateway.ports.guard import Guard
from gateway.ports.port import Port


def ports(bound: ServerSettings, now: Callable[[], Admin | None], control: Control) -> list[Port]:
    """All of them, or none. Raises OSError that says which address cannot be had.

    `bound` has the addresses for as long as the process lives; `now` gives those of the admin port in force, with a token that a
    reload may have changed.
    """
    opened: list[Port] = []
    try:
        opened.extend(_opened(bound, now, control))
    except OSError:
        for port in opened:
            port.close()
        raise
    return opened


def observe_port(where: str, named: str, control: Control) -> Port:
    """One to read from; `named` says where its address was written. Raises OSError that says which one cannot be had."""
    return _port("observe", where, named, observe.ENDPOINTS, None, control)


def _opened(bound: ServerSettings, now: Callable[[], Admin | None], control: Control) -> Iterator[Port]:
    if bound.observe is not None:
        yield observe_port(bound.observe.address, "server.observe", control)
    if bound.admin is not None:
        settings = bound.admin
        yield _port("admin", settings.address, "server.admin", admin.ENDPOINTS, lambda: _token(settings, now()), control)


def _port(name: str, where: str, named: str, endpoints: Endpoints, token: Callable[[], str | None] | None, control: Control) -> Port:
    host, port = address(where)
    try:
        return Port(name, (host, port), endpoints, Guard(host, token), control)
    except OSError as error:
        raise OSError(f"cannot listen on {where} ({named}): {error.strerror or error}") from error


def _token(bound: Admin, now: Admin | None) -> str | None:
    """The newest that is meant for this address: one without a token, for a loopback address, opens no other."""
    return now.token if now is not None and now.address == bound.address else bound.token
