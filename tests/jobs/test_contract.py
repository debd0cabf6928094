"""What every store of jobs does: one suite on memory, SQLite, Valkey and Redis."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.jobs.contract import (
    STATES,
    Again,
    Buried,
    Claim,
    Done,
    Finish,
    Job,
    Keep,
    NewJob,
    Outcome,
    Parked,
    Released,
    State,
    Want,
)  # fmt: skip
from gateway.jobs.machine import CANCELLED, PATIENCE, POISON, TRANSITIONS, UNKNOWN, Event
from tests.jobs.stores import Subject

LEASE = 30.0
KEEP = Keep(payload=100.0, done=1000.0, dead=2000.0, dead_max=3)


def want(type: str = "email", room: int = 10, **more: Any) -> Want:
    return Want(type, room, **{"attempts": 3, **more})


async def claim(jobs: Subject, *wants: Want, token: str = "me", room: int = 100, **more: Any) -> Claim:
    return await jobs.store.claim(wants or (want(),), room, LEASE, token, **more)


async def claimed(jobs: Subject, *wants: Want, token: str = "me", **more: Any) -> list[str]:
    return [job.id for job in (await claim(jobs, *wants, token=token, **more)).jobs]


async def finish(jobs: Subject, id: str, outcome: Outcome, token: str = "me", **notes: Any) -> bool:
    return not await jobs.store.finish([Finish(id, outcome, notes)], token)


async def known(jobs: Subject, id: str) -> Job:
    job = await jobs.store.get(id)
    assert job is not None
    return job


async def test_a_job_is_kept_as_it_was_given(jobs: Subject) -> None:
    payload = {"to": "Ä@example.com", "n": [1, 2.5, None, True], "big": 2**53, "empty": {}, "none": []}
    new = NewJob(id="a", type="email", payload=payload, dedupe="d:1", priority=2, traceparent="00-a-b-01", request_id="r")
    assert await jobs.store.enqueue(new) == ("a", True)
    job = await known(jobs, "a")
    assert (job.id, job.type, job.payload, job.state, job.attempt, job.priority) == ("a", "email", payload, "queued", 0, 2)
    assert (job.dedupe, job.reason, job.result, job.notes, job.traceparent, job.request_id) == ("d:1", "", None, {}, "00-a-b-01", "r")
    assert job.created == job.run_at and job.finished is None


async def test_nothing_is_known_of_others(jobs: Subject) -> None:
    assert await jobs.store.get("a") is None
    assert not await jobs.store.note("a", {"x": 1})
    assert not await jobs.store.retry("a") and not await jobs.store.cancel("a")
    assert await jobs.store.extend(["a"], LEASE, "me") == {"a"}
    assert not await finish(jobs, "a", Done())


async def test_asking_again_by_id_is_asking_once(jobs: Subject) -> None:
    assert await jobs.add("a", payload=1)
    assert not await jobs.add("a", payload=2)
    assert (await known(jobs, "a")).payload == 1
    assert await claimed(jobs) == ["a"] and await finish(jobs, "a", Done())
    assert not await jobs.add("a", payload=3)  # done, and not forgotten yet


async def test_a_dedupe_key_keeps_others_away_for_its_time(jobs: Subject) -> None:
    assert await jobs.add("a", dedupe="lead 7", dedupe_ttl=100)
    assert await jobs.store.enqueue(NewJob(id="b", type="email", payload=None, dedupe="lead 7")) == ("a", False)
    assert await jobs.add("c", type="sms", dedupe="lead 7")  # of another type
    assert await claimed(jobs) == ["a"] and await finish(jobs, "a", Done())
    assert not await jobs.add("d", dedupe="lead 7")  # done, and still
    jobs.advance(101)
    assert await jobs.add("e", dedupe="lead 7")


async def test_the_most_urgent_first_then_the_oldest(jobs: Subject) -> None:
    for id, priority in (("a", 5), ("b", 0), ("c", 9), ("d", 5), ("e", 0)):
        await jobs.add(id, priority=priority)
    assert await claimed(jobs, want(room=2)) == ["b", "e"]
    assert await claimed(jobs) == ["a", "d", "c"]


async def test_each_is_claimed_once(jobs: Subject) -> None:
    for n in range(10):
        await jobs.add(str(n))
    found = [await claimed(jobs, want(room=4), token=str(n)) for n in range(4)]
    assert [len(ids) for ids in found] == [4, 4, 2, 0]
    assert sorted(id for ids in found for id in ids) == sorted(map(str, range(10)))


async def test_only_wanted_types_are_claimed(jobs: Subject) -> None:
    await jobs.add("a", type="email")
    await jobs.add("b", type="sms")
    await jobs.add("c", type="fax")
    assert sorted(await claimed(jobs, want("email"), want("sms"))) == ["a", "b"]
    assert (await known(jobs, "c")).state == "queued"


async def test_the_room_is_for_all_types_together(jobs: Subject) -> None:
    for n in range(6):
        await jobs.add(f"{n}", type="email" if n < 3 else "sms")
    assert await claimed(jobs, want("sms", room=2), want("email"), room=4) == ["3", "4", "0", "1"]
    assert await claimed(jobs, want("sms"), want("email"), room=0) == []
    assert await claimed(jobs, want("sms"), want("email"), room=1) == ["5"]


async def test_a_delayed_job_waits_until_it_is_due(jobs: Subject) -> None:
    await jobs.add("a", delay=60)
    assert (await known(jobs, "a")).state == "delayed"
    found = await claim(jobs)
    assert not found.jobs and found.wait == pytest.approx(60, abs=1)
    assert (await claim(jobs)).wait == pytest.approx(60, abs=1)  # also when there was nothing to write
    jobs.advance(61)
    assert (await known(jobs, "a")).state == "queued"
    assert [(depth.state, depth.count) for depth in await jobs.store.depths()] == [("queued", 1)]
    assert [job.id for job in await jobs.store.page(state="queued")] == ["a"]
    assert await claimed(jobs) == ["a"]


async def test_what_cannot_be_run_is_parked_from_the_beginning(jobs: Subject) -> None:
    await jobs.add("a", parked="no field `name`", delay=60)
    job = await known(jobs, "a")
    assert (job.state, job.reason) == ("parked", "no field `name`") and job.finished == job.created
    assert await claimed(jobs) == [] and await jobs.store.adopt(["email"]) == 0
    assert await jobs.store.retry("a") and await claimed(jobs) == ["a"]


async def test_what_is_claimed_is_known_to_be_under_way(jobs: Subject) -> None:
    await jobs.add("a", payload={"x": 1})
    (job,) = (await claim(jobs)).jobs
    assert (job.state, job.attempt, job.payload) == ("active", 1, {"x": 1})
    assert (await known(jobs, "a")).state == "active"


async def test_a_lease_that_is_over_is_claimed_by_another(jobs: Subject) -> None:
    await jobs.add("a")
    assert await claimed(jobs, token="dead") == ["a"]
    jobs.advance(LEASE - 1)
    assert await claimed(jobs) == []
    jobs.advance(2)
    assert await claimed(jobs, reclaims=False) == []  # after an outage
    (job,) = (await claim(jobs)).jobs
    assert job.attempt == 2
    assert not await finish(jobs, "a", Done("late"), token="dead", sent=True)
    assert (await known(jobs, "a")).state == "active" and (await known(jobs, "a")).notes == {}
    assert await finish(jobs, "a", Done("mine"))
    assert (await known(jobs, "a")).result == "mine"


async def test_a_lease_that_is_extended_is_not_over(jobs: Subject) -> None:
    await jobs.add("a")
    await jobs.add("b")
    assert await claimed(jobs, want(room=1)) == ["a"]
    assert await claimed(jobs, token="other") == ["b"]
    jobs.advance(LEASE - 1)
    assert await jobs.store.extend(["a", "b"], LEASE, "me") == {"b"}
    jobs.advance(LEASE - 1)
    assert await claimed(jobs, token="third") == ["b"]


async def test_poison_is_buried_at_claim(jobs: Subject) -> None:
    await jobs.add("a")
    await jobs.add("b")
    for attempt in (1, 2, 3):
        assert (await claim(jobs, want(room=1))).jobs[0].id == "a"
        assert (await known(jobs, "a")).attempt == attempt
        jobs.advance(LEASE + 1)
        await jobs.store.claim([want(room=0)], 9, LEASE, "reclaims")
        await _to_front(jobs, "a", "b")
    found = await claim(jobs, want(room=1))
    assert [job.id for job in found.jobs] == ["b"]  # the room is another's
    assert [(job.id, job.state, job.reason) for job in found.buried] == [("a", "dead", POISON % 3)]
    assert (await known(jobs, "a")).reason == POISON % 3


async def _to_front(jobs: Subject, first: str, second: str) -> None:
    """`second` goes behind `first`, whose lease was over."""
    assert await claimed(jobs, want(attempts=9), token="order") == [second, first]
    for id in (first, second):
        assert await finish(jobs, id, Released(), token="order")


@pytest.mark.parametrize(
    ("outcome", "state", "reason", "result"),
    [
        (Done({"id": 7}), "done", "", {"id": 7}),
        (Again(60, "451 later"), "delayed", "451 later", None),
        (Buried("550 no"), "dead", "550 no", None),
        (Parked("no template"), "parked", "no template", None),
        (Released(), "queued", "", None),
    ],
)
async def test_outcomes(jobs: Subject, outcome: Outcome, state: State, reason: str, result: Any) -> None:
    await jobs.add("a", payload=1)
    await claim(jobs)
    assert await finish(jobs, "a", outcome, sent=["x@example.com"])
    job = await known(jobs, "a")
    assert (job.state, job.reason, job.result, job.notes) == (state, reason, result, {"sent": ["x@example.com"]})
    assert job.attempt == (0 if state == "queued" else 1)
    assert (job.finished is None) == (state in ("queued", "delayed"))
    assert not await finish(jobs, "a", Done())  # the token is used up


async def test_many_are_finished_at_once(jobs: Subject) -> None:
    for id in "abc":
        await jobs.add(id)
    assert len(await claimed(jobs, want(room=2))) == 2
    said = [Finish("a", Done(1), {"x": 1, "y": [2]}), Finish("c", Done()), Finish("b", Buried("no"), {"z": None})]
    assert await jobs.store.finish(said, "me") == {"c"}
    assert [(await known(jobs, id)).state for id in "abc"] == ["done", "dead", "queued"]
    assert (await known(jobs, "a")).notes == {"x": 1, "y": [2]} and (await known(jobs, "b")).notes == {"z": None}


async def test_notes_add_up(jobs: Subject) -> None:
    await jobs.add("a")
    assert await jobs.store.note("a", {"sent": True, "n": 1})
    await claim(jobs)
    await finish(jobs, "a", Done(), n=2)
    assert await jobs.store.note("a", {"delivered": "yes"})
    assert (await known(jobs, "a")).notes == {"sent": True, "n": 2, "delivered": "yes"}


async def test_a_retry_comes_when_it_is_due(jobs: Subject) -> None:
    await jobs.add("a")
    await claim(jobs)
    await finish(jobs, "a", Again(10))
    assert (await claim(jobs)).wait == pytest.approx(10, abs=1)
    jobs.advance(11)
    assert (await claim(jobs)).jobs[0].attempt == 2


async def test_a_rate_holds_for_all_workers(jobs: Subject) -> None:
    for n in range(30):
        await jobs.add(str(n))
    first = await claim(jobs, want(rate=10.0, room=8))
    second = await claim(jobs, want(rate=10.0, room=8), token="other")
    assert (len(first.jobs), len(second.jobs)) == (8, 2)  # a second's worth at once
    third = await claim(jobs, want(rate=10.0))
    assert not third.jobs and third.wait is not None and 0 < third.wait <= 0.1
    jobs.advance(0.55)
    assert len(await claimed(jobs, want(rate=10.0))) in (5, 6)  # Redis's clock goes on by itself
    jobs.advance(60)
    assert len(await claimed(jobs, want(rate=10.0, room=20))) == 10


async def test_a_slow_rate_lets_one_go(jobs: Subject) -> None:
    await jobs.add("a")
    await jobs.add("b")
    assert await claimed(jobs, want(rate=0.1)) == ["a"]
    assert (await claim(jobs, want(rate=0.1))).wait == pytest.approx(10, abs=0.5)
    jobs.advance(10.1)
    assert await claimed(jobs, want(rate=0.1)) == ["b"]


async def test_concurrency_holds_for_all_workers(jobs: Subject) -> None:
    for id in "abcd":
        await jobs.add(id)
    assert len(await claimed(jobs, want(concurrency=3, room=2))) == 2
    assert len(await claimed(jobs, want(concurrency=3, room=2), token="other")) == 1
    assert await claimed(jobs, want(concurrency=3)) == []
    await finish(jobs, "a", Done())
    assert len(await claimed(jobs, want(concurrency=3))) == 1


async def test_a_paused_type_is_not_claimed(jobs: Subject) -> None:
    await jobs.add("a")
    await jobs.add("b", type="sms")
    await jobs.store.pause("email")
    assert await jobs.store.paused() == {"email"}
    assert await claimed(jobs, want("email"), want("sms")) == ["b"]
    assert await claimed(jobs, want("email")) == []
    await jobs.store.resume("email")
    assert await jobs.store.paused() == set()
    assert await claimed(jobs) == ["a"]


async def test_what_will_be_due_of_a_paused_type_is_told_each_time(jobs: Subject) -> None:
    await jobs.add("a", delay=40.0)
    await jobs.store.pause("email")
    for _ in range(2):
        found = await claim(jobs, want("email"))
        assert found.wait is not None and 39 < found.wait <= 40


async def test_types_that_nobody_knows_are_parked_and_adopted(jobs: Subject) -> None:
    await claim(jobs, want("email"))
    await jobs.add("a", type="email")
    await jobs.add("b", type="fax")
    jobs.advance(PATIENCE - 1)
    await jobs.store.sweep(KEEP)
    assert (await known(jobs, "b")).state == "queued"
    await claim(jobs, want("email", room=0))
    jobs.advance(2)
    assert (await jobs.store.sweep(KEEP)).parked == 1
    assert (await known(jobs, "a")).state == "queued"
    job = await known(jobs, "b")
    assert (job.state, job.reason) == ("parked", UNKNOWN)
    assert await jobs.store.adopt(["email"]) == 0
    assert await jobs.store.adopt(["fax", "email"]) == 1
    assert await claimed(jobs, want("fax")) == ["b"]
    await finish(jobs, "b", Parked("no template"))
    assert await jobs.store.adopt(["fax"]) == 0  # an operator is asked for


async def test_done_jobs_are_forgotten_in_two_steps(jobs: Subject) -> None:
    await jobs.add("a", payload={"secret": 1})
    await claim(jobs)
    await finish(jobs, "a", Done("sent"))
    await jobs.store.sweep(KEEP)
    assert (await known(jobs, "a")).payload == {"secret": 1}
    jobs.advance(KEEP.payload + 1)
    await jobs.store.sweep(KEEP)
    job = await known(jobs, "a")
    assert (job.state, job.payload, job.result) == ("done", None, "sent")
    assert not await jobs.store.retry("a")
    jobs.advance(KEEP.done)
    await jobs.store.sweep(KEEP)
    assert await jobs.store.get("a") is None
    assert await jobs.store.page() == [] and await jobs.store.depths() == []


async def test_dead_letters_are_capped_by_age_and_number(jobs: Subject) -> None:
    for n in range(5):
        await jobs.add(str(n))
        await claim(jobs)
        await finish(jobs, str(n), Buried("no"))
        jobs.advance(1)
    assert (await jobs.store.sweep(KEEP)).dropped == 2
    assert [job.id for job in await jobs.store.page(state="dead")] == ["4", "3", "2"]
    jobs.advance(KEEP.dead - 2.5)
    assert (await jobs.store.sweep(KEEP)).dropped == 1
    jobs.advance(5)
    assert (await jobs.store.sweep(KEEP)).dropped == 2
    assert await jobs.store.page() == []


async def test_pages(jobs: Subject) -> None:
    for n in range(7):
        await jobs.add(str(n), type="email" if n % 2 else "sms", delay=60 if n == 3 else 0)
    assert [job.id for job in await jobs.store.page()] == list("6543210")
    assert [job.id for job in await jobs.store.page(limit=3)] == list("654")
    assert [job.id for job in await jobs.store.page(limit=3, after="4")] == list("321")
    assert [job.id for job in await jobs.store.page(type="email")] == list("531")
    assert [job.id for job in await jobs.store.page(type="email", state="queued")] == list("51")
    assert [job.id for job in await jobs.store.page(state="delayed")] == ["3"]
    assert [job.id for job in await jobs.store.page(state="queued", after="4")] == list("210")
    assert await jobs.store.page(after="nobody") == []
    assert await jobs.store.page(state="dead") == []


async def test_depths(jobs: Subject) -> None:
    await jobs.add("a")
    jobs.advance(10)
    await jobs.add("b")
    await jobs.add("c", type="sms", delay=600)
    await jobs.add("d", type="sms")
    assert await claimed(jobs, want("sms")) == ["d"]
    jobs.advance(5)
    found = {(depth.type, depth.state): depth for depth in await jobs.store.depths()}
    assert {key: depth.count for key, depth in found.items()} == {
        ("email", "queued"): 2, ("sms", "active"): 1, ("sms", "delayed"): 1,
    }  # fmt: skip
    assert found["email", "queued"].oldest == pytest.approx(15, abs=1)
    assert found["sms", "active"].oldest == pytest.approx(5, abs=1)
    assert found["sms", "delayed"].oldest == 0


INTO: dict[State, Outcome] = {"done": Done(), "dead": Buried("no"), "parked": Parked("no")}


async def put(jobs: Subject, id: str, state: State) -> None:
    """A job in this state."""
    waits = state in ("queued", "delayed")
    await jobs.add(id, payload=1, delay=60 if state == "delayed" else 0, priority=9 if waits else 0)
    if not waits:
        assert await claimed(jobs, want(room=1), token=id) == [id]
    if state in INTO:
        await finish(jobs, id, INTO[state], token=id)
    assert (await known(jobs, id)).state == state


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("event", ["retry", "cancel"])
async def test_operators_move_what_the_table_lets_them(jobs: Subject, state: State, event: Event) -> None:
    await put(jobs, "a", state)
    done = await (jobs.store.retry("a") if event == "retry" else jobs.store.cancel("a"))
    to = TRANSITIONS[state].get(event)
    assert done == (to is not None)
    job = await known(jobs, "a")
    assert job.state == (to or state)
    if done and event == "retry":
        assert (job.attempt, job.reason, job.payload) == (0, "", 1)
        assert await claimed(jobs) == ["a"]
    if done and event == "cancel":
        assert job.reason == CANCELLED
        assert await claimed(jobs) == []


@pytest.mark.parametrize("state", STATES)
async def test_all_but_active_ones_are_purged(jobs: Subject, state: State) -> None:
    for id in STATES:
        await put(jobs, id, id)
    await jobs.add("sms", type="sms")
    assert await jobs.store.purge(state, type="email") == (state != "active")
    assert (await jobs.store.get(state) is None) == (state != "active")
    assert len(await jobs.store.page()) == len(STATES) + (state == "active")
    assert await jobs.store.purge("queued", type="sms") == 1


async def test_whoever_waits_is_woken_by_what_is_new(jobs: Subject) -> None:
    assert await claimed(jobs) == []
    await jobs.add("a")
    async with asyncio.timeout(0.3):  # sooner than any poll
        await jobs.store.wait(30)
    assert await claimed(jobs) == ["a"]
    await jobs.store.wait(0.01)
