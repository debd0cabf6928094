"""Which of many networks an address is in: the most specific one decides, found among sorted intervals."""

from __future__ import annotations

import socket
from bisect import bisect_right
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network
from typing import Any, Generic, TypeVar

from gateway.config.network import network

T = TypeVar("T")

MAPPED = b"\0" * 10 + b"\xff\xff"
"""::ffff:0:0/96, in which IPv4 addresses come on sockets for both (RFC 4291, section 2.5.5.2)."""


def listed(content: bytes, file: str) -> list[IPv4Network | IPv6Network]:
    """The networks of a file, one a line; `#` begins a comment. Raises ValueError with the line of each that is none."""
    found: list[IPv4Network | IPv6Network] = []
    wrong: list[str] = []
    for n, line in enumerate(content.decode("utf-8-sig", "replace").splitlines(), 1):
        if text := line.partition("#")[0].strip():
            try:
                found.append(network(text))
            except ValueError as error:
                wrong.append(f"{file}:{n}: {error}")
    if wrong:
        raise ValueError(wrong[0] + (f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""))
    return found


class Networks(Generic[T]):
    """A value for every address: that of the smallest network it is in, else `default`. Building takes n log n, looking up log n."""

    def __init__(self, entries: Iterable[tuple[IPv4Network | IPv6Network, T]], default: T) -> None:
        self._default = default
        entries = [(_unmapped(net), value) for net, value in entries]
        self._v4 = _Intervals([(net, value) for net, value in entries if net.version == 4], default)
        self._v6 = _Intervals([(net, value) for net, value in entries if net.version == 6], default)

    def find(self, address: str) -> T:
        """`default` for what is no address."""
        try:
            if ":" not in address:
                return self._v4.find(socket.inet_pton(socket.AF_INET, address))
            packed = socket.inet_pton(socket.AF_INET6, address.partition("%")[0])
        except OSError:
            return self._default
        return self._v4.find(packed[12:]) if packed.startswith(MAPPED) else self._v6.find(packed)


def _unmapped(net: IPv4Network | IPv6Network) -> IPv4Network | IPv6Network:
    packed = net.network_address.packed
    is_mapped = net.version == 6 and net.prefixlen >= 96 and packed.startswith(MAPPED)
    return IPv4Network((packed[12:], net.prefixlen - 96)) if is_mapped else net


class _Intervals(Generic[T]):
    """Where the value changes, from the first address to the last. Networks nest or are apart: one walk with a stack finds it."""

    __slots__ = ("_starts", "_values")

    def __init__(self, entries: list[tuple[Any, T]], default: T) -> None:
        entries = sorted(entries, key=lambda entry: (entry[0].network_address, entry[0].prefixlen))
        width = 16 if entries and entries[0][0].version == 6 else 4
        self._starts = [bytes(width)]
        self._values = [default]
        open_: list[tuple[int, T]] = []  # (the last address, the value) of the networks around where the walk is
        for net, value in entries:
            start, end = int(net.network_address), int(net.broadcast_address)
            self._close(open_, start, width, default)
            self._change(start, value, width)
            open_.append((end, value))
        self._close(open_, 1 << width * 8, width, default)

    def find(self, packed: bytes) -> T:
        return self._values[bisect_right(self._starts, packed) - 1]

    def _close(self, open_: list[tuple[int, T]], before: int, width: int, default: T) -> None:
        while open_ and open_[-1][0] < before:
            end, _ = open_.pop()
            if end + 1 < 1 << width * 8:
                self._change(end + 1, open_[-1][1] if open_ else default, width)

    def _change(self, start: int, value: T, width: int) -> None:
        packed = start.to_bytes(width)
        if self._starts[-1] == packed:
            self._values[-1] = value
        else:
            self._starts.append(packed)
            self._values.append(value)
