"""Redis frozen, killed, flushed, full, locked, or no Redis at all: what each does to decisions, and what is said of it."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import trustme
import uvloop

from gateway.errors import Unavailable
from gateway.store.contract import Decision, LimitSpec, StoreAway, settled
from gateway.store.redis import advice
from gateway.store.redis.address import Address, parse
from gateway.store.redis.limits import RedisLimits
from gateway.store.redis.store import RedisStore
from tests.free_ports import free_port, free_ports
from tests.store.servers import Server

HOUR = 3600.0
EXACT = LimitSpec("exact", 10_000, HOUR)
KEPT: list[RedisLimits] = []
AHEAD = LimitSpec("ahead", 10_000, HOUR, max_over=0.05)


@pytest.fixture
def folder() -> Iterator[Path]:
    with TemporaryDirectory() as name:  # shorter than pytest's: a socket's path has 107 bytes at most
        yield Path(name)


@pytest.fixture
def server(folder: Path) -> Iterator[Server]:
    made = Server(folder).start()
    yield made
    made.kill()


@asynccontextmanager
async def opened(url: str | Address) -> AsyncIterator[RedisStore]:
    store = RedisStore(parse(url) if isinstance(url, str) else url)
    await store.start()
    try:
        yield store
    finally:
        KEPT.clear()
        await store.stop()


async def until(holds: Callable[[], bool], seconds: float = 30.0) -> None:
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.002)


async def hit(store: RedisStore, spec: LimitSpec, key: str = "a") -> Decision:
    limits = next((made for made in store.bound() if made.specs == (spec,)), None) or store.limits([spec])
    KEPT.append(limits)  # as a policy keeps its limits: without anybody who does, what is known of their keys is gone
    return (await settled(limits.hit([key])))[0]


async def old(store: RedisStore) -> None:
    """Until the others know of it, so that it may decide ahead."""
    await until(lambda: store.link.now() < store.link.sharing.until)


def calm(server: Server) -> Server:
    server.say("SET", "x", "1")
    return server


async def timed(store: RedisStore, spec: LimitSpec, seconds: float) -> list[float]:
    """How long requests took that came one each millisecond, in seconds."""
    limits = store.limits([spec])
    took: list[float] = []

    async def one(n: int) -> None:
        begun = time.perf_counter()
        await settled(limits.hit([f"client {n % 20}"]))
        took.append(time.perf_counter() - begun)

    running = set()
    end = time.monotonic() + seconds
    n = 0
    while time.monotonic() < end:
        task = asyncio.ensure_future(one(n := n + 1))
        running.add(task)
        task.add_done_callback(running.discard)
        await asyncio.sleep(0.001)
    await asyncio.gather(*running)
    return took


@pytest.mark.alone
async def test_frozen_exact(server: Server) -> None:
    """Those of the first 25 ms wait, and no other."""
    async with opened(server.url) as store:
        await hit(store, EXACT)
        server.freeze()
        try:
            took = await timed(store, EXACT, 0.4)
        finally:
            server.thaw()
        slow = [n for n, seconds in enumerate(took) if seconds > 0.005]
        assert max(took) < 0.1 and len(slow) < 60
        assert not store.state().is_up and "not answered within 25 ms" in store.state().why
        await until(lambda: store.state().is_up)
        assert store.counters["trips"] == 1


def test_our_own_loop_standing_still_is_no_fault_of_the_server(server: Server) -> None:
    """On uvloop, whose timers are looked at before its sockets."""

    async def stand_still() -> None:
        async with opened(server.url) as store:
            limits = store.limits([EXACT])
            for _ in range(8):
                asked = limits.hit(["a"])
                for _ in range(3):
                    time.sleep(0.03)  # whatever blocks the loop
                    await asyncio.sleep(0)
                assert (await settled(asked))[0].allowed
            assert store.counters["trips"] == 0 and server.say("HGET", limits._bounds[0].name("a"), "c") == b"8"

    uvloop.run(stand_still())


async def test_what_was_decided_ahead_is_told_before_the_end(server: Server) -> None:
    async with opened(server.url) as store:
        await old(store)
        await hit(store, AHEAD)
        waiting = store.limits([AHEAD])
        assert all(isinstance(waiting.hit(["a"]), tuple) for _ in range(20))
    async with opened(server.url) as other:
        assert (await other.limits([AHEAD]).peek(["a"]))[0].remaining == 10_000 - 21


async def test_who_is_over_the_share_waits_for_a_slow_server(server: Server) -> None:
    """A server that stands still for a moment is none that is away: nobody is admitted beyond the share without having heard of it."""
    spec = LimitSpec("few", 20, HOUR, max_over=0.1)
    async with opened(server.url) as store:
        await old(store)
        limits = store.limits([spec])
        await settled(limits.hit(["a"]))
        await asyncio.sleep(0.05)  # told by then
        server.freeze()
        try:
            found = [limits.hit(["a"]) for _ in range(30)]
            await asyncio.sleep(0.012)
        finally:
            server.thaw()
        assert [isinstance(one, tuple) for one in found] == [True] * 2 + [False] * 28
        decided = [(await settled(one))[0].allowed for one in found]
        assert decided == [True] * 19 + [False] * 11 and store.counters["trips"] == 0


@pytest.mark.alone
async def test_frozen_local_first(server: Server) -> None:
    """Nobody waits, before it is found out or after: the answer is at hand. (Of time the median is asked: others share the machine.)"""
    async with opened(server.url) as store:
        await old(store)
        await hit(store, AHEAD)
        limits = store.limits([AHEAD])
        server.freeze()
        try:
            assert all(isinstance(limits.hit([f"client {n}"]), tuple) for n in range(500) for _ in range(5)) and store.state().is_up
            took = sorted(await timed(store, AHEAD, 0.4))
        finally:
            server.thaw()
        assert took[len(took) // 2] < 0.005 and not store.state().is_up


async def test_counts_from_before_and_during(server: Server) -> None:
    """A limit goes on from the last known count, and what was admitted alone is known when the server is back."""
    spec = LimitSpec("few", 10, HOUR)
    async with opened(server.url) as store:
        for _ in range(4):
            await hit(store, spec)
        server.freeze()
        try:
            assert [(await hit(store, spec)).allowed for _ in range(8)] == [True] * 6 + [False] * 2
        finally:
            server.thaw()
        await until(lambda: store.state().is_up)
        await asyncio.sleep(0.05)
        assert not (await hit(store, spec)).allowed
    async with opened(server.url) as other:
        found = (await other.limits([spec]).peek(["a"]))[0]
        assert found.remaining == 0


async def test_killed_and_started_again(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    async with opened(server.url) as store:
        with caplog.at_level(logging.WARNING, "gateway.store"):
            await hit(store, EXACT)
            server.kill()
            await until(lambda: not store.state().is_up)
            assert (await hit(store, EXACT)).allowed
            with pytest.raises(StoreAway):
                await store.get("a")
            with pytest.raises(StoreAway):
                await store.limits([EXACT]).peek(["a"])
            with pytest.raises(Unavailable):
                store.limits([LimitSpec("closed", 1, HOUR, on_failure="closed")]).hit(["a"])
            await asyncio.sleep(0.3)  # some tries more, of which nothing is said
            calm(server.start())
            await until(lambda: store.state().is_up)
        said = [record.getMessage() for record in caplog.records]
        assert sum("is away" in line for line in said) <= 2 and sum("is back" in line for line in said) == 1  # lost; then: no connection
        await until(lambda: (server.say("DBSIZE") or 0) != 0)
        assert (await hit(store, EXACT)).remaining == 10_000 - 2  # what the server lost, and what it was told again


async def test_many_counts_from_an_outage(server: Server) -> None:
    """They are told no faster than the server takes them: nobody shall take it for frozen because it is told so much."""
    async with opened(server.url) as store:
        limits = store.limits([AHEAD])
        server.kill()
        await until(lambda: not store.state().is_up)
        for n in range(40_000):
            await settled(limits.hit([f"client {n}"]))
        server.start()
        await until(lambda: server.say("DBSIZE") >= 40_000, 20)  # type: ignore[operator]
        assert store.counters["trips"] == 1


async def test_away_from_the_beginning(server: Server) -> None:
    server.kill()
    async with opened(server.url) as store:
        assert not store.state().is_up and "no connection" in store.state().why
        assert (await hit(store, EXACT)).allowed
        assert await settled(store.leases("l", 1).acquire("a", "1"))
        server.start()
        await until(lambda: store.state().is_up)
        await until(lambda: server.say("DBSIZE") != 0)
        assert (await hit(store, EXACT)).remaining == 10_000 - 2


async def test_scripts_flushed(server: Server) -> None:
    async with opened(server.url) as store:
        await hit(store, EXACT)
        server.say("SCRIPT", "FLUSH")
        limits = store.limits([EXACT])
        found = await asyncio.gather(*[settled(limits.hit(["a"])) for _ in range(50)])
        assert sorted(decisions[0].remaining for decisions in found) == list(range(10_000 - 51, 10_000 - 1))
        assert store.counters["trips"] == 0


async def test_all_flushed(server: Server) -> None:
    """Counts begin anew, blocks are gone, and nothing else happens."""
    async with opened(server.url) as store:
        await store.shared_set("blocks").add("203.0.113.9")
        await hit(store, EXACT)
        server.say("FLUSHALL")
        assert (await hit(store, EXACT)).remaining == 10_000 - 1
        await until(lambda: not store.shared_set("blocks").members)
        assert store.counters["trips"] == 0


async def test_the_connection_killed(server: Server) -> None:
    async with opened(server.url) as store:
        await hit(store, EXACT)
        server.say("CLIENT", "KILL", "TYPE", "normal")
        await until(lambda: store.counters["trips"] == 1)
        await until(lambda: store.state().is_up)
        assert (await hit(store, EXACT)).remaining == 10_000 - 2


@pytest.mark.parametrize("algorithm", ["sliding", "log", "token_bucket", "fixed"])
@pytest.mark.parametrize(
    "command", [("SET", "garbage"), ("LPUSH", "a", "b"), ("HSET", "w", "x", "c", "y"), ("SADD", "a"), ("ZADD", "1", "a")]
)
async def test_something_else_under_our_key(server: Server, algorithm: str, command: list[str]) -> None:
    """What is not ours is replaced: a limit is never a 500."""
    spec = LimitSpec("a", 3, HOUR, algorithm)  # type: ignore[arg-type]
    async with opened(server.url) as store:
        limits = store.limits([spec])
        assert isinstance(server.say(command[0], limits._bounds[0].name("a"), *command[1:]), int | bytes)
        assert (await limits.peek(["a"]))[0] == (True, 3, 0.0, 0.0)
        assert [(await hit(store, spec)).allowed for _ in range(4)] == [True] * 3 + [False]
        server.say("DEL", "gw:{a}:h1")
        assert store.state().is_up


async def test_something_else_under_a_lease(server: Server) -> None:
    async with opened(server.url) as store:
        leases = store.leases("l", 1)
        server.say("SET", leases._name("a"), "garbage")
        assert await settled(leases.acquire("a", "1")) and not await settled(leases.acquire("a", "2"))


async def test_full(server: Server) -> None:
    """A server that may keep nothing more is away, and says why; it is back when it may."""
    async with opened(server.url) as store:
        await hit(store, EXACT)
        server.say("CONFIG", "SET", "maxmemory", "1")
        assert (await hit(store, EXACT)).allowed  # alone
        assert not store.state().is_up and "memory is full" in store.state().why
        await asyncio.sleep(0.2)
        assert not store.state().is_up and "memory is full" in store.state().why
        server.say("CONFIG", "SET", "maxmemory", "0")
        await until(lambda: store.state().is_up)


async def test_a_replica(server: Server) -> None:
    async with opened(server.url) as store:
        await hit(store, EXACT)
        server.say("REPLICAOF", "127.0.0.1", "1")
        assert (await hit(store, EXACT)).allowed
        assert not store.state().is_up and "replica" in store.state().why
        await asyncio.sleep(0.1)
        assert "replica" in store.state().why
        server.say("REPLICAOF", "NO", "ONE")
        await until(lambda: store.state().is_up)


@pytest.mark.parametrize(
    ("setup", "login", "why"),
    [
        (("CONFIG", "SET", "requirepass", "secret"), "", "it wants a password"),
        (("CONFIG", "SET", "requirepass", "secret"), ":wrong@", "password or the user is wrong"),
        (("PING",), ":needless@", "it wants no password"),
        (("ACL", "SETUSER", "limited", "on", ">pw", "~gw:*", "+@all", "-@scripting"), "limited:pw@", "has not the rights"),
        (("ACL", "SETUSER", "limited", "on", ">pw", "~other:*", "+@all"), "limited:pw@", "has not the rights"),
        (("ACL", "SETUSER", "limited", "on", ">pw", "~gw:*", "+@all", "-hset"), "limited:pw@", "has not the rights"),
    ],
)
async def test_not_let_in(server: Server, setup: tuple[str, ...], login: str, why: str, caplog: pytest.LogCaptureFixture) -> None:
    server.say(*setup)
    async with opened(f"unix://{login}{server.path}") as store:
        assert why in store.state().why
        assert (await hit(store, EXACT)).allowed
    for secret in ("wrong", "needless", "pw@"):
        assert secret not in caplog.text.replace("the password or the user is wrong", "") or login == ""


async def test_let_in(server: Server) -> None:
    """With the rights that docs/store.md asks for, and no others."""
    rights = "~gw:* +evalsha +script|load +auth +select +client|setname +info +ping +get +set +del +hget +hgetall +hmget +hset +hdel"
    rights += " +pexpire +time +llen +lindex +lpush +ltrim +lset +lrem +zadd +zrem +zcard +zscore +zremrangebyscore"
    server.say("ACL", "SETUSER", "gateway", "on", ">pw", *rights.split())
    server.say("CONFIG", "SET", "requirepass", "other")
    async with opened(f"unix://gateway:pw@{server.path}?db=2") as store:
        assert store.state().is_up, store.state().why
        for algorithm in ("sliding", "log", "token_bucket", "fixed"):
            limits = store.limits([LimitSpec("a", 1, HOUR, algorithm)])
            assert (await settled(limits.hit(["a"])))[0].allowed and not (await settled(limits.hit(["a"])))[0].allowed
            limits.refund(["a"])
            await limits.forget(["a"])
        leases = store.leases("l", 1)
        assert await settled(leases.acquire("a", "1"))
        leases.release("a", "1")
        await store.shared_set("blocks").add("b")
        assert await store.shared_set("blocks").remove("b")
        assert await store.set("v", b"1", 5.0) and await store.get("v") == b"1" and await store.delete("v")
        assert store.state().is_up and store.counters["errors"] == 0


async def test_an_evicting_server_is_warned_of(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    server.say("CONFIG", "SET", "maxmemory", "100mb")
    server.say("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    async with opened(server.url) as store:
        assert "allkeys-lru" in store.state().warnings[0] and store.state().is_up
    assert "counts may be thrown away" in caplog.text


@pytest.mark.parametrize(
    ("told", "warned"),
    [
        ("5.0.14", "it is Redis 5.0.14; Redis 6 or later"),
        ("2.8.4", "it is Redis 2.8.4; Redis 6 or later"),
        ("6.0.16", None), ("10.1.0", None), ("255.255.255", None), ("unstable", None), ("", None),
    ],
)  # fmt: skip
def test_which_versions_are_warned_of(told: str, warned: str | None) -> None:
    found = advice.warnings({"redis_version": told})
    assert found == () if warned is None else found[0].startswith(warned)


async def test_an_old_version_is_warned_of_and_used(server: Server, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A server that says it is an old one: what it can do is found by trying."""
    relays = set()

    async def passed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            writer.write(data.replace(b"\nredis_version:7", b"\nredis_version:5").replace(b"\nvalkey_version:", b"\nnobody_version:"))
        writer.close()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to = await asyncio.open_unix_connection(server.path)
        relays.update({asyncio.ensure_future(passed(reader, to[1])), asyncio.ensure_future(passed(to[0], writer))})

    old_one = await asyncio.start_unix_server(relay, str(folder / "old"))
    async with old_one, opened(f"unix://{folder}/old") as store:
        assert store.state().is_up and "it is Redis 5." in store.state().warnings[0]
        assert (await hit(store, EXACT)).remaining == 10_000 - 1
    await asyncio.gather(*relays)
    assert "Redis 6 or later, or Valkey, is what this was tested with" in caplog.text


async def test_no_redis_at_all(folder: Path) -> None:
    """Something that speaks HTTP, and something that says nothing."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    http = await asyncio.start_unix_server(answer, str(folder / "http"))
    async with http, opened(f"unix://{folder}/http") as store:
        assert not store.state().is_up and (await hit(store, EXACT)).allowed
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(str(folder / "mute"))
        mute.listen()
        async with opened(f"unix://{folder}/mute") as store:
            assert "did not answer within 1 s" in store.state().why


async def test_a_host_that_is_none() -> None:
    async with opened("redis://a..b") as store:
        assert "no connection" in store.state().why


async def test_the_clock_goes_back(server: Server) -> None:
    """As in a failover to a server whose clock is behind: a window yet to come keeps its count, and is not shut for that long."""
    async with opened(server.url) as store:
        limits = store.limits([LimitSpec("a", 3, HOUR)])
        name = limits._bounds[0].name("a")
        ahead = store.link.now() // int(HOUR * 1e6) + 48
        server.say("HSET", name, "w", ahead, "c", 2, "p", 3)
        decision = (await settled(limits.hit(["a"])))[0]
        assert decision.retry_after <= 2 * HOUR
        assert server.say("HGET", name, "w") == str(ahead - 48).encode()


async def test_tls(folder: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    certificate.private_key_pem.write_to_path(folder / "key")
    certificate.cert_chain_pems[0].write_to_path(folder / "cert")
    authority.cert_pem.write_to_path(folder / "ca")
    port = free_port()
    tls = ["--tls-port", str(port), "--tls-cert-file", f"{folder}/cert", "--tls-key-file", f"{folder}/key", "--tls-auth-clients", "no"]
    server = Server(folder, "redis", *tls, "--tls-ca-cert-file", f"{folder}/ca")
    try:
        server.start()
    except AssertionError:
        pytest.skip("this redis-server speaks no TLS")
    try:
        async with opened(f"rediss://localhost:{port}?ca={folder}/ca") as store:
            assert store.state().is_up, store.state().why
            assert (await hit(store, EXACT)).allowed
        async with opened(f"rediss://localhost:{port}") as store:
            assert "certificate" in store.state().why.lower()
    finally:
        server.kill()


@pytest.mark.slow
async def test_sentinels(folder: Path) -> None:
    """Asked at each connect where the master is: after a failover the new one is found."""
    folders = [folder / name for name in ("a", "b", "s")]
    for one in folders:
        one.mkdir()
    ports = free_ports(3)
    first = Server(folders[0], "valkey", port=ports[0]).start()
    second = Server(folders[1], "valkey", "--replicaof", "127.0.0.1", str(ports[0]), port=ports[1]).start()
    (folders[2] / "conf").write_text(
        f"port {ports[2]}\nrequirepass watchful\nsentinel monitor mymaster 127.0.0.1 {ports[0]} 1\n"
        "sentinel down-after-milliseconds mymaster 200\n"
        "sentinel failover-timeout mymaster 1000\n"
    )
    from tests.store.servers import BINARIES

    process = await asyncio.create_subprocess_exec(
        BINARIES["valkey"], str(folders[2] / "conf"), "--sentinel", stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        await until(lambda: f"slave0:ip=127.0.0.1,port={ports[1]},state=online".encode() in first.say("INFO"), 30)  # type: ignore[operator]
        await asyncio.sleep(1.5)  # the sentinel asks its master for replicas when it begins
        sentinels = replace(parse(f"redis+sentinel://127.0.0.1:1,127.0.0.1:{ports[2]}/mymaster"), sentinel_password="watchful")
        async with opened(sentinels) as store:
            assert store.state().is_up, store.state().why
            assert (await hit(store, EXACT)).remaining == 10_000 - 1
            first.kill()
            await until(lambda: store.state().is_up and b"role:master" in second.say("INFO", "replication"), 20)  # type: ignore[operator]
            assert (await hit(store, EXACT)).remaining <= 10_000 - 1
        async with opened(replace(sentinels, master="other")) as store:
            assert "knows no other" in store.state().why
        async with opened(replace(sentinels, sentinel_password="")) as store:
            assert "it wants a password" in store.state().why and "watchful" not in store.state().why
    finally:
        process.kill()
        await process.wait()
        first.kill()
        second.kill()
