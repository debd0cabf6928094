"""Leases over time: they end by themselves, unless whoever holds them renews them."""

from __future__ import annotations

from gateway.store.redis.leases import RedisLeases, Renewing
from gateway.store.redis.scripts import LEASE, RENEW
from tests.store.network import Network, VirtualLink
from tests.store.servers import Server

SECOND = 1_000_000
LEASE_US = 30 * SECOND


def test_a_lease_ends_by_itself(valkey_server: Server) -> None:
    valkey_server.say("FLUSHALL")
    network = Network(valkey_server)

    def asks(holder: str) -> object:
        return network.evaluate(LEASE, ["gw:{a}:h"], [2, LEASE_US, holder])

    assert [asks("1"), asks("2"), asks("3")] == [1, 1, 0]
    network.now += 20 * SECOND
    assert network.evaluate(RENEW, ["gw:{a}:h"], [LEASE_US, "2"]) == 1
    network.now += 10 * SECOND - 1
    assert asks("3") == 0
    network.now += 1
    assert asks("3") == 1  # the first has ended, the second was renewed
    assert asks("4") == 0
    assert asks("2") == 1  # who holds one may ask again


def test_a_gateway_that_is_cut_off_shares(valkey_server: Server) -> None:
    """A third of six for each of three, and at least one; what is held is given back when it is released."""
    valkey_server.say("FLUSHALL")
    link = VirtualLink(Network(valkey_server), 3, lambda: 100)
    renewing = Renewing(link)
    leases, narrow = RedisLeases("l", 6, "local", link, renewing), RedisLeases("n", 1, "local", link, renewing)
    link.cut()
    assert [leases.acquire("a", str(n)) for n in range(3)] == [True, True, False]
    assert [narrow.acquire("a", str(n)) for n in range(2)] == [True, False]
    leases.release("a", "0")
    assert leases.acquire("a", "3") is True
    assert len(renewing.held) == 3
    assert [RedisLeases("o", 1, "open", link, renewing).acquire("a", str(n)) for n in range(3)] == [True] * 3
