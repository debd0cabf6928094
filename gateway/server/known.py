"""What one request on a connection proved of its header block, for the next with the same bytes, or with the same but for a few values."""

from __future__ import annotations

import re
from collections.abc import Callable

from multidict import istr

from gateway.exchange import Exchange, HeaderBlock
from gateway.server.forwarding import Client

MOST_VARYING = 4
"""Fields whose values change from one request to the next: a trace, an id, a cookie, a token."""

_VALUE = re.compile(rb"[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?").fullmatch
"""A value that llhttp takes for itself, and every reader alike (RFC 9110, section 5.5): narrower than what may be sent."""


class Known:
    """One block, as the client sent it and as its exchange had it.

    Of a block that was like the one before but for a few values, these are left open: they may be anything in the next.
    """

    __slots__ = ("_block", "_open", "client", "fields", "first", "has_raw_bytes", "host", "names", "rest", "takes_trailers")

    def __init__(self, block: bytes, ex: Exchange, client: Client) -> None:
        """`block`: all behind the request line, from the end of that on."""
        self._block = block
        self._open: frozenset[int] = frozenset()  # the numbers of the lines whose values are left open
        self.first = block  # what stands before these values,
        self.rest: tuple[bytes, ...] = ()  # and behind each of them up to the next
        self.names: tuple[istr, ...] = ()  # of the fields whose values they are
        self.fields = HeaderBlock(ex.headers.copy())  # all others
        self.host = ex.host
        self.client = client
        self.has_raw_bytes = ex.has_raw_bytes
        self.takes_trailers = ex.takes_trailers

    def match(self, data: bytes, begin: int) -> tuple[int, list[str]] | None:
        """Where the block ends whose `first` part ends at `begin` of `data`, and the values left open; None: it is another block."""
        values: list[str] = []
        for part in self.rest:
            end = data.find(b"\r\n", begin)
            value = data[begin:end]
            if end < 0 or _VALUE(value) is None or not data.startswith(part, end):
                return None
            values.append(value.decode())
            begin = end + len(part)
        return begin, values

    def learn(self, before: Known, name_of: Callable[[bytes], istr | None]) -> None:
        """Leave the values open in which this block differs from the one `before`, and those which that one left open.

        `name_of`: a field's name as sent -> its name, if its value changes the meaning of no other field.
        """
        lines, others = self._block.split(b"\r\n"), before._block.split(b"\r\n")
        if len(lines) != len(others):
            return
        found: dict[int, tuple[istr, int, int]] = {}  # line -> the name, and where in the line the value begins and ends
        for number, (line, other) in enumerate(zip(lines, others, strict=True)):
            if line == other and number not in before._open:
                continue
            raw, colon, rest = line.partition(b":")
            name, value = name_of(raw), rest.strip(b" \t")
            if name is None or not other.startswith(raw + colon) or _VALUE(value) is None or len(found) == MOST_VARYING:
                return
            if self.fields.headers.getall(name, ()) != [value.decode()]:
                return  # it is there twice, or was taken out
            end = len(line.rstrip(b" \t"))
            found[number] = name, end - len(value), end
        if found:
            self._leave_open(lines, found)

    def _leave_open(self, lines: list[bytes], found: dict[int, tuple[istr, int, int]]) -> None:
        parts = [b""]
        for number, line in enumerate(lines):
            begin = b"\r\n" if number else b""
            if number not in found:
                parts[-1] += begin + line
                continue
            name, start, end = found[number]
            parts[-1] += begin + line[:start]
            parts.append(line[end:])
            del self.fields.headers[name]
        self._open = frozenset(found)
        self.first, *rest = parts
        self.rest = tuple(rest)
        self.names = tuple(name for name, _, _ in found.values())
