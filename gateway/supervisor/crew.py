"""The workers of one gateway together: each place among them kept filled, each policy taken by all of them or by none."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

from gateway.config.kept import Kept
from gateway.control import NONE, Arguments, ControlError
from gateway.server.reading import Reading, Terms
from gateway.supervisor.balance import Balance
from gateway.supervisor.channel import Gone
from gateway.supervisor.child import Child
from gateway.supervisor.judging import STARTING, ended
from gateway.supervisor.orders import Orders
from gateway.supervisor.voting import Lost, No, Vote, Yes, decide
from gateway.telemetry.levels import follow, levels

log = logging.getLogger("gateway")

PROMPT = 5.0
"""Seconds for what a worker does at once, if it does anything."""

Spawn = Callable[[int], Awaitable[Child]]


@dataclass(frozen=True, slots=True)
class Decided:
    """The policy in force, for workers that start later, whatever stands in its file by then."""

    kept: Kept
    terms: Terms
    is_stale: bool = False  # a newer one was refused


class Outdated(Exception):
    """Another policy was decided on while a worker started."""


class Crew:
    """`start` one more; `take` a newer policy. `read` is what came of reading the one in force."""

    def __init__(self, spawn: Spawn, orders: Orders, decided: Decided, read: Reading) -> None:
        self._spawn = spawn
        self._orders = orders
        self._balance = Balance(orders.balance, orders.slots)
        self._deciding = asyncio.Lock()
        self.decided = decided
        self.read = read
        self._numbers: set[int] = set()  # of all that have a process, or are about to
        self.deaths = 0  # of workers that nobody had told to end
        self.children: dict[int, Child] = {}  # by number; those that drain, too

    @property
    def serving(self) -> list[Child]:
        return [child for child in self.children.values() if child.state == "running" and not child.is_condemned]

    async def start(self, number: int | None = None) -> Child | None:
        """One more that serves by the policy in force; None, and why in the log, when it did not come to that.

        It has this number, for metrics are kept by it; the least that is free, when another has taken it, or none is asked for.
        """
        if number is None or number in self._numbers:
            number = next(n for n in count() if n not in self._numbers)
        self._numbers.add(number)
        try:
            child = await self._spawn(number)
        except OSError as error:
            self._numbers.discard(number)
            log.error("worker %d cannot be started: %s", number, error)
            return None
        self.children[number] = child
        try:
            await self._begin(child)
        except ControlError as error:
            for line in error.why.splitlines():
                log.error("worker %d: the policy cannot be started: %s", number, line)
        except TimeoutError:
            log.error("%s did not serve within %g s, and is killed", child, STARTING)
        except Gone:
            log.error("%s ended %s before it served", child, ended(await child.ended()))
        except Outdated:
            await self.bury(child)
            return await self.start(number)
        else:
            return child
        await self.bury(child)
        return None

    async def _begin(self, child: Child) -> None:
        """Raises ControlError, Gone, TimeoutError and Outdated."""
        decided = self.decided
        arguments = {
            "number": child.number,
            "orders": self._orders.values,
            "kept": decided.kept.values,
            "levels": levels(),
            "is_stale": decided.is_stale,
        }
        async with asyncio.timeout(STARTING):
            await child.call("start", arguments, deadline=STARTING)
            async with self._deciding:
                if self.decided is not decided:
                    raise Outdated
                await child.call("serve", deadline=PROMPT)
                child.state = "running"

    async def bury(self, child: Child) -> int:
        """End it, if it has not ended. Its exit code."""
        child.kill()
        code = await child.ended()
        child.release()
        if self.children.get(child.number) is child:
            del self.children[child.number]
            self._numbers.discard(child.number)
            self._balance.leave(child.number)
        return code

    async def tell(self, name: str, arguments: Arguments = NONE, *, deadline: float = PROMPT) -> list[Any]:
        """What those that serve answer, each within the deadline; who does not is left out. Raises a ControlError when all refuse."""
        answers = await self._ask(self.serving, name, arguments, deadline)
        found = [answer for answer in answers if not isinstance(answer, BaseException)]
        refusals = [answer for answer in answers if isinstance(answer, ControlError)]
        if refusals and not found:
            raise refusals[0]
        return found

    def reopen(self) -> None:
        """The files of the access log were renamed: each worker has them open."""
        for child in self.children.values():
            child.tell("reopen", NONE)

    async def ask(self, name: str, arguments: Arguments = NONE, *, deadline: float = PROMPT) -> Any:
        """What one of those that serve answers. Raises its ControlError, or one with 503 when there is none."""
        for child in self.serving:
            try:
                return await child.call(name, arguments, deadline=deadline)
            except (Gone, TimeoutError):
                continue
        raise ControlError(503, "no worker is there to ask")

    async def _ask(self, children: Sequence[Child], name: str, arguments: Arguments, deadline: float) -> list[Any]:
        return await asyncio.gather(*(one.call(name, arguments, deadline=deadline) for one in children), return_exceptions=True)

    async def take(self) -> Reading:
        """The newer policy in force in all workers, or in none. Never raises.

        One tries it first: it reads the files for all, so that all read the same; and a policy that ends the process that tries it ends
        one of them.
        """
        async with self._deciding:
            serving = self.serving
            if not serving:
                return Reading(("no worker is there to try it",), self.read.files)
            first, *others = serving
            answer = await self._prepare(first, None)
            votes = [_vote(first, answer)]
            if isinstance(votes[0], Yes):
                answers = await asyncio.gather(*(self._prepare(child, answer["kept"]) for child in others))
                votes += map(_vote, others, answers)
            reading = Reading.from_values(answer["reading"]) if isinstance(answer, dict) else self.read
            if mistakes := decide(votes):
                self.decided = replace(self.decided, is_stale=True)
                await self._finish("abandon")
                return Reading(mistakes, reading.files)
            self.read = reading
            self.decided = Decided(Kept.from_values(answer["kept"]), Terms.from_values(answer["terms"]))
            await self._finish("commit")
            follow(self.decided.terms.level)
            return self.read

    async def _prepare(self, child: Child, kept: Any) -> Any:
        try:
            return await child.call("prepare", {"kept": kept}, deadline=STARTING)
        except (Gone, TimeoutError, ControlError) as error:
            if not isinstance(error, Gone):
                child.kill()  # what it holds cannot be known
            return error

    async def _finish(self, name: str) -> None:
        """Nobody serves on who does not follow."""
        serving = self.serving
        for child, answer in zip(serving, await self._ask(serving, name, NONE, PROMPT), strict=True):
            if isinstance(answer, BaseException) and not isinstance(answer, Gone):
                log.error("%s does not %s the new policy, and is killed: %s", child, name, str(answer) or "no answer")
                child.kill()


def _vote(child: Child, answer: Any) -> Vote:
    if isinstance(answer, Gone):
        return Lost(f"{child} ended while it prepared the new policy")
    if isinstance(answer, BaseException):
        return Lost(f"{child} did not prepare the new policy: {str(answer) or f'no answer within {STARTING:g} s'}")
    mistakes = tuple(answer["reading"]["mistakes"])
    return No(mistakes) if mistakes else Yes(answer["digest"])
