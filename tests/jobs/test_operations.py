"""What operators may ask of jobs, on the store in memory; and that nobody is recognized in what they are told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from gateway.control import Control, ControlError
from gateway.jobs.contract import Buried, Done, Finish, JobsAway, NewJob, Parked, Want
from gateway.jobs.memory import MemoryJobs
from gateway.jobs.operations import NAMES, JobsOperations
from gateway.pii import Mask
from gateway.testing import Clock

PAYLOAD = {"to": "ada@example.com", "template": "welcome", "data": {"name": "Ada", "email": "ada@example.com", "phone": None}}


@pytest.fixture
def clock() -> Clock:
    return Clock(1000.0)


@pytest.fixture
async def jobs(clock: Clock) -> MemoryJobs:
    """One that is dead, one parked, one done, one delayed, one queued; in this order."""
    store = MemoryJobs(clock)
    for name in ("dead", "parked", "done"):
        await store.enqueue(NewJob(id=name, type="email", payload=PAYLOAD, request_id=f"r-{name}"))
    await store.claim([Want("email", 9, 6)], 9, 30.0, "token")
    finished = [
        Finish("dead", Buried("550 no such user")),
        Finish("parked", Parked("no template")),
        Finish("done", Done({"file": "a.eml"})),
    ]
    await store.finish(finished, "token")
    clock.advance(1)
    await store.enqueue(NewJob(id="delayed", type="sms", payload={"to": "1"}, delay=60.0))
    clock.advance(1)
    await store.enqueue(NewJob(id="queued", type="email", payload=PAYLOAD, dedupe="welcome:ada@example.com"))
    return store


@pytest.fixture
def control(jobs: MemoryJobs) -> Control:
    made = Control()
    JobsOperations(lambda: jobs, lambda: Mask(["email", "phone"])).offer(made)
    return made


async def ids(control: Control, **asking: Any) -> list[str]:
    return [job["id"] for job in await control.call("jobs_list", asking)]


async def states(jobs: MemoryJobs, names: Sequence[str]) -> list[str]:
    return [job.state if (job := await jobs.get(name)) else "gone" for name in names]


async def test_a_list_is_the_newest_first(control: Control) -> None:
    assert await ids(control) == ["queued", "delayed", "done", "parked", "dead"]
    assert await ids(control, type="sms") == ["delayed"]
    assert await ids(control, state="dead") == ["dead"]
    assert await ids(control, limit="2") == ["queued", "delayed"]
    assert await ids(control, after="delayed", limit=1) == ["done"]


async def test_what_a_list_tells(control: Control) -> None:
    [job] = await control.call("jobs_list", {"state": "dead"})
    assert job == {
        "id": "dead",
        "type": "email",
        "template": "welcome",
        "state": "dead",
        "attempt": 1,
        "created": 1000.0,
        "run_at": job["run_at"],
        "finished": 1000.0,
        "reason": "550 no such user",
        "request_id": "r-dead",
    }


async def test_nobody_is_recognized_in_a_job(control: Control) -> None:
    job = await control.call("jobs_show", {"id": "queued"})
    assert job["payload"] == {
        "to": "[redacted]",
        "template": "welcome",
        "data": {"name": "Ada", "email": "[redacted]", "phone": "[redacted]"},
    }
    assert job["dedupe"] == "welcome:[redacted]"
    done = await control.call("jobs_show", {"id": "done"})
    assert done["result"] == {"file": "a.eml"}


async def test_stats(control: Control) -> None:
    told = await control.call("jobs_stats")
    assert [(depth["type"], depth["state"], depth["count"]) for depth in told["depths"]] == [
        ("email", "queued", 1), ("email", "done", 1), ("email", "dead", 1), ("email", "parked", 1), ("sms", "delayed", 1),
    ]  # fmt: skip
    assert (told["store"]["address"], told["store"]["up"], told["paused"]) == ("memory://", True, [])


async def test_retry_of_one_and_of_all(control: Control, jobs: MemoryJobs) -> None:
    assert await control.call("jobs_retry", {"id": "dead"}) == {"retried": 1}
    assert await control.call("jobs_retry", {"state": "parked"}) == {"retried": 1}
    assert await control.call("jobs_retry", {"state": "dead", "type": "sms"}) == {"retried": 0}
    assert await states(jobs, ["dead", "parked"]) == ["queued", "queued"]


async def test_cancel_and_purge(control: Control, jobs: MemoryJobs) -> None:
    assert await control.call("jobs_cancel", {"id": "queued"}) == {"cancelled": 1}
    assert await states(jobs, ["queued"]) == ["dead"]
    assert await control.call("jobs_purge", {"state": "dead"}) == {"purged": 2}
    assert await control.call("jobs_purge", {"state": "delayed", "type": "email"}) == {"purged": 0}
    assert await states(jobs, ["dead", "queued", "delayed"]) == ["gone", "gone", "delayed"]


async def test_pause_and_resume(control: Control, jobs: MemoryJobs) -> None:
    assert await control.call("jobs_pause", {"type": "email"}) == {"paused": ["email"]}
    assert not (await jobs.claim([Want("email", 9, 6)], 9, 30.0, "token")).jobs
    assert (await control.call("jobs_stats"))["paused"] == ["email"]
    assert await control.call("jobs_resume", {"type": "email"}) == {"paused": []}
    assert len((await jobs.claim([Want("email", 9, 6)], 9, 30.0, "token")).jobs) == 1


@pytest.mark.parametrize(
    ("name", "asking", "status", "why"),
    [
        ("jobs_show", {}, 422, "id is missing"),
        ("jobs_show", {"id": "nothing"}, 404, "there is no job nothing"),
        ("jobs_show", {"id": 7}, 422, "id is a text"),
        ("jobs_list", {"state": "lost"}, 422, "there is no state lost"),
        ("jobs_list", {"limit": 0}, 422, "limit is a number from 1 to 1000"),
        ("jobs_list", {"limit": "many"}, 422, "limit is a number from 1 to 1000"),
        ("jobs_retry", {"id": "queued"}, 422, "is not there, is running or waits already"),
        ("jobs_retry", {}, 422, "write the id of a job, or a state"),
        ("jobs_retry", {"state": "done"}, 422, "write the id of a job, or a state"),
        ("jobs_cancel", {"id": "done"}, 422, "is not there, is running, or is over"),
        ("jobs_purge", {}, 422, "write a state"),
        ("jobs_purge", {"state": "active"}, 422, "write a state"),
        ("jobs_pause", {}, 422, "type is missing"),
    ],
)
async def test_what_is_refused(control: Control, name: str, asking: dict[str, Any], status: int, why: str) -> None:
    with pytest.raises(ControlError) as error:
        await control.call(name, asking)
    assert error.value.status == status and why in error.value.why


@pytest.mark.parametrize("name", NAMES)
async def test_without_jobs_there_is_nothing_to_ask(name: str) -> None:
    control = Control()
    JobsOperations(lambda: None, Mask).offer(control)
    with pytest.raises(ControlError) as error:
        await control.call(name, {"id": "a", "type": "email", "state": "dead"})
    assert error.value.status == 404


async def test_a_store_that_is_away(control: Control) -> None:
    class Away(MemoryJobs):
        async def get(self, id: str) -> Any:
            raise JobsAway("no connection")

    away = Control()
    JobsOperations(lambda: Away(Clock()), Mask).offer(away)
    with pytest.raises(ControlError) as error:
        await away.call("jobs_show", {"id": "a"})
    assert (error.value.status, error.value.why) == (503, "the store of jobs is away: no connection")
