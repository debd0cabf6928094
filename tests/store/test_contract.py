"""What every store promises, asked of each of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.store.contract import Algorithm, LimitSpec, Store, settled
from gateway.store.memory import MemoryStore
from gateway.store.redis.address import parse
from gateway.store.redis.store import RedisStore
from gateway.testing import Clock
from tests.store.servers import Server

ALL = pytest.mark.parametrize("algorithm", ["sliding", "log", "token_bucket", "fixed"])
HOUR = 3600.0


@pytest.fixture(params=["memory", "valkey", "redis", "hosted"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    made: Store = MemoryStore(Clock(1_767_225_600.0))
    if request.param == "hosted":
        made = RedisStore(parse(request.getfixturevalue("hosted").url))
    elif request.param != "memory":
        server: Server = request.getfixturevalue(f"{request.param}_server")
        server.say("FLUSHALL")
        made = RedisStore(parse(server.url))
    await made.start()
    yield made
    await made.stop()


def spec(algorithm: Algorithm, limit: int = 3, name: str = "test", window: float = HOUR) -> LimitSpec:
    return LimitSpec(name, limit, window, algorithm)


@ALL
async def test_the_limit_and_no_more(store: Store, algorithm: Algorithm) -> None:
    limits = store.limits([spec(algorithm)])
    found = [(await settled(limits.hit(["a"])))[0] for _ in range(5)]
    assert [decision.allowed for decision in found] == [True] * 3 + [False] * 2
    assert [decision.remaining for decision in found] == [2, 1, 0, 0, 0]
    assert found[0].retry_after == 0 and found[4].retry_after > 0 and found[4].reset > 0
    assert (await settled(limits.hit(["b"])))[0].allowed


@ALL
async def test_a_cost(store: Store, algorithm: Algorithm) -> None:
    limits = store.limits([spec(algorithm, 10)])
    assert [(await settled(limits.hit(["a"], cost)))[0][:2] for cost in (4, 7, 5, 2, 1)] == [
        (True, 6), (False, 6), (True, 1), (False, 1), (True, 0),
    ]  # fmt: skip


@ALL
async def test_what_costs_more_than_the_limit_costs_all_of_it(store: Store, algorithm: Algorithm) -> None:
    limits = store.limits([spec(algorithm)])
    assert (await settled(limits.hit(["a"], 1000)))[0][:2] == (True, 0)
    assert not (await settled(limits.hit(["a"], 1000)))[0].allowed


@ALL
async def test_all_or_none(store: Store, algorithm: Algorithm) -> None:
    """A request that one limit refuses counts in none; each says what it finds."""
    limits = store.limits([spec(algorithm, 5, "wide"), spec(algorithm, 1, "narrow")])
    assert [decision.allowed for decision in await settled(limits.hit(["a", "x"]))] == [True, True]
    for _ in range(3):
        assert [decision[:2] for decision in await settled(limits.hit(["a", "x"]))] == [(True, 4), (False, 0)]
    assert [decision[:2] for decision in await settled(limits.hit(["a", "y"]))] == [(True, 3), (True, 0)]


@ALL
async def test_a_refund(store: Store, algorithm: Algorithm) -> None:
    limits = store.limits([spec(algorithm), spec(algorithm, 2, "other")])
    await settled(limits.hit(["a", "a"])), await settled(limits.hit(["a", "a"]))
    limits.refund(["a", "a"])
    assert [decision.remaining for decision in await settled(limits.peek(["a", "a"]))] == [2, 1]
    assert [decision[:2] for decision in await settled(limits.hit(["a", "a"]))] == [(True, 1), (True, 0)]


@ALL
async def test_a_refund_of_nothing(store: Store, algorithm: Algorithm) -> None:
    limits = store.limits([spec(algorithm)])
    limits.refund(["a"], 2)
    assert (await settled(limits.peek(["a"])))[0] == (True, 3, 0.0, 0.0)
    assert (await settled(limits.hit(["a"])))[0].remaining == 2


@ALL
async def test_a_look_moves_nothing(store: Store, algorithm: Algorithm) -> None:
    limits = store.limits([spec(algorithm)])
    for _ in range(5):
        assert (await settled(limits.peek(["a"])))[0] == (True, 3, 0.0, 0.0)
    for remaining in (3, 2, 1):
        assert (await settled(limits.peek(["a"])))[0].remaining == remaining
        await settled(limits.hit(["a"]))
    assert not (await settled(limits.peek(["a"])))[0].allowed


@ALL
async def test_forgotten(store: Store, algorithm: Algorithm) -> None:
    limits = store.limits([spec(algorithm, 1)])
    await settled(limits.hit(["a"]))
    await settled(limits.forget(["a"]))
    assert (await settled(limits.hit(["a"])))[0].allowed


@ALL
async def test_who_shares(store: Store, algorithm: Algorithm) -> None:
    """The same name for the same limit; a changed limit begins anew."""
    first = store.limits([spec(algorithm)])
    await settled(first.hit(["a"]))
    assert (await settled(store.limits([spec(algorithm)]).peek(["a"])))[0].remaining == 2
    assert (await settled(store.limits([spec(algorithm, 4)]).peek(["a"])))[0].remaining == 4
    assert (await settled(store.limits([spec(algorithm, name="other")]).peek(["a"])))[0].remaining == 3
    assert (await settled(store.limits([spec(algorithm, window=60.0)]).peek(["a"])))[0].remaining == 3
    assert first in store.bound()


@pytest.mark.parametrize("key", ["", " ", "ä\u0000\r\n*1{}", "\udcff", "k" * 5000])
async def test_any_key(store: Store, key: str) -> None:
    limits = store.limits([spec("sliding", 1)])
    assert (await settled(limits.hit([key])))[0].allowed
    assert not (await settled(limits.hit([key])))[0].allowed
    assert (await settled(limits.peek([key + "x"])))[0].allowed


async def test_an_unknown_time_zone_is_refused_at_load(store: Store) -> None:
    with pytest.raises(ValueError, match="no time zone"):
        store.limits([LimitSpec("", 1, 0.0, "fixed", "day", "Nowhere/Town")])


async def test_a_calendar_quota(store: Store) -> None:
    limits = store.limits([LimitSpec("quota", 2, 0.0, "fixed", "month", "Europe/Berlin")])
    found = [(await settled(limits.hit(["a"])))[0] for _ in range(3)]
    assert [decision.allowed for decision in found] == [True, True, False]
    assert 0 < found[2].retry_after <= 31 * 86_400 + HOUR


async def test_leases(store: Store) -> None:
    leases = store.leases("test", 2)
    assert await settled(leases.acquire("a", "1")) and await settled(leases.acquire("a", "2"))
    assert not await settled(leases.acquire("a", "3"))
    assert await settled(leases.acquire("b", "3"))
    leases.release("a", "1")
    leases.release("a", "never")
    assert await settled(leases.acquire("a", "4"))
    assert not await settled(leases.acquire("a", "5"))


async def test_values(store: Store) -> None:
    assert await store.get("a") is None and not await store.delete("a")
    assert await store.set("a", b"\x00\xff") and await store.get("a") == b"\x00\xff"
    assert not await store.set("a", b"2", only_new=True) and await store.set("a", b"3", 60.0)
    assert await store.get("a") == b"3"
    assert await store.delete("a") and await store.get("a") is None
    assert await store.set("a", b"4", 60.0, only_new=True)


async def test_a_value_is_swapped_by_who_knows_it(store: Store) -> None:
    assert not await store.swap("a", b"", b"new") and await store.get("a") is None  # nothing is no value
    await store.set("a", b"\x00one", 60.0)
    assert not await store.swap("a", b"one", b"two") and not await store.swap("a", b"one", None)
    assert await store.swap("a", b"\x00one", b"\xfftwo", 60.0) and await store.get("a") == b"\xfftwo"
    assert not await store.set("a", b"three", only_new=True)
    assert await store.swap("a", b"\xfftwo", b"", None) and await store.get("a") == b""
    assert await store.swap("a", b"", None) and await store.get("a") is None
    assert not await store.swap("a", b"", None)


async def test_a_swapped_value_ends(store: Store) -> None:
    """Its time is the new one's: in Redis a millisecond, in memory a clock moved by hand."""
    await store.set("a", b"1", HOUR)
    assert await store.swap("a", b"1", b"2", 0.001)
    if isinstance(store, MemoryStore):
        store.clock.advance(0.002)  # type: ignore[attr-defined]
    async with asyncio.timeout(30):
        while await store.get("a") is not None:
            await asyncio.sleep(0.001)
    assert await store.set("a", b"3", only_new=True)


async def test_of_many_who_swap_one_does(store: Store) -> None:
    await store.set("a", b"0", HOUR)
    assert sorted(await asyncio.gather(*[store.swap("a", b"0", str(n).encode(), HOUR) for n in range(1, 21)])) == [False] * 19 + [True]


async def test_a_shared_set(store: Store) -> None:
    blocks = store.shared_set("blocks")
    assert not blocks.members and not await blocks.remove("203.0.113.9")
    before = blocks.version
    await blocks.add("203.0.113.9", "guesses passwords", 7200.0)
    await blocks.add("203.0.113.0/24")
    assert blocks.version != before
    assert blocks.members["203.0.113.9"].note == "guesses passwords" and blocks.members["203.0.113.9"].until is not None
    assert blocks.members["203.0.113.0/24"] == ("", None)
    assert store.shared_set("blocks").members == blocks.members
    assert await blocks.remove("203.0.113.9") and list(blocks.members) == ["203.0.113.0/24"]
    await store.shared_set("others").load()
    assert store.shared_set("others").is_known and not store.shared_set("others").members


async def test_it_is_up(store: Store) -> None:
    assert store.state().is_up and not store.state().why
