"""One gateway and several on one Redis, seen from outside: counts to the request, while it is well, frozen, killed and restarted.

Times are asked with patience, for the machine may be busy; counts are not. That a gateway took Redis to be away while nobody had touched
it happens on a machine without a core to spare, and is told in its log: then the bound is the one that holds without Redis.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import aiohttp
import pytest

from gateway.store.redis.link import GATEWAYS
from gateway.store.redis.sharing import SURE
from tests.server.process import PATIENCE, GatewayProcess, running
from tests.store.servers import Server
from tests.store.test_gateways import said

pytestmark = [pytest.mark.slow, pytest.mark.alone]

HOUR = "limit: %d, window: 1h"
MARGIN = 100_000
"""Microseconds by which a gateway's idea of the server's clock may be wrong."""


class Answer(NamedTuple):
    sent: float  # Unix time, by which Redis counts, too
    came: float
    status: int
    retry_after: int


class Fleet:
    """So many gateways, and clients that ask them in turn."""

    def __init__(self, gateways: list[GatewayProcess], session: aiohttp.ClientSession) -> None:
        self.gateways = gateways
        self._session = session
        self._asked = 0

    async def ask(self, client: str, **headers: str) -> Answer:
        self._asked += 1
        port = self.gateways[self._asked % len(self.gateways)].port
        sent = time.time()
        async with self._session.get(f"http://127.0.0.1:{port}/", headers={"X-Forwarded-For": client, **headers}) as answer:
            return Answer(sent, time.time(), answer.status, int(answer.headers.get("Retry-After", 0)))

    async def burst(self, number: int, client: str) -> list[Answer]:
        return list(await asyncio.gather(*(self.ask(client) for _ in range(number))))

    async def flood(self, client: str, seconds: float, at_once: int = 8) -> list[Answer]:
        """One request after another, by so many connections."""
        end, answers = time.time() + seconds, list[Answer]()

        async def one() -> None:
            while time.time() < end:
                answers.append(await self.ask(client))

        await asyncio.gather(*(one() for _ in range(at_once)))
        return answers

    @property
    def lost(self) -> bool:
        """Whether one took Redis to be away."""
        return any("is away" in gateway.log for gateway in self.gateways)


@asynccontextmanager
async def fleet(server: Server, number: int, limit: str, folder: Path, proxies: str = "[127.0.0.1]") -> AsyncIterator[Fleet]:
    text = f"""version: 1
server: {{listen: 127.0.0.1:0, trusted_proxies: {proxies}}}
store: {server.url}
plugins:
  - rate_limit: {{{limit}}}
routes:
  - {{name: all, match: /**, plugins: [respond: 204]}}
"""
    async with AsyncExitStack() as stack:
        gateways = []
        for n in range(number):
            (folder / str(n)).mkdir()
            gateways.append(await stack.enter_async_context(running(text, folder / str(n))))
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
        if "max_over" in limit:
            await acquainted(server, number)
        yield Fleet(gateways, session)


async def acquainted(server: Server, number: int) -> None:
    """Until each is sure of how many there are, as gateway.store.redis.sharing asks, and so may be its share ahead."""
    async with asyncio.timeout(PATIENCE):
        while len(beats(server)) < number:
            await asyncio.sleep(0.02)
        all_came = max(beats(server))
        while min(beats(server)) < all_came + SURE + MARGIN:
            await asyncio.sleep(0.02)


def beats(server: Server) -> list[int]:
    """When each gateway was heard last: microseconds of the server's clock."""
    found = server.say("ZRANGE", GATEWAYS, 0, -1, "WITHSCORES")
    assert isinstance(found, list)
    return [int(score) for score in found[1::2]]


def allowed(answers: list[Answer]) -> int:
    assert {answer.status for answer in answers} <= {204, 429}
    return sum(answer.status == 204 for answer in answers)


@pytest.mark.parametrize("gateways", [1, 3])
@pytest.mark.parametrize("over", [0, 20])
async def test_a_burst(server: Server, tmp_path: Path, gateways: int, over: int) -> None:
    """Of each client exactly the limit, or up to `max_over` more: however many come at once, whoever else does, and whatever comes later.

    Each gateway may still admit its share when the others have used up the limit, once: then all refuse.
    """
    limit = HOUR % 50 + (f", max_over: {over}%" if over else "")
    more = 50 * over // 100
    async with fleet(server, gateways, limit, tmp_path) as asked:
        for n in range(4):
            found = await asyncio.gather(*(asked.burst(100, f"203.0.113.{4 * n + m}") for m in range(4)))
            for answers in found:
                least, most = (50 // gateways, 100) if asked.lost else (50, 50 + more)  # who has lost it counts each for all of them
                assert least <= allowed(answers) <= most, asked.lost
                assert all(answer.retry_after > 0 for answer in answers if answer.status == 429)
            later = [await asked.ask(f"203.0.113.{4 * n}") for _ in range(gateways * (1 + more // gateways))]
            assert allowed(found[0] + later) <= 50 + more or asked.lost
            assert allowed(later[-gateways:]) == 0 or asked.lost, "each has been asked once more than its share"


@pytest.mark.parametrize("gateways", [1, 3])
async def test_each_window(server: Server, tmp_path: Path, gateways: int) -> None:
    """A flood over several windows: at most the limit in each aligned one, and the limit's rate in the long run."""
    async with fleet(server, gateways, "limit: 30, window: 1s", tmp_path) as asked:
        answers = await asked.flood("203.0.113.1", 5.0)
        allowed(answers)
        per_window = Counter(
            int(answer.sent) for answer in answers if answer.status == 204 and int(answer.sent) == int(answer.came)
        )  # of the others nobody outside can say in which window they were counted
        whole = sorted(per_window)[1:-1]
        assert len(whole) >= 3 and (asked.lost or max(per_window.values()) <= 30), per_window
        assert asked.lost or sum(per_window[window] for window in whole) >= 20 * len(whole), per_window


@pytest.mark.parametrize("gateways", [1, 3])
async def test_any_window(server: Server, tmp_path: Path, gateways: int) -> None:
    """With a log not one more in any second whatever."""
    async with fleet(server, gateways, "limit: 30, window: 1s, algorithm: log", tmp_path) as asked:
        answers = sorted(answer for answer in await asked.flood("203.0.113.1", 4.0) if answer.status == 204)
        most = max(sum(one.sent <= other.sent and other.came < one.sent + 1 for other in answers) for one in answers)
        assert asked.lost or (most <= 30 and len(answers) >= 60)


@pytest.mark.parametrize(
    "limit", ["limit: 5, window: 2s", "limit: 5, window: 2s, algorithm: log", "algorithm: token_bucket, rate: 2/s, burst: 5"]
)
async def test_who_waits_as_told_passes(server: Server, tmp_path: Path, limit: str) -> None:
    async with fleet(server, 2, limit, tmp_path) as asked:
        for round_ in range(2):
            client = f"203.0.113.{round_}"
            answers = await asked.burst(12, client)
            took = max(answer.came for answer in answers) - min(answer.sent for answer in answers)
            assert 5 <= allowed(answers) <= 5 + int(2.5 * took) or asked.lost, took
            refused = max((answer for answer in answers if answer.status == 429), key=lambda answer: answer.came)
            assert 1 <= refused.retry_after <= 4
            await asyncio.sleep(max(0.0, refused.came + refused.retry_after - time.time()))
            assert (await asked.ask(client)).status == 204


async def test_nobody_chooses_who_they_are(server: Server, tmp_path: Path) -> None:
    """Without a trusted proxy the header is nothing; behind one only what it added counts."""
    async with fleet(server, 2, HOUR % 10, tmp_path, proxies="[]") as asked:
        assert allowed([await asked.ask(f"198.51.100.{n}") for n in range(30)]) == 10 or asked.lost
    server.say("FLUSHALL")
    (tmp_path / "behind").mkdir()
    async with fleet(server, 2, HOUR % 10, tmp_path / "behind") as asked:
        assert allowed([await asked.ask(f"198.51.100.{n}, 203.0.113.1") for n in range(30)]) == 10 or asked.lost
        assert allowed([await asked.ask("203.0.113.2") for _ in range(30)]) == 10 or asked.lost, "another has a limit of their own"


@pytest.mark.parametrize("limit", ["limit: 2000, window: 1h", "limit: 2000, window: 1h, max_over: 5%"])
async def test_frozen_killed_and_restarted_under_load(server: Server, tmp_path: Path, limit: str) -> None:
    """Nobody is refused who should not be, nobody fails, nobody waits for long; and when it is over, limits are one again."""
    async with fleet(server, 2, limit, tmp_path) as asked:
        answers: list[Answer] = []
        enough = asyncio.Event()

        async def client(n: int) -> None:
            while not enough.is_set():
                answers.append(await asked.ask(f"203.0.113.{n}"))
                await asyncio.sleep(0.02)

        load = [asyncio.create_task(client(n)) for n in range(8)]
        await asyncio.sleep(1)
        server.freeze()
        frozen = time.time()
        await asyncio.sleep(1.5)
        server.thaw()
        for gateway in asked.gateways:
            await said(gateway, "is back after")
        server.kill()
        await asyncio.sleep(1)
        server.start()
        for gateway in asked.gateways:
            await said(gateway, "is back after", 2)
        enough.set()
        await asyncio.gather(*load)
        assert Counter(answer.status for answer in answers) == {204: len(answers)}
        usual = sorted(answer.came - answer.sent for answer in answers if answer.came < frozen)
        while_frozen = [answer for answer in answers if frozen + 0.15 < answer.sent < frozen + 1.4]
        took = sorted(answer.came - answer.sent for answer in while_frozen)
        # Those after the first moment do not wait for it. That local_first does not in that moment either, no clock tells on a busy
        # machine: test_sick.py asks whether the answer was at hand.
        assert took[len(took) // 2] <= 4 * usual[len(usual) // 2] + 0.02
        burst = await asked.burst(3000, "203.0.113.200")
        assert 2000 <= allowed(burst) <= (2100 if "max_over" in limit else 2000) or asked.gateways[0].log.count("is away") > 3
