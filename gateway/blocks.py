"""Addresses that an operator has blocked, on every gateway that shares the store and for every route, whatever the policy says."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_network

from gateway.errors import Forbidden
from gateway.networks import Networks
from gateway.store.contract import SharedSet

NEVER = float("inf")


class Blocks:
    """What is blocked now, of the set that the gateways share; made again when it changes, and when the first of them ends."""

    def __init__(self, shared: SharedSet, now: Callable[[], float]) -> None:
        """`now`: Unix time."""
        self.shared = shared
        self._now = now
        self._version = -1
        self._until = 0.0  # what was made holds that long
        self._networks: Networks[bool] = Networks((), default=False)

    def check(self, address: str) -> None:
        """Raises Forbidden for one that is blocked."""
        if self._version != self.shared.version or self._now() >= self._until:
            self._take()
        if self._networks.find(address):
            raise Forbidden("Your address is blocked.", reason=f"the address {address} is blocked")

    def _take(self) -> None:
        now = self._now()
        self._version = self.shared.version
        members = {name: NEVER if member.until is None else member.until for name, member in self.shared.members.items()}
        blocked = {name: until for name, until in members.items() if until > now}
        self._until = min(blocked.values(), default=NEVER)
        self._networks = Networks([(ip_network(name), True) for name in blocked], default=False)
