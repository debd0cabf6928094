"""The hosted store answers as Redis does: the same commands to both, and the same states; what only it does, beside that."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.store.contract import Algorithm, LimitSpec
from gateway.store.hosted.answers import Answers
from gateway.store.hosted.commands import Commands, Refused
from gateway.store.hosted.keyspace import Keyspace
from gateway.store.redis.scripts import ALL, BEAT, EPOCHS, KEEP, LEASE, LIMITS, MEMBER, PURGE, RENEW
from gateway.store.redis.views import mirror
from tests.store.hosting import Hosted
from tests.store.network import Network
from tests.store.servers import Server
from tests.store.test_sick import hit, opened, until

DRAWN = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
WINDOW = 10_000_000


class Both:
    """Valkey on a clock of ours, and the hosted store on the same."""

    def __init__(self, server: Server) -> None:
        server.say("FLUSHALL")
        self.network = Network(server)
        self.commands = Commands(lambda: self.network.now)

    def evaluate(self, script: Any, keys: list[bytes], arguments: list[Any]) -> Any:
        flat = [argument if isinstance(argument, bytes) else str(argument).encode() for argument in arguments]
        ours = self.commands.answer([b"EVALSHA", script.sha, b"%d" % len(keys), *keys, *flat])
        assert ours == self.network.evaluate(script, list(keys), list(arguments))
        return ours


@DRAWN
@given(
    algorithm=st.sampled_from(["sliding", "log", "token_bucket", "fixed", "calendar"]),
    limit=st.integers(1, 6),
    seed=st.integers(0, 10**6),
)
def test_limits(valkey_server: Server, algorithm: str, limit: int, seed: int) -> None:
    """Counted, refused, looked at; told of what was admitted or given back elsewhere, in this window or before; the clock may go back."""
    drawn, both = random.Random(seed), Both(valkey_server)
    kind: Algorithm = "fixed" if algorithm == "calendar" else algorithm  # type: ignore[assignment]
    spec = LimitSpec("a", limit, WINDOW / 1e6, kind, "minute" if algorithm == "calendar" else None)
    seen = mirror(spec)
    # A log's times are not in order then, and which of them count depends on when Valkey, by its own clock, lets go of all.
    back = [] if algorithm == "log" else [-WINDOW // 3]
    for _ in range(30):
        both.network.now += drawn.choice([0, 1, 1000, WINDOW // 7, WINDOW, 3 * WINDOW, *back])
        now, number = both.network.now, drawn.choice([1, 1, 2])
        arguments: list[Any] = [drawn.choice([1, 1, 1, 0])]
        for _ in range(number):
            delta = drawn.choice([0, 0, 0, 1, 3, -1, -2]) if arguments[0] else 0
            at = now - drawn.choice([0, 1000, WINDOW // 2, WINDOW])
            arguments += [seen.code, limit, WINDOW, delta, at, drawn.randrange(0, limit + 1), *seen.arguments(now)]
        both.evaluate(LIMITS, [b"gw:{%d}:x" % n for n in range(number)], arguments)


@DRAWN
@given(st.integers(0, 10**6))
def test_leases_and_gateways(valkey_server: Server, seed: int) -> None:
    drawn, both = random.Random(seed), Both(valkey_server)
    for _ in range(30):
        both.network.now += drawn.choice([0, 1, 100_000, 900_000])
        who = b"%d" % drawn.randrange(4)
        match drawn.randrange(4):
            case 0:
                both.evaluate(LEASE, [b"gw:{a}:h"], [2, 1_000_000, who])
            case 1:
                both.evaluate(RENEW, [b"gw:{a}:h"], [1_000_000, who])
            case 2:
                both.evaluate(BEAT, [b"gw:gateways", b"gw:sets"], [who, 1_000_000])
            case 3:
                assert both.commands.answer([b"ZREM", b"gw:{a}:h", who]) == valkey_server.say("ZREM", "gw:{a}:h", who)


def test_sets(valkey_server: Server) -> None:
    both = Both(valkey_server)
    for arguments in ([b"blocks", b"a", b"1"], [b"blocks", b"a", b"2"], [b"blocks", b"b"], [b"blocks", b"a"], [b"blocks", b"c", b"3"]):
        both.evaluate(MEMBER, [b"gw:set:blocks", b"gw:sets"], arguments)
        assert both.commands.answer([b"HGETALL", b"gw:set:blocks"]) == valkey_server.say("HGETALL", "gw:set:blocks")
    assert both.evaluate(BEAT, [b"gw:gateways", b"gw:sets"], [b"me", 1_000_000])[2][0] == b"blocks"


@DRAWN
@given(st.integers(0, 10**6))
def test_purges(valkey_server: Server, seed: int) -> None:
    """Numbers only grow, though the clock goes back, or who purges is ahead of it; of more marks than are remembered the oldest go."""
    drawn, both = random.Random(seed), Both(valkey_server)
    heard = 0
    for _ in range(30):
        both.network.now += drawn.choice([0, 1, 100_000, -50_000])
        if drawn.random() < 0.5:
            marks = drawn.sample([b"hall", b"htag:a", b"stag:a", b"stag:b", b"hurl:c"], drawn.randrange(1, 4))
            number = both.evaluate(PURGE, [b"gw:c:epochs"], [b"gw:c:0", 4, heard + drawn.choice([0, 0, 10**6]), *marks])
            heard = drawn.choice([heard, number])
        known = b"%d" % heard
        news, theirs = (
            both.commands.answer([b"EVALSHA", EPOCHS.sha, b"1", b"gw:c:epochs", known]),
            both.network.evaluate(EPOCHS, [b"gw:c:epochs"], [known]),
        )
        assert [int(number) for number in news[1::2]] == [int(number) for number in theirs[1::2]]
        assert set(zip(news[::2], news[1::2], strict=True)) == set(zip(theirs[::2], theirs[1::2], strict=True))


def test_stored_answers(valkey_server: Server) -> None:
    both = Both(valkey_server)
    for n in range(8):
        arguments = [b"1", b"gw:c:r:a", b"variant %d" % (n % 5), b"record %d" % n, b"60000", b"3"]
        assert both.commands.answer([b"EVALSHA", KEEP.sha, *arguments]) == valkey_server.say("EVAL", KEEP.source, *arguments)
        theirs: Any = valkey_server.say("HGETALL", "gw:c:r:a")
        ours = both.commands.answer([b"HGETALL", b"gw:c:r:a"])
        assert dict(zip(ours[::2], ours[1::2], strict=True)) == dict(zip(theirs[::2], theirs[1::2], strict=True))
    for command in ([b"SET", b"gw:c:p:x:0", b"piece", b"PX", b"60000"], [b"MGET", b"gw:c:p:x:0", b"gw:c:p:x:1"], [b"DEL", b"gw:c:r:a"]):
        answer = both.commands.answer(command)
        assert (b"OK" if answer is True else answer) == valkey_server.say(*[part.decode() for part in command])
    assert both.commands.answer([b"HGETALL", b"gw:c:r:a"]) == []


def test_stored_answers_are_bounded_and_what_is_asked_for_stays() -> None:
    now = [0]
    answers = Answers(lambda: now[0], 10_000)
    for n in range(100):
        answers.keep(b"%d" % n, b"", bytes(600), 1_000_000)
        assert answers.find(b"0"), "it is asked for"
        assert answers.bytes <= 10_000
    assert answers.find(b"99") and not answers.find(b"50")
    answers.keep(b"99", b"", bytes(5000), 1_000_000)
    assert not answers.find(b"99"), "one alone would fill too much; and what it takes the place of is not what was asked for last"
    now[0] = 1_000_000
    assert not answers.find(b"0")
    for n in range(100):
        answers.remove(b"%d" % n)
    assert answers.bytes == 0


def test_every_script_has_a_twin() -> None:
    commands = Commands(lambda: 1)
    for script in ALL:
        assert commands.answer([b"SCRIPT", b"LOAD", script.source.encode()]) == script.sha
        assert script.sha in commands._scripts


@pytest.mark.parametrize("command", [[b"FLUSHALL"], [b"GET"], [b"EVALSHA", b"x", b"0"], [b"EVALSHA", LIMITS.sha, b"1", b"a", b"1"], []])
def test_what_is_not_understood(command: list[bytes]) -> None:
    with pytest.raises(Refused):
        Commands(lambda: 1).answer(command)


def test_values_are_bounded() -> None:
    now = [0]
    commands = Commands(lambda: now[0], max_values=2)
    assert commands.answer([b"SET", b"a", b"1", b"PX", b"10"]) and commands.answer([b"SET", b"b", b"2"])
    with pytest.raises(Refused, match="room for 2 values"):
        commands.answer([b"SET", b"c", b"3"])
    assert commands.answer([b"SET", b"b", b"4"]) and commands.answer([b"GET", b"a"]) == b"1"
    now[0] = 10_000
    commands.sweep()
    assert commands.answer([b"GET", b"a"]) is None and commands.answer([b"SET", b"c", b"3"])


def test_counts_are_bounded_and_nobody_known_is_forgotten() -> None:
    """Beyond the room new keys share buckets: none gets more than the limit, and who is known keeps what is counted."""
    now = 10**12
    commands = Commands(lambda: now, max_keys=100)

    def hit(key: int) -> int:
        arguments = [b"1", b"s", b"3", b"60000000", b"0", b"0", b"1"]
        fits: int = commands.answer([b"EVALSHA", LIMITS.sha, b"1", b"gw:{%d}:s1:x" % key, *arguments])[2]
        return fits

    known = [hit(n) for n in range(100)]
    strangers = [sum(hit(n) for _ in range(5)) for n in range(1000, 3000)]
    assert known == [1] * 100 and max(strangers) <= 3 and sum(strangers) <= 3 * 6
    assert len(commands.counts) <= 110 and [sum(hit(n) for _ in range(5)) for n in range(100)] == [2] * 100


def test_what_is_over_is_let_go() -> None:
    space = Keyspace(100_000)
    for n in range(1000):
        space.put(b"%d" % n, b"%d" % n, (n, 1))
    for _ in range(4):
        space.sweep(500)
    assert len(space) == 499 and space.get(b"999", b"999", 998) and space.get(b"999", b"999", 999) is None


async def test_frozen_killed_and_back(hosted: Hosted) -> None:
    """As with a Redis: nobody waits for long, limits go on, and what was admitted meanwhile is told to whoever comes after."""
    spec = LimitSpec("few", 10, 3600.0)
    async with opened(hosted.url) as store:
        for _ in range(4):
            await hit(store, spec)
        hosted.freeze()
        try:
            assert [(await hit(store, spec)).allowed for _ in range(8)] == [True] * 6 + [False] * 2
        finally:
            hosted.thaw()
        await until(lambda: store.state().is_up)
        assert not (await hit(store, spec)).allowed
        hosted.kill()
        await until(lambda: not store.state().is_up)
        assert not (await hit(store, spec)).allowed, "what is known here is not forgotten"
        other = LimitSpec("other", 10, 3600.0)
        assert (await hit(store, other)).allowed
        hosted.start()
        await until(lambda: store.state().is_up)
        await asyncio.sleep(0.2)  # what was admitted meanwhile is told
        assert (await hit(store, other)).remaining == 8


async def test_garbage(hosted: Hosted) -> None:
    """Whoever speaks something else is cut, and nobody else notices."""
    async with opened(hosted.url) as store:
        reader, writer = await asyncio.open_unix_connection(hosted.path)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        assert await reader.read() == b""
        writer.close()
        assert (await hit(store, LimitSpec("a", 1, 60.0))).allowed and store.state().is_up


async def test_it_ends_with_its_last_gateway(hosted: Hosted) -> None:
    process = hosted.process
    assert process is not None
    async with opened(hosted.url) as store:
        hosted.orphan()
        await asyncio.sleep(0.3)
        assert (await hit(store, LimitSpec("a", 1, 60.0))).allowed
    assert await asyncio.to_thread(process.wait, 5) == 0
