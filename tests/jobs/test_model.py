"""Any sequence of calls: SQLite and Valkey answer as memory does, which is the state machine itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.jobs.contract import (
    STATES,
    Again,
    Buried,
    Done,
    Finish,
    JobStore,
    Keep,
    NewJob,
    Outcome,
    Parked,
    Released,
    Want,
)  # fmt: skip
from tests.jobs.stores import Subject, subject
from tests.store.servers import Server

IDS, TYPES, TOKENS = ("a", "b", "c", "d", "e"), ("email", "sms"), ("one", "other")
KEEP = Keep(payload=100.0, done=300.0, dead=400.0, dead_max=2)
Call = Callable[[JobStore], Any]


@dataclass(frozen=True)
class Step:
    name: str
    call: Call | None = None
    seconds: float = 0.0  # to let pass, where there is no call


def _finish(id: str, outcome: Outcome, notes: dict[str, int], token: str) -> Call:
    return lambda store: store.finish([Finish(id, outcome, notes)], token)


def _claim(types: list[str], room: int, concurrency: int, token: str, reclaims: bool) -> Call:
    wants = [Want(type, room, 3, concurrency=concurrency) for type in types]
    return lambda store: store.claim(wants, 3, 30.0, token, reclaims=reclaims)


ids, types, tokens = st.sampled_from(IDS), st.sampled_from(TYPES), st.sampled_from(TOKENS)
outcomes: st.SearchStrategy[Outcome] = st.sampled_from(
    [Done({"n": 1}), Done(), Again(20.0, "later"), Buried("no"), Parked("not as it is"), Released()]
)
steps = st.one_of(
    st.builds(
        lambda id, type, dedupe, priority, delay, parked: Step(
            f"enqueue {id} {type} {dedupe} {priority} {delay} {parked}",
            lambda store: store.enqueue(
                NewJob(id=id, type=type, payload=[id], dedupe=dedupe, dedupe_ttl=50.0, priority=priority, delay=delay, parked=parked)
            ),
        ),
        ids, types, st.sampled_from(["", "", "key"]), st.sampled_from([0, 5, 9]), st.sampled_from([0.0, 0.0, 40.0]),
        st.sampled_from(["", "", "why"]),
    ),
    st.builds(
        lambda types, room, concurrency, token, reclaims: Step(
            f"claim {types} {room} {concurrency} {token} {reclaims}", _claim(types, room, concurrency, token, reclaims)
        ),
        st.lists(types, min_size=1, max_size=2, unique=True), st.integers(0, 3), st.sampled_from([0, 0, 1]), tokens, st.booleans(),
    ),
    st.builds(
        lambda id, outcome, notes, token: Step(f"finish {id} {outcome} {notes} {token}", _finish(id, outcome, notes, token)),
        ids, outcomes, st.dictionaries(st.sampled_from("xy"), st.integers(0, 9), max_size=2), tokens,
    ),
    st.builds(lambda id, token: Step(f"extend {id} {token}", lambda store: store.extend([id], 30.0, token)), ids, tokens),
    st.builds(lambda id: Step(f"retry {id}", lambda store: store.retry(id)), ids),
    st.builds(lambda id: Step(f"cancel {id}", lambda store: store.cancel(id)), ids),
    st.builds(lambda id: Step(f"note {id}", lambda store: store.note(id, {"x": 7})), ids),
    st.builds(
        lambda state, type: Step(f"purge {state} {type}", lambda store: store.purge(state, type=type)), st.sampled_from(STATES), types
    ),
    st.builds(lambda type: Step(f"pause {type}", lambda store: store.pause(type)), types),
    st.builds(lambda type: Step(f"resume {type}", lambda store: store.resume(type)), types),
    st.builds(lambda type: Step(f"adopt {type}", lambda store: store.adopt([type])), types),
    st.just(Step("sweep", lambda store: store.sweep(KEEP))),
    st.sampled_from([Step("second", seconds=1.0), Step("lease", seconds=31.0), Step("minute", seconds=61.0), Step("long", seconds=150.0)]),
)  # fmt: skip


def seen(answer: Any) -> Any:
    """What must be the same: of a claim, which jobs it began and which it buried."""
    if hasattr(answer, "buried"):
        jobs = [[(job.id, job.attempt, job.state, job.reason) for job in some] for some in (answer.jobs, answer.buried)]
        return (*jobs, answer.wait is None)
    return answer


async def kept(store: JobStore) -> Any:
    """All that is known, without times."""
    jobs = [
        (job.id, job.type, job.payload, job.state, job.attempt, job.priority, job.dedupe, job.reason, job.result, dict(job.notes))
        for job in await store.page(limit=100)
    ]
    return jobs, [(depth.type, depth.state, depth.count) for depth in sorted(await store.depths(), key=str)], await store.paused()


async def same(kind: str, folder: Path, server: Callable[[], Server], sequence: list[Step]) -> None:
    async with subject("memory", folder, server) as model, subject(kind, folder, server) as real:
        done: list[str] = []
        for step in sequence:
            done.append(step.name)
            await _both(model, real, step, done)
            assert await kept(real.store) == await kept(model.store), done


async def _both(model: Subject, real: Subject, step: Step, done: list[str]) -> None:
    for one in (model, real):
        one.advance(step.seconds or 0.001)  # what is made later is younger
    if step.call is not None:
        assert seen(await step.call(real.store)) == seen(await step.call(model.store)), done


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "valkey"])
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(sequence=st.lists(steps, min_size=5, max_size=40))
def test_every_store_does_what_memory_does(kind: str, valkey: Server, sequence: list[Step]) -> None:
    with TemporaryDirectory() as folder:
        asyncio.run(same(kind, Path(folder), lambda: valkey, sequence))
