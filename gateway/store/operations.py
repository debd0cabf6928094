"""What an operator may ask of a store: what limits know of a key, to forget it, and who is blocked."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_network
from typing import Any

from gateway.control import Arguments, Control, ControlError
from gateway.store.contract import LimitSpec, Store, StoreAway, settled

BLOCKS = "blocks"
"""The shared set of addresses and networks that are blocked."""


class StoreOperations:
    """Each public method is an operation of its name; answers are JSON values."""

    def __init__(self, store: Callable[[], Store]) -> None:
        """`store` gives the one of now: a reload may replace it."""
        self._store = store

    def offer(self, control: Control) -> None:
        for operation in (self.limits_show, self.limits_reset, self.blocks, self.block, self.unblock):
            control.offer(operation.__name__, operation)

    async def limits_show(self, arguments: Arguments) -> Any:
        """What each limit of the policy says of the `key`: of those who ask, their address, as a rule."""
        key = _text(arguments, "key")
        told: dict[tuple[object, ...], Any] = {}
        for limits in self._store().bound():
            try:
                decisions = await settled(limits.peek([key] * len(limits.specs)))
            except StoreAway as error:
                raise _away(error) from None
            for spec, decision in zip(limits.specs, decisions, strict=True):
                told[spec.counts] = {**_described(spec), **decision._asdict()}
        return [told[counts] for counts in sorted(told, key=str)]

    async def limits_reset(self, arguments: Arguments) -> Any:
        """Forget all that was counted for the `key`."""
        key = _text(arguments, "key")
        for limits in self._store().bound():
            try:
                await settled(limits.forget([key] * len(limits.specs)))
            except StoreAway as error:
                raise _away(error) from None
        return {"key": key}

    async def blocks(self, arguments: Arguments) -> Any:
        """Who is blocked, why and until when (Unix time; null: for good)."""
        members = self._store().shared_set(BLOCKS).members
        return [{"address": name, "reason": member.note, "until": member.until} for name, member in sorted(members.items())]

    async def block(self, arguments: Arguments) -> Any:
        """Block an `address` or network, for so many `seconds` or for good, for a `reason`."""
        address = _network(arguments)
        seconds = arguments.get("seconds")
        if seconds is not None and (not isinstance(seconds, int | float) or isinstance(seconds, bool) or seconds <= 0):
            raise ControlError(422, "seconds is a number above 0, or is left out")
        try:
            await self._store().shared_set(BLOCKS).add(address, str(arguments.get("reason") or ""), seconds)
        except StoreAway as error:
            raise _away(error) from None
        return {"address": address, "seconds": seconds}

    async def unblock(self, arguments: Arguments) -> Any:
        """End the block of an `address` or network, written as `blocks` lists it."""
        address = _network(arguments)
        try:
            if not await self._store().shared_set(BLOCKS).remove(address):
                raise ControlError(404, f"{address} is not blocked")
        except StoreAway as error:
            raise _away(error) from None
        return {"address": address}


def _described(spec: LimitSpec) -> dict[str, Any]:
    return {"name": spec.name, "limit": spec.limit, "window": spec.period or spec.window, "algorithm": spec.algorithm}


def _text(arguments: Arguments, name: str) -> str:
    value = arguments.get(name)
    if not isinstance(value, str) or not value:
        raise ControlError(422, f"{name} is missing")
    return value


def _network(arguments: Arguments) -> str:
    """One address is written as itself."""
    try:
        network = ip_network(_text(arguments, "address"), strict=False)
    except ValueError:
        raise ControlError(422, "address is an IP address or a network, as in 203.0.113.9 or 2001:db8::/48") from None
    return str(network.network_address) if network.num_addresses == 1 else str(network)


def _away(error: StoreAway) -> ControlError:
    return ControlError(503, f"the store is away: {error}")
