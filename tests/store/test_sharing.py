"""What gateways may be ahead never adds up to more than there is, however late their beats are, and whoever comes, stops and goes."""

from __future__ import annotations

import random
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from gateway.store.redis.sharing import BELIEVED, SURE, Sharing

MOST = st.integers(0, 10**9)


class Server:
    """beat.lua."""

    def __init__(self) -> None:
        self.seen: dict[int, int] = {}

    def beat(self, gateway: int, now: int) -> int:
        self.seen = {name: at for name, at in self.seen.items() if at > now - BELIEVED} | {gateway: now}
        return len(self.seen)


def shares(gateways: list[Sharing], now: int) -> Fraction:
    return sum((Fraction(1, one.gateways) for one in gateways if now < one.until), Fraction())


@given(st.integers(1, 5), st.sampled_from([1_000, SURE // 10, SURE, 3 * SURE]), MOST)
def test_never_more_than_one(number: int, slowest: int, seed: int) -> None:
    """Each beats half a second after the last answer; now and then one stands still for seconds, or is cut off and comes again."""
    drawn = random.Random(seed)
    server, gateways = Server(), [Sharing() for _ in range(number)]
    events: list[tuple[int, int, str, int, int]] = [(drawn.randrange(3 * SURE), n, "ask", 0, 0) for n in range(number)]
    for _ in range(60 * number):
        events.sort()
        now, n, what, asked, found = events.pop(0)
        assert shares(gateways, now) <= 1
        if what == "ask":
            events.append((now + drawn.randrange(slowest), n, "arrive", now, 0))
        elif what == "arrive":
            events.append((now + drawn.randrange(slowest), n, "answer", asked, server.beat(n, now)))
        else:
            gateways[n].heard(asked, now, found)
            pause = drawn.choice([SURE // 2] * 8 + [drawn.randrange(2 * BELIEVED)])
            if not drawn.randrange(10):
                gateways[n].left()
            events.append((now + pause, n, "ask", 0, 0))
        assert shares(gateways, now) <= 1


def test_those_who_stay_have_their_share() -> None:
    server, gateways = Server(), [Sharing() for _ in range(4)]
    for now in range(0, 10 * SURE, SURE // 2):
        for n, one in enumerate(gateways):
            one.heard(now, now + 100, server.beat(n, now))
        assert shares(gateways, now + 100) == (1 if now >= SURE else 0)
