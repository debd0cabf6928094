"""What counts, for how much, and what becomes of it when the answer, the client or the store does not do as expected."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import orjson
import pytest

from gateway.exchange import Exchange, Headers, Reply
from gateway.pipeline import Pipeline
from gateway.plugin import Decision, Decisions, Plugin, StoreAway, Unavailable
from gateway.store.contract import LimitSpec, Soon
from gateway.store.memory import MemoryStore
from gateway.testing import Clock, FakeUpstream, Measured, exchange, host, load, pipeline, run, streamed

GUESSES = {"limit": 2, "window": "15m", "by": "body.email", "count": [401, 403], "algorithm": "log"}


class Bench:
    """A rate_limit before an upstream that answers with `status`."""

    def __init__(self, settings: object, **about: Any) -> None:
        self.clock = Clock(0.0)
        self.status = 200
        self.metrics = Measured()
        self.plugin: Plugin[Any] = load("rate_limit", settings, host=host(clock=self.clock, metrics=self.metrics, **about))
        self.pipeline = pipeline(self.plugin, upstream=FakeUpstream(lambda ex: Reply(self.status)))

    def ask(self, **request: Any) -> Reply:
        return run(self.pipeline, exchange(**request))

    def guess(self, status: int, email: object = "a@example.com", client: str = "192.0.2.1") -> int:
        self.status = status
        return self.ask(method="POST", body=orjson.dumps({"email": email}), client=client).status


def test_only_these_answers_count() -> None:
    bench = Bench(GUESSES)
    assert [bench.guess(status) for status in (200, 200, 200, 401, 200, 404, 403, 200, 401)] == [
        200,
        200,
        200,
        401,
        200,
        404,
        403,
        429,
        429,
    ]


def test_a_guess_from_another_address_counts_together() -> None:
    bench = Bench(GUESSES)
    assert [bench.guess(401, client=f"192.0.2.{n}") for n in range(3)] == [401, 401, 429]
    assert bench.guess(401, "b@example.com") == 401


def test_what_is_left_is_told_after_the_answer_is_known() -> None:
    bench = Bench({**GUESSES, "name": "login"})
    bench.status = 401
    assert bench.ask(body=b"{}").headers["RateLimit"] == '"login";r=1;t=900'
    bench.status = 200
    assert bench.ask(body=b"{}").headers["RateLimit"] == '"login";r=1;t=900'


def test_of_guesses_sent_at_once_no_more_pass_than_of_guesses_one_after_another() -> None:
    """Counted when they come: if only answers counted, all of a thousand guesses under way would be the first."""
    bench = Bench(GUESSES)

    async def answer(ex: Exchange, pipeline: Pipeline) -> Reply:
        await asyncio.sleep(0)
        return Reply(401)

    bench.pipeline = Pipeline(bench.pipeline.entries, answer)

    async def storm() -> list[int]:
        exchanges = [exchange("POST", body=b'{"email": "a@example.com"}') for _ in range(50)]
        return [reply.status for reply in await asyncio.gather(*map(bench.pipeline.answer, exchanges))]

    assert sorted(asyncio.run(storm())) == [401] * 2 + [429] * 48


@pytest.mark.parametrize("ending", ["answered", "gone before the answer", "upstream failed"])
def test_what_was_reserved_is_given_back(ending: str) -> None:
    bench = Bench(GUESSES)
    for _ in range(5):
        ex = exchange("POST", body=b'{"email": "a@example.com"}')
        if ending == "gone before the answer":
            assert bench.plugin.on_request(ex) is None
            bench.plugin.on_end(ex, None)  # type: ignore[arg-type]
        else:
            bench.status = 200 if ending == "answered" else 502
            assert run(bench.pipeline, ex).status == bench.status
    assert vars(bench.plugin)["_reserved"] == vars(bench.plugin)["_admitted"] == {}


def test_a_limit_beside_it_that_counts_all_is_given_nothing_back() -> None:
    bench = Bench([{**GUESSES, "name": "account"}, {"limit": 3, "window": "15m", "name": "client"}])
    assert [bench.guess(200) for _ in range(4)] == [200, 200, 200, 429]


@pytest.mark.parametrize(
    ("cost", "methods", "statuses"),
    [
        (1, ["GET"] * 5, [200, 200, 200, 200, 429]),
        (2, ["GET"] * 3, [200, 200, 429]),
        (4, ["GET"] * 2, [200, 429]),
        ({"POST": 3}, ["POST", "POST", "GET", "GET"], [200, 429, 200, 429]),
        ({"POST": 3, "GET": 2}, ["GET", "POST", "GET"], [200, 429, 200]),
    ],
)
def test_cost(cost: object, methods: list[str], statuses: list[int]) -> None:
    bench = Bench({"limit": 4, "window": "60s", "cost": cost})
    assert [bench.ask(method=method).status for method in methods] == statuses


@pytest.mark.parametrize(
    ("exempt", "client", "consumer", "is_exempt"),
    [
        (["10.0.0.0/8"], "10.1.2.3", None, True),
        ("10.0.0.0/8", "10.1.2.3", None, True),
        (["10.0.0.0/8"], "11.1.2.3", None, False),
        (["10.0.0.0/8"], "::ffff:10.1.2.3", None, True),
        (["2001:db8::/32"], "2001:db8::1", None, True),
        (["2001:db8::/32"], "10.1.2.3", None, False),
        (["10.0.0.0/8"], "", None, False),
        ({"consumers": ["probe"]}, "192.0.2.1", "probe", True),
        ({"consumers": ["probe"]}, "192.0.2.1", "other", False),
        ({"consumers": ["probe"]}, "192.0.2.1", None, False),
        ({"clients": "10.0.0.0/8", "consumers": ["probe"]}, "192.0.2.1", "probe", True),
    ],
)
def test_exempt(exempt: object, client: str, consumer: str | None, is_exempt: bool) -> None:
    bench = Bench({"limit": 1, "window": "60s", "exempt": exempt})
    statuses = []
    for _ in range(2):
        ex = exchange(client=client)
        ex.consumer = consumer
        statuses.append(run(bench.pipeline, ex).status)
    assert statuses == [200, 200 if is_exempt else 429]


@pytest.mark.parametrize(
    ("settings", "policy", "state"),
    [
        ({"algorithm": "token_bucket", "rate": "10/s", "burst": 20}, '"default";q=20;w=2', '"default";r=19;t=1'),
        ({"algorithm": "token_bucket", "rate": "1/m", "burst": 2}, '"default";q=2;w=120', '"default";r=1;t=60'),
        ({"algorithm": "fixed", "limit": 9, "period": "hour"}, '"default";q=9;w=3600', '"default";r=8;t=3600'),
        ({"algorithm": "fixed", "limit": 9, "period": "day"}, '"default";q=9;w=86400', '"default";r=8;t=86400'),
        # 1970-01-01 00:00 UTC is 01:00 in Berlin, and so the month's end an hour nearer. No `w`: months are not all of one length.
        (
            {"algorithm": "fixed", "limit": 9, "period": "month", "time_zone": "Europe/Berlin"},
            '"default";q=9',
            '"default";r=8;t=2674800',
        ),
    ],
)
def test_what_each_algorithm_tells(settings: object, policy: str, state: str) -> None:
    reply = Bench(settings).ask()
    assert (reply.headers["RateLimit-Policy"], reply.headers["RateLimit"]) == (policy, state)


@pytest.mark.parametrize(("legacy", "now", "reset"), [("delta", 0.0, "120"), ("epoch", 1_767_225_600.0, "1767225720")])
def test_legacy_headers(legacy: str, now: float, reset: str) -> None:
    bench = Bench([{"limit": 9, "window": "1h", "name": "wide"}, {"limit": 1, "window": "60s", "name": "narrow", "legacy_headers": legacy}])
    bench.plugin.host.time = lambda: now
    for status in (200, 429):
        reply = bench.ask()
        found = [reply.headers[f"X-RateLimit-{name}"] for name in ("Limit", "Remaining", "Reset")]
        assert (reply.status, found) == (status, ["1", "0", reset])


def test_legacy_headers_of_the_upstream_stay() -> None:
    plugin = load("rate_limit", {"limit": 9, "window": "1h", "legacy_headers": "delta"})
    reply = run(pipeline(plugin, upstream=FakeUpstream(Reply(200, Headers({"X-RateLimit-Limit": "5"})))), exchange())
    assert reply.headers.getall("X-RateLimit-Limit") == ["5"]


def test_counted_for_metrics() -> None:
    bench = Bench([{"limit": 3, "window": "1h", "name": "a"}, {"limit": 1, "window": "1h", "name": "b"}])
    for _ in range(3):
        bench.ask()
    found = {
        (policy, outcome): bench.metrics.value("rate_limit.decisions", policy=policy, outcome=outcome)
        for policy in "ab"
        for outcome in ("allowed", "refused")
    }
    assert found == {("a", "allowed"): 1, ("a", "refused"): 0, ("b", "allowed"): 1, ("b", "refused"): 2}


def test_a_streamed_body_is_read_first_and_goes_on_whole() -> None:
    upstream = FakeUpstream(lambda ex: Reply(401))
    steps = pipeline(load("rate_limit", GUESSES, host=host(clock=Clock(0.0))), upstream=upstream)

    async def ask() -> int:
        ex = exchange("POST")
        ex.stream = streamed(b'{"email": "a@ex', b'ample.com"}')
        return (await steps.answer(ex)).status

    assert [asyncio.run(ask()) for _ in range(3)] == [401, 401, 429]
    assert [body for *_, body in upstream.requests] == [b'{"email": "a@example.com"}'] * 2


def test_a_cost_for_each_limit_of_a_list() -> None:
    """One counts requests, the other what they cost."""
    bench = Bench([{"limit": 4, "window": "1h", "name": "requests"}, {"limit": 10, "window": "1h", "name": "work", "cost": {"POST": 4}}])
    assert [bench.ask(method=method).headers["RateLimit"] for method in ("GET", "POST", "GET")] == [
        '"requests";r=3;t=7200, "work";r=9;t=7200',
        '"requests";r=2;t=5400, "work";r=5;t=4320',
        '"requests";r=1;t=4800, "work";r=4;t=4200',
    ]
    refused = bench.ask(method="POST", body=b"")
    assert refused.status == 200 and bench.ask(method="GET").status == 429


def test_what_one_limit_of_a_list_gives_back() -> None:
    """As much as it counted, though another counted something else."""
    bench = Bench(
        [
            {"limit": 10, "window": "1h", "name": "requests"},
            {"limit": 6, "window": "1h", "name": "failures", "cost": 3, "count": [401], "algorithm": "log"},
        ]
    )
    assert [bench.guess(status) for status in (200, 401, 200, 401, 200)] == [200, 401, 200, 401, 429]


def test_exempt_from_one_limit_of_a_list() -> None:
    """From that one only: nothing is counted there, and nobody is told of it."""
    bench = Bench(
        [
            {"limit": 1, "window": "1h", "name": "strict", "exempt": ["10.0.0.0/8"]},
            {"limit": 3, "window": "1h", "name": "wide"},
            {"limit": 1, "window": "1h", "name": "first", "exempt": ["10.0.0.0/8"]},
        ]
    )
    assert [bench.ask(client="192.0.2.1").status for _ in range(2)] == [200, 429]
    answers = [bench.ask(client="10.0.0.1") for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 200, 200, 429]
    assert answers[0].headers["RateLimit-Policy"] == '"wide";q=3;w=3600' and answers[0].headers["RateLimit"].startswith('"wide";r=2')
    assert bench.plugin.explain(exchange(client="10.0.0.1")) == (
        '"wide";q=3;w=3600 for 10.0.0.1: refuses, for 4800 s more; "strict";q=1;w=3600: exempt; "first";q=1;w=3600: exempt'
    )


def test_exempt_from_all_limits_of_a_list_each_for_itself() -> None:
    one, other = {"limit": 1, "window": "1h", "name": "a", "exempt": {"consumers": ["probe"]}}, {"limit": 1, "window": "1h", "name": "b"}
    bench = Bench([one, {**other, "exempt": ["10.0.0.0/8"]}])

    def ask(client: str, consumer: str | None) -> int:
        asked = exchange(client=client)
        asked.consumer = consumer
        return run(bench.pipeline, asked).status

    assert [ask("10.0.0.1", "probe") for _ in range(3)] == [200] * 3
    assert [ask("10.0.0.1", None) for _ in range(2)] == [200, 429]
    assert [ask("192.0.2.1", "probe") for _ in range(2)] == [200, 429]


class Elsewhere:
    """Limits at a store that answers later: with `decision`, or an error."""

    def __init__(self, specs: Sequence[LimitSpec]) -> None:
        self.specs = tuple(specs)
        self.asked: list[asyncio.Future[Decisions]] = []
        self.refunds: list[tuple[Sequence[str], int]] = []

    def hit(self, keys: Sequence[str], cost: int = 1) -> Soon[Decisions]:
        self.asked.append(asyncio.get_running_loop().create_future())
        return self.asked[-1]

    def refund(self, keys: Sequence[str], cost: int = 1, age: float = 0.0) -> None:
        self.refunds.append((keys, cost))

    def peek(self, keys: Sequence[str]) -> Soon[Decisions]:
        return self.hit(keys)


class ElsewhereStore(MemoryStore):
    """All that is bound, in order: the entry's limits first, then those that are given back to."""

    def limits(self, specs: Sequence[LimitSpec]) -> Any:
        self.made: list[Elsewhere] = [*getattr(self, "made", []), Elsewhere(specs)]
        return self.made[-1]


def elsewhere(settings: object, mode: Any = "enforce") -> tuple[ElsewhereStore, Plugin[Any], Pipeline]:
    about = host(clock=Clock(0.0), mode=mode)
    store = about.store = ElsewhereStore(Clock(0.0))
    plugin = load("rate_limit", settings, host=about)
    return store, plugin, pipeline(plugin, upstream=FakeUpstream(), mode=mode)


YES, NO = (Decision(True, 1, 1.0, 0.0),), (Decision(False, 0, 1.0, 0.5),)


@pytest.mark.parametrize(
    ("answer", "mode", "status", "type_"),
    [
        (YES, "enforce", 200, ""),
        (NO, "enforce", 429, "quota-exceeded"),
        (NO, "observe", 200, ""),
        (Unavailable(reason="away", headers=[("Retry-After", "1")]), "enforce", 503, "temporary-reduced-capacity"),
        (Unavailable(reason="away"), "observe", 200, ""),
    ],
)
def test_a_store_that_answers_later(answer: Any, mode: str, status: int, type_: str) -> None:
    store, _, steps = elsewhere({"limit": 2, "window": "60s"}, mode)

    async def ask() -> Reply:
        task = asyncio.ensure_future(steps.answer(exchange()))
        await asyncio.sleep(0)
        future = store.made[0].asked[0]
        future.set_exception(answer) if isinstance(answer, Exception) else future.set_result(answer)
        return await task

    reply = asyncio.run(ask())
    assert reply.status == status
    if type_:
        assert reply.entity is not None
        assert orjson.loads(reply.entity.data)["type"] == f"https://iana.org/assignments/http-problem-types#{type_}"
        assert (reply.headers["Cache-Control"], reply.headers["Retry-After"]) == ("no-store", "1")


@pytest.mark.parametrize(("answer", "refunds"), [(YES, [(("192.0.2.1",), 1)]), (NO, [])])
def test_a_client_that_leaves_while_the_store_is_asked(answer: Decisions, refunds: object) -> None:
    """Its guess never reached the service: what the store then counts of it is given back, and nothing else."""
    store, plugin, steps = elsewhere({"limit": 2, "window": "60s", "count": [401]})

    async def leave() -> None:
        ex = exchange()
        task = asyncio.ensure_future(steps.answer(ex))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        plugin.on_end(ex, None)  # type: ignore[arg-type]
        store.made[0].asked[0].set_result(answer)
        await asyncio.sleep(0)

    asyncio.run(leave())
    assert store.made[1].refunds == refunds


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (YES, '"default";q=2;w=60 for 192.0.2.1: 1 of 2 used, 1 left, more in 1 s'),
        (NO, '"default";q=2;w=60 for 192.0.2.1: refuses, for 0.5 s more'),
        (StoreAway("refused"), '"default";q=2;w=60 for 192.0.2.1: the store is away, refused'),
    ],
)
def test_explained_by_a_store_that_answers_later(answer: Any, says: str) -> None:
    store, plugin, _ = elsewhere({"limit": 2, "window": "60s"})

    async def ask() -> object:
        soon = plugin.explain(exchange())
        assert soon is not None and not isinstance(soon, str)
        future = store.made[0].asked[0]
        future.set_exception(answer) if isinstance(answer, Exception) else future.set_result(answer)
        return await soon

    assert asyncio.run(ask()) == says
