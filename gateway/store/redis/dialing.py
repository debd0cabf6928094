"""From an address to a connection that is logged in, has our scripts, and can write. Every way it may fail is told in words."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import hiredis

from gateway.store.contract import StoreAway
from gateway.store.redis import advice
from gateway.store.redis.address import Address
from gateway.store.redis.connection import Connection
from gateway.store.redis.scripts import ALL, LIMITS, Script

C = TypeVar("C", bound=Connection)

NAME = "gateway"
PROBE = "gw:{probe}"
"""A key of ours that is written to at connect: so a user without rights, a full server and a replica are found then, by no request."""

REASONS = {
    "WRONGPASS": "the password or the user is wrong",
    "ERR AUTH": "it wants no password, and the settings have one",
    "ERR Client sent AUTH": "it wants no password, and the settings have one",
    "ERR invalid password": "the password is wrong",
    "NOAUTH": "it wants a password",
    "NOPERM": "the user has not the rights",
    "ERR ACL failure": "the user has not the rights",
    "READONLY": "it is a replica, which may only be read",
    "MASTERDOWN": "it is a replica that has lost its master",
    "LOADING": "it is loading its data",
    "OOM": "its memory is full (maxmemory), and its policy lets nothing go",
    "MISCONF": "it refuses to write, for it cannot save to its disk",
    "NOREPLICAS": "it refuses to write, for it has too few replicas",
    "CLUSTERDOWN": "it belongs to a cluster that is down",
    "MOVED": "it belongs to a cluster, which is not spoken to in this version",
    "BUSY": "it is busy with a script of somebody else's",
    "ERR DB index": "it has no database of this number",
}
"""What the beginning of an error means for the whole server; all other errors concern one command."""


def reason(error: Exception) -> str | None:
    """Why a server that answers with this cannot be used now; None when it can."""
    text = str(error)
    found = next((words for start, words in REASONS.items() if text.startswith(start)), None)
    return None if found is None else f"{found} ({text})"


async def dial(
    address: Address,
    lost: Callable[[C], None],
    make: Callable[[Callable[[C], None]], C],
    scripts: Sequence[Script] = ALL,
    probe: tuple[Any, ...] = ("EVALSHA", LIMITS.sha, 1, PROBE, 1, "f", 2**40, 10**6, 0, 0, 1),
) -> tuple[C, dict[str, str]]:
    """The connection, and what the server's INFO says. Raises StoreAway.

    `scripts` are loaded there; `probe` is a command that writes to a key of ours.
    """
    if address.sentinels:
        host, port = await _master(address)
    else:
        host, port = address.host, address.port
    connection = await _open(address, host, port, lambda: make(lost))
    try:
        return connection, await _greet(connection, address, scripts, probe)
    except BaseException:
        connection.close()
        raise


async def _open(address: Address, host: str, port: int, make: Callable[[], C]) -> C:
    loop = asyncio.get_running_loop()
    try:
        if address.path:
            return (await loop.create_unix_connection(make, address.path))[1]
        name = host if address.tls else None
        _, connection = await loop.create_connection(make, host, port, ssl=address.context(), server_hostname=name)
    except (OSError, UnicodeError) as error:  # ssl.SSLError is an OSError; UnicodeError: of a host that is no name
        raise StoreAway(f"no connection: {getattr(error, 'strerror', None) or error}") from error
    return connection


async def _greet(connection: Connection, address: Address, scripts: Sequence[Script], probe: tuple[Any, ...]) -> dict[str, str]:
    if address.password:
        await _asked(connection, "AUTH", *([address.username] if address.username else []), address.password)
    if address.db:
        await _asked(connection, "SELECT", address.db)
    connection.call(("CLIENT", "SETNAME", NAME), lambda reply: None)
    try:
        info = advice.parsed(await connection.ask("INFO"))
    except hiredis.ReplyError as error:
        if (why := reason(error)) is not None and not str(error).startswith("NOPERM"):
            raise StoreAway(why) from None
        info = {}
    if advice.is_read_only(info):
        raise StoreAway("it is a replica, which may only be read")
    for script in scripts:
        await _asked(connection, "SCRIPT", "LOAD", script.source)
    await _asked(connection, *probe)
    return info


async def _asked(connection: Connection, *command: Any) -> Any:
    try:
        return await connection.ask(*command)
    except hiredis.ReplyError as error:
        raise StoreAway(reason(error) or f"it answers {error}") from None


async def _master(address: Address) -> tuple[str, int]:
    """Where the sentinels say that the master is: the first that knows is believed, as its name says."""
    why = ""
    for host, port in address.sentinels:
        try:
            async with asyncio.timeout(0.5):
                sentinel = await _open(address, host, port, lambda: Connection(lambda connection: None))
                try:
                    if address.sentinel_password:
                        await _asked(sentinel, "AUTH", address.sentinel_password)
                    found = await _asked(sentinel, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", address.master)
                finally:
                    sentinel.close()
        except (StoreAway, TimeoutError) as error:
            why = str(error) or "no answer"
            continue
        if found is None:
            why = f"it knows no {address.master}"
            continue
        return found[0].decode(), int(found[1])
    raise StoreAway(f"no sentinel tells where {address.master} is: {why}")
