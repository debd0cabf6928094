"""From a head to an exchange; and that a head like the one before makes the same exchange as it would on a fresh connection."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.app import App
from gateway.config.policy import loads
from gateway.exchange import Attempt, Exchange
from gateway.pipeline import Pipeline
from gateway.server.connection import Connection
from gateway.server.front import Front
from gateway.upstream.head import repeated_head, request_head

POLICY = """
version: 1
server: {trusted_proxies: [127.0.0.1], limits: {target: 200B, headers: 12, head: 2KiB}}
routes:
  - {name: all, match: "/**", plugins: [respond: {status: 200, body: x}]}
  - {name: purge, match: {methods: [PURGE], path: /purge}, plugins: [respond: {status: 200, body: purged}]}
"""
KNOWN_BY = frozenset({"started", "given_id", "headers", "block", "_version"})
"""What differs although the exchange is the same: a time, a random name, and how its fields were come by."""
ID = re.compile(rb"[0-9a-f]{32}")


class Transport:
    """Keeps what is written. Stands in for a socket, so that a thousand heads take no thousand of them."""

    def __init__(self, peer: str = "127.0.0.1") -> None:
        self.peer = peer
        self.written = b""
        self.calls: list[str] = []

    def get_extra_info(self, name: str) -> object:
        return (self.peer, 50000) if name == "peername" else None

    def write(self, data: bytes) -> None:
        self.written += data

    def writelines(self, data: list[bytes]) -> None:
        self.written += b"".join(data)

    def is_closing(self) -> bool:
        return False

    def can_write_eof(self) -> bool:
        return True

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_, **__: self.calls.append(name)


class Turns:
    """A loop whose turns are taken by hand, so that a thousand connections need no awaiting."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._due: list[Callable[[], object]] = []

    def call_soon(self, call: Callable[..., object], *arguments: object) -> None:
        self._due.append(partial(call, *arguments))

    def take(self) -> None:
        while self._due:
            self._due.pop(0)()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)


class Fronts:
    """A front without a listener, and what it makes of heads."""

    def __init__(self) -> None:
        self.app = App(loads(POLICY), lambda line: None)
        self.exchanges: list[Exchange] = []
        find = self.app.find

        def recorded(ex: Exchange) -> Pipeline:
            self.exchanges.append(ex)
            return find(ex)

        seam: Any = self.app
        seam.find = recorded
        self.front = Front(self.app, [])
        self.turns = Turns(self.front.loop)
        loop: Any = self.turns
        self.front.loop = loop
        self.front.date = "Thu, 01 Jan 1970 00:00:00 GMT"

    def connection(self, peer: str = "127.0.0.1") -> tuple[Connection, Transport]:
        connection = Connection(self.front, "http")
        transport: Any = Transport(peer)
        connection.connection_made(transport)
        return connection, transport

    def sent(self, connection: Connection, transport: Transport, data: bytes) -> tuple[dict[str, object] | None, bytes]:
        """The exchange that `data` began, and the bytes of its answer; a body's bytes make no difference here."""
        count, transport.written = len(self.exchanges), b""
        connection.data_received(data)
        self.turns.take()
        begun = self.exchanges[count:]
        return (values(begun[0]) if begun else None), ID.sub(b"ID", transport.written)


def values(ex: Exchange) -> dict[str, object]:
    """All that an exchange says, but for when it was and its random name."""
    found: dict[str, object] = {name: getattr(ex, name) for name in ex.__slots__ if name not in KNOWN_BY}
    found["headers"] = tuple(ex.headers.items())
    attempt = Attempt(1, "", ex.headers)
    found["upstream"] = repeated_head(ex, attempt) or request_head(ex, attempt.headers, "", None, streams=ex.stream is not None)[0]
    found["stream"] = ex.stream is not None
    found["interim"] = ex.interim is not None
    found["failure"] = repr(ex.failure)
    return found


def run(play: Callable[[Fronts], None]) -> None:
    async def whole() -> None:
        play(Fronts())

    asyncio.run(whole())


FIELDS = [
    b"Host: api.test",
    b"Host: API.test:80",
    b"Host: other.test",
    b"host:api.test",
    b"Host:",
    b"Host: a b",
    b"A: b",
    b"a:b",
    b"A: \xff",
    b"A: \xc3\xa9",
    b"X_Real_IP: 1.1.1.1",
    b"Cookie: a=b",
    b"Authorization: Bearer x",
    b"Authorization: Basic y",
    b"Content-Type: text/plain",
    b"Origin: https://app.test",
    b"Content-Length: 0",
    b"Content-Length: 3",
    b"Content-Length: 03",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: identity",
    b"Connection: keep-alive",
    b"Connection: close",
    b"Connection: upgrade",
    b"Connection: A, keep-alive",
    b"Connection: TE",
    b"Connection: Cookie",
    b"Upgrade: websocket",
    b"Upgrade: h2c",
    b"TE: trailers",
    b"TE: gzip",
    b"Expect: 100-continue",
    b"Expect: 200-ok",
    b"X-Forwarded-For: 203.0.113.7",
    b"X-Forwarded-For: 10.0.0.1, 203.0.113.8",
    b"X-Forwarded-Proto: https",
    b"X-Forwarded-Host: www.test",
    b"Forwarded: for=1.1.1.1",
    b"X-Original-URL: /admin",
    b"Keep-Alive: timeout=5",
    b"Proxy-Authorization: x",
    b"X-Request-Id: mine",
]
LINES = [
    b"GET / HTTP/1.1",
    b"GET /a?b=c HTTP/1.1",
    b"POST /a HTTP/1.1",
    b"HEAD / HTTP/1.1",
    b"PUT /%61 HTTP/1.1",
    b"DELETE /a/../b HTTP/1.1",
    b"OPTIONS * HTTP/1.1",
    b"OPTIONS /a HTTP/1.1",
    b"PURGE /purge HTTP/1.1",
    b"CONNECT a:1 HTTP/1.1",
    b"TRACE / HTTP/1.1",
    b"BREW / HTTP/1.1",
    b"get / HTTP/1.1",
    b"GET / HTTP/1.0",
    b"POST /a HTTP/1.0",
    b"GET / HTTP/1.2",
    b"GET / HTTP/2.0",
    b"GET  / HTTP/1.1",
    b"GET / HTTP/1.1 ",
    b"GET http://api.test/x HTTP/1.1",
    b"GET http://evil.test/x HTTP/1.1",
    b"GET //evil.test/x HTTP/1.1",
    b"GET /#a HTTP/1.1",
    b"GET /a%2fb HTTP/1.1",
    b"GET /../x HTTP/1.1",
    b"GET /[ HTTP/1.1",
    b"GET /%zz HTTP/1.1",
    b"GET /a?%zz HTTP/1.1",
    b"GET /\xff HTTP/1.1",
    b"GET /a;b HTTP/1.1",
    b"GET /a\\b HTTP/1.1",
    b"GET /" + b"x" * 198 + b" HTTP/1.1",
    b"GET /" + b"x" * 199 + b" HTTP/1.1",
    b"GET /" + b"x" * 200 + b" HTTP/1.1",
]

LINE = st.one_of(
    st.sampled_from(LINES),
    st.builds(
        lambda method, target, version: b"%b /%b HTTP/1.%b" % (method, target, version),
        st.sampled_from([b"GET", b"POST", b"DELETE"]),
        st.text(st.sampled_from('ab/.%25?=&;:@[]^|~+#"<>\\{} '), max_size=8).map(str.encode),
        st.sampled_from([b"1", b"1", b"0"]),
    ),
)
BLOCK = st.lists(st.sampled_from(FIELDS[4:]), max_size=3).flatmap(
    lambda fields: (
        st.permutations([b"Host: api.test", *fields]) | st.just([*fields]) | st.just([b"Host: other.test", b"Host: api.test", *fields])
    )
)


@given(BLOCK, BLOCK, LINE, LINE, st.booleans(), st.sampled_from(["127.0.0.1", "203.0.113.1"]))
@example([b"Host: a", b"Connection: keep-alive"], [], b"GET / HTTP/1.0", b"GET / HTTP/1.1", True, "127.0.0.1")
@example([b"Host: a", b"Connection: keep-alive", b"TE: trailers"], [], b"GET / HTTP/1.0", b"GET / HTTP/1.1", True, "127.0.0.1")
@example([b"Connection: keep-alive"], [], b"GET / HTTP/1.0", b"GET / HTTP/1.1", True, "127.0.0.1")
@example([b"Host: api.test"], [], b"GET /\xff HTTP/1.1", b"GET / HTTP/1.1", True, "127.0.0.1")
@example([b"Host: api.test"], [], b"GET / HTTP/1.1", b"GET http://api.test/ HTTP/1.1", True, "127.0.0.1")
@example([b"Host: api.test"], [], b"OPTIONS / HTTP/1.1", b"OPTIONS * HTTP/1.1", True, "127.0.0.1")
def test_the_second_request_of_a_connection_is_what_it_would_be_on_a_fresh_one(
    block: list[bytes], other: list[bytes], first: bytes, second: bytes, same: bool, peer: str
) -> None:
    """The short cut for a known header block changes nothing: neither the exchange nor a byte of the answer."""
    end = b"\r\n".join([b"", *block, b"", b""])
    before, head = first + end, second + (end if same else b"\r\n".join([b"", *other, b"", b""]))

    def play(fronts: Fronts) -> None:
        used, transport = fronts.connection(peer)
        _, answer = fronts.sent(used, transport, before)
        if used._lingering or used._body is not None or used._turn is not None or not answer:
            return  # nothing follows on this connection
        again = fronts.sent(used, transport, head)
        fresh, transport = fronts.connection(peer)
        assert again == fronts.sent(fresh, transport, head)

    run(play)


@pytest.mark.parametrize("line", LINES)
def test_each_line_after_a_plain_one_is_what_it_would_be_on_a_fresh_connection(line: bytes) -> None:
    def play(fronts: Fronts) -> None:
        used, transport = fronts.connection()
        fronts.sent(used, transport, b"GET / HTTP/1.1\r\nHost: api.test\r\nA: b\r\n\r\n")
        assert used._known is not None
        again = fronts.sent(used, transport, line + b"\r\nHost: api.test\r\nA: b\r\n\r\n")
        fresh, transport = fronts.connection()
        assert again == fronts.sent(fresh, transport, line + b"\r\nHost: api.test\r\nA: b\r\n\r\n")

    run(play)


@given(BLOCK, LINE, st.lists(st.integers(1, 120), max_size=4))
def test_a_head_however_it_is_cut(block: list[bytes], line: bytes, at: list[int]) -> None:
    head = b"\r\n".join([line, *block, b"", b""])

    def play(fronts: Fronts) -> None:
        whole, transport = fronts.connection()
        expected = fronts.sent(whole, transport, head)
        cut, transport = fronts.connection()
        edges = sorted({0, len(head), *(position for position in at if position < len(head))})
        for start, end in pairwise(edges):
            if not cut._lingering:
                cut.data_received(head[start:end])
                fronts.turns.take()
        found = fronts.exchanges[-1:] if len(fronts.exchanges) > (expected[0] is not None) else []
        assert ((values(found[0]) if found else None), ID.sub(b"ID", transport.written)) == expected

    run(play)


def unordered(found: dict[str, object] | None) -> dict[str, object] | None:
    """Without the order of fields of different names, which says nothing (RFC 9110, section 5.3), and without their spelling."""
    if found is None:
        return None
    headers, upstream = found["headers"], found["upstream"]
    assert isinstance(headers, tuple) and isinstance(upstream, bytes)
    line, *lines = upstream.split(b"\r\n")
    in_order = sorted(((name.lower(), value) for name, value in headers), key=lambda field: field[0])
    return found | {
        "added": "",
        "headers": in_order,
        "upstream": (line, sorted((part.partition(b":")[0].lower(), part.partition(b":")[2]) for part in lines)),
    }


VARYING = [
    b"traceparent", b"Cookie", b"cookie", b"Authorization", b"Content-Type", b"Origin", b"X-Request-Id", b"Host", b"TE", b"Connection",
    b"X-Forwarded-For", b"Expect", b"Upgrade", b"Content-Length", b"X_A", b"Trailer", b"Gateway-Debug", b"A",
]  # fmt: skip
VALUES = [
    b"1", b"22", b"a b", b"a\tb", b"a: b", b"x, y", b"", b" ", b"  padded \t", b"\xff", b"\xc3\xa9", b"a\0b", b"a\nb", b"a\rb", b"a\r\n b",
    b"a\r\nB: c", b"a\x7fb", b"x" * 300, b"x" * 2100, b"trailers", b"close", b"traceparent", b"A, Cookie", b"100-continue", b"api.test",
    b"0", b"1, 2", b"websocket",
]  # fmt: skip


@given(
    st.lists(st.sampled_from(VARYING), min_size=1, max_size=6),
    st.lists(st.lists(st.sampled_from(VALUES[:5]) | st.sampled_from(VALUES), min_size=6, max_size=6), min_size=3, max_size=5),
    st.lists(st.integers(0, 5), max_size=3),
)
@example([b"traceparent", b"Connection"], [[b"1", b"traceparent"], [b"2", b"traceparent"], [b"3", b"traceparent"]], [])
@example([b"Cookie", b"cookie"], [[b"1", b"2"], [b"3", b"2"], [b"4", b"2"]], [])
@example([b"A"], [[b"1"], [b"22"], [b"a\r\nB: c"]], [])
@example([b"A"], [[b"1"], [b"22"], [b"x" * 2100]], [])
@example([b"A", b"B"], [[b"1", b"1"], [b"1", b"2"], [b"2", b"2"], [b"3", b"3"]], [])
def test_each_request_of_a_connection_is_what_it_would_be_on_a_fresh_one_whatever_changes(
    names: list[bytes], requests: list[list[bytes]], steady: list[int]
) -> None:
    """Also when values change from one to the next; those of the fields `steady` do not."""

    def play(fronts: Fronts) -> None:
        used, transport = fronts.connection()
        for row in requests:
            found = [requests[0][n] if n in steady else value for n, value in enumerate(row)]
            fields = [name + b": " + value for name, value in zip(names, found, strict=False)]
            head = b"\r\n".join([b"GET /a HTTP/1.1", b"Host: api.test", *fields, b"", b""])
            if used._lingering or used._body is not None or used._turn is not None or used._partial:
                return
            again = fronts.sent(used, transport, head)
            fresh, other = fronts.connection()
            exchange, answer = fronts.sent(fresh, other, head)
            assert (unordered(again[0]), again[1]) == (unordered(exchange), answer)

    run(play)


def test_a_value_that_changes_is_left_open_and_the_way_is_short() -> None:
    def play(fronts: Fronts) -> None:
        connection, transport = fronts.connection()
        head = b"GET /a HTTP/1.1\r\nHost: api.test\r\ntraceparent: %d\r\nA: b\r\nCookie: a=%d\r\n\r\n"
        parsed: list[bytes] = []
        feed = connection._parser.feed

        def counted(data: bytes) -> Any:
            parsed.append(data)
            return feed(data)

        seam: Any = connection
        seam._parser = SimpleNamespace(feed=counted)
        for n in range(6):
            fronts.sent(connection, transport, head % (n, n // 2))
            assert [dict(fronts.exchanges[-1].headers.items())[name] for name in ("traceparent", "Cookie")] == [str(n), f"a={n // 2}"]
        assert len(parsed) == 3, "the first, the second for the trace, and the third for the cookie"
        assert connection._known is not None and connection._known.names == ("traceparent", "Cookie")

    run(play)


def test_plugins_that_change_the_headers_do_not_change_the_next_requests() -> None:
    def play(fronts: Fronts) -> None:
        connection, transport = fronts.connection()
        head = b"GET / HTTP/1.1\r\nHost: api.test\r\nA: b\r\n\r\n"
        for _ in range(3):
            found, _ = fronts.sent(connection, transport, head)
            assert found is not None
            assert ("A", "b") in found["headers"]  # type: ignore[operator]
            fronts.exchanges[-1].headers.clear()

    run(play)


def test_known_bytes_of_one_client_are_not_another_ones() -> None:
    """What is known is of a connection: its peer's address is in it."""

    def play(fronts: Fronts) -> None:
        head = b"GET / HTTP/1.1\r\nHost: api.test\r\nX-Forwarded-For: 198.51.100.1\r\n\r\n"
        for peer, client in (("127.0.0.1", "198.51.100.1"), ("203.0.113.1", "203.0.113.1")):
            connection, transport = fronts.connection(peer)
            for _ in range(2):
                found, _ = fronts.sent(connection, transport, head)
                assert found is not None
                assert found["client"] == client

    run(play)
