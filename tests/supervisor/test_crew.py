"""The workers together, with workers that are none: who has which number, and who starts while something else is decided."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from typing import Any

import pytest

from gateway.config.kept import Kept
from gateway.control import ControlError
from gateway.server.reading import Reading, Terms
from gateway.supervisor.balance import SLOT
from gateway.supervisor.channel import Gone
from gateway.supervisor.crew import Crew, Decided
from gateway.supervisor.orders import Orders

TERMS = Terms(0.0, 0.0, None, None, "INFO", None, (None, 60.0))
VALUES = {"lame_duck": 0.0, "drain": 0.0, "memory": None, "age": None, "level": "INFO", "admin": None, "receiver": (None, 60.0)}


def kept(version: int) -> Kept:
    return Kept({"gateway.yaml": str(version)}, {}, {})


class FakeChild:
    """Answers as `answers` says, by the name of the call; an exception is raised."""

    def __init__(self, number: int, **answers: Any) -> None:
        self.number = number
        self.state = "starting"
        self.is_condemned = False
        self.answers = answers
        self.calls: list[tuple[str, Any]] = []

    def __str__(self) -> str:
        return f"worker {self.number}"

    async def call(self, name: str, arguments: Any = None, *, deadline: float) -> Any:
        self.calls.append((name, arguments))
        await asyncio.sleep(0)
        if self.is_condemned:
            raise Gone
        answer = self.answers.get(name)
        if callable(answer):
            answer = await answer()
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def kill(self) -> None:
        self.is_condemned = True

    async def ended(self) -> int:
        return -9

    def release(self) -> None:
        pass

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.calls]


def prepared(version: int, *mistakes: str) -> dict[str, Any]:
    if mistakes:
        return {"reading": Reading(mistakes).values, "digest": ""}
    reading = Reading(routes=version)
    return {"reading": reading.values, "digest": kept(version).digest, "kept": kept(version).values, "terms": VALUES}


def crew(make: Callable[[int], Any]) -> Crew:
    async def spawn(number: int) -> Any:
        await asyncio.sleep(0)
        return make(number)

    with tempfile.TemporaryFile() as file:
        file.truncate(16 * SLOT)
        return Crew(spawn, Orders("g.yaml", (), "state", (), {}, file.fileno(), 16, ""), Decided(kept(1), TERMS), Reading(routes=1))


async def started(children: list[FakeChild]) -> Crew:
    one = crew(lambda number: children[number])
    await asyncio.gather(*(one.start() for _ in children))
    return one


async def test_no_two_have_one_number_whenever_they_start() -> None:
    one = crew(FakeChild)
    found: list[Any] = await asyncio.gather(*(one.start(number) for number in (0, 1, None, None, 1)))
    assert sorted(child.number for child in found) == [0, 1, 2, 3, 4]
    await one.bury(found[1])
    again = await one.start()
    assert again is not None and again.number == 1
    later = await one.start(1)  # taken meanwhile
    assert later is not None and later.number == 5


@pytest.mark.parametrize(
    ("answers", "served"),
    [
        ({}, True),
        ({"start": ControlError(422, "a mistake\nanother")}, False),
        ({"start": Gone()}, False),
        ({"serve": TimeoutError()}, False),
    ],
)
async def test_a_start(answers: dict[str, Any], served: bool) -> None:
    one = crew(lambda number: FakeChild(number, **answers))
    child = await one.start(0)
    assert (child is not None) is served
    assert len(one.serving) == len(one.children) == served


async def test_who_starts_while_a_policy_is_decided_on_begins_with_that() -> None:
    deciding, go_on = asyncio.Event(), asyncio.Event()

    async def prepare() -> Any:
        deciding.set()
        await go_on.wait()
        return prepared(2)

    children = [FakeChild(0, prepare=prepare), FakeChild(1), FakeChild(1)]
    one = crew(lambda number: children.pop(0))
    first: Any = await one.start()
    taking = asyncio.create_task(one.take())
    await deciding.wait()
    starting = asyncio.create_task(one.start())
    for _ in range(10):
        await asyncio.sleep(0)
    assert not starting.done()
    go_on.set()
    assert (await taking).mistakes == ()
    second: Any = await starting
    assert first.names == ["start", "serve", "prepare", "commit"]
    assert second.calls[0][1]["kept"] == kept(2).values and second.names == ["start", "serve"]
    assert children == []


async def test_all_take_it_from_the_reading_of_one() -> None:
    children = [FakeChild(0, prepare=prepared(2)), *(FakeChild(n, prepare={**prepared(2)}) for n in (1, 2))]
    one = await started(children)
    reading = await one.take()
    assert (reading.mistakes, reading.routes, one.decided.kept) == ((), 2, kept(2))
    assert [child.calls[2][1] for child in children] == [{"kept": None}, {"kept": kept(2).values}, {"kept": kept(2).values}]
    assert {tuple(child.names[2:]) for child in children} == {("prepare", "commit")}


@pytest.mark.parametrize(
    ("outcomes", "mistakes", "killed"),
    [
        ([prepared(2, "wrong"), None, None], ("wrong",), []),  # the others are not even asked
        ([prepared(2), prepared(2, "wrong here"), prepared(2)], ("wrong here",), []),
        ([Gone(), None, None], ("worker 0 ended while it prepared the new policy",), []),
        ([TimeoutError(), None, None], ("worker 0 did not prepare the new policy: no answer within 90 s",), [0]),
        ([prepared(2), prepared(3), prepared(2)], ("the workers did not read the same",), []),
    ],
)
async def test_one_that_does_not_take_it_and_none_does(outcomes: list[Any], mistakes: tuple[str, ...], killed: list[int]) -> None:
    children = [FakeChild(n, prepare=outcome) for n, outcome in enumerate(outcomes)]
    one = await started(children)
    reading = await one.take()
    assert len(reading.mistakes) == len(mistakes)
    assert all(found.startswith(said) for found, said in zip(reading.mistakes, mistakes, strict=True))
    assert (one.decided.kept, one.decided.is_stale) == (kept(1), True)
    assert [child.number for child in children if child.is_condemned] == killed
    assert all(child.names[-1] == "abandon" and "commit" not in child.names for child in children if not child.is_condemned)


async def test_one_that_dies_meanwhile_keeps_nobody_from_it_and_one_that_does_not_follow_is_killed() -> None:
    children = [FakeChild(0, prepare=prepared(2)), FakeChild(1, prepare=Gone()), FakeChild(2, prepare=prepared(2), commit=TimeoutError())]
    one = await started(children)
    assert (await one.take()).mistakes == ()
    assert one.decided.kept == kept(2)
    assert [child.is_condemned for child in children] == [False, False, True]


async def test_without_a_worker_nothing_is_taken() -> None:
    assert (await crew(FakeChild).take()).mistakes == ("no worker is there to try it",)
