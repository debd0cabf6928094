"""Who is blocked, for how long, and that every route keeps to it, through the plugins that stand on all of them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from gateway.blocks import Blocks
from gateway.errors import Forbidden
from gateway.store.memory import MemorySet
from gateway.testing import Clock
from tests.http.client import raw
from tests.support import gateway

HOUR = timedelta(hours=1).total_seconds()


def is_blocked(blocks: Blocks, address: str) -> bool:
    try:
        blocks.check(address)
    except Forbidden:
        return True
    return False


@pytest.mark.parametrize(
    ("member", "address", "blocked"),
    [
        ("203.0.113.9", "203.0.113.9", True),
        ("203.0.113.9", "::ffff:203.0.113.9", True),
        ("203.0.113.9", "203.0.113.10", False),
        ("203.0.113.0/24", "203.0.113.10", True),
        ("2001:db8::/48", "2001:db8:0:1::1", True),
        ("2001:db8::/48", "2001:db8:1::1", False),
        ("0.0.0.0/0", "", False),  # on a unix socket there is no address
    ],
)
async def test_who_is_blocked(member: str, address: str, blocked: bool) -> None:
    shared = MemorySet(Clock())
    await shared.add(member)
    assert is_blocked(Blocks(shared, Clock()), address) == blocked


async def test_a_block_ends_by_itself_and_leaves_the_others() -> None:
    clock = Clock()
    shared = MemorySet(clock)
    blocks = Blocks(shared, clock)
    await shared.add("203.0.113.0/24", seconds=2 * HOUR)
    await shared.add("203.0.113.9", seconds=HOUR)
    await shared.add("198.51.100.1")
    seen = []
    for _ in range(3):
        seen.append([is_blocked(blocks, address) for address in ("203.0.113.9", "203.0.113.10", "198.51.100.1")])
        clock.advance(HOUR)
    assert seen == [[True, True, True], [True, True, True], [False, False, True]]


async def test_a_block_is_ended_early() -> None:
    clock = Clock()
    shared = MemorySet(clock)
    blocks = Blocks(shared, clock)
    await shared.add("203.0.113.9")
    assert is_blocked(blocks, "203.0.113.9")
    await shared.remove("203.0.113.9")
    assert not is_blocked(blocks, "203.0.113.9")


POLICY = """
version: 1
server: {trusted_proxies: [127.0.0.1]}
plugins: [request_id, security_headers, access_log]
routes: [{name: all, match: /**, plugins: [respond: 204]}]
"""


async def test_every_route_refuses_and_the_common_plugins_see_it() -> None:
    async with gateway(POLICY) as running:
        await running.app.store.shared_set("blocks").add("203.0.113.9", "spam", HOUR)

        async def asked(client: str) -> tuple[int, bool]:
            (answer,) = await raw(running.port, f"GET /a HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {client}\r\n\r\n".encode())
            return answer.status, bool(answer.all(b"X-Content-Type-Options"))

        assert await asked("203.0.113.9") == (403, True)
        assert await asked("203.0.113.8") == (204, True)
