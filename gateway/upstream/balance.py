"""Which of an upstream's targets gets a request: functions of the request and of those that can be chosen, never none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b
from itertools import count
from typing import Protocol, TypeVar

from gateway.by import Key, key_of
from gateway.config.balance import Balance, HashBalance
from gateway.exchange import Exchange


class Loaded(Protocol):
    @property
    def url(self) -> str: ...

    @property
    def active(self) -> int:
        """Requests that it has under way."""


T = TypeVar("T", bound=Loaded)
Pick = Callable[[Exchange, Sequence[T]], T]


def pick(balance: Balance, random: Callable[[], float]) -> Pick[T]:
    """The way to choose that the policy names; `random` gives values from 0.0 up to 1.0."""
    if isinstance(balance, HashBalance):
        return hashed(key_of(balance.hash.by))
    return least_request(random) if balance == "least_request" else round_robin()


def round_robin() -> Pick[T]:
    """Each in its turn."""
    turns = count()
    return lambda ex, among: among[next(turns) % len(among)]


def least_request(random: Callable[[], float]) -> Pick[T]:
    """Of two at random the one with fewer requests under way.

    Nearly as even as to look at all, and no crowd runs to the one that was idle a moment ago (Mitzenmacher, The Power of Two Choices
    in Randomized Load Balancing).
    """

    def choose(ex: Exchange, among: Sequence[T]) -> T:
        number = len(among)
        if number == 1:
            return among[0]
        first = int(random() * number)
        second = int(random() * (number - 1))
        one, other = among[first], among[second + (second >= first)]
        return other if other.active < one.active else one

    return choose


def hashed(key: Key) -> Pick[T]:
    """The same for all requests with one key, by the greatest of the hashes of key and target (rendezvous hashing).

    A target that goes, or comes, moves no keys but its own; any worker and any gateway chooses alike.
    """

    def choose(ex: Exchange, among: Sequence[T]) -> T:
        name = key(ex)
        return max(among, key=lambda target: blake2b(f"{target.url} {name}".encode("utf-8", "surrogatepass"), digest_size=8).digest())

    return choose
