"""What each plugin of a pipeline says that it would decide about a request. Nothing is moved."""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine
from dataclasses import dataclass

from gateway.config.interpolation import Secret, conceal
from gateway.errors import GatewayError
from gateway.exchange import Exchange
from gateway.observing import kept
from gateway.pipeline import Entry, Pipeline
from gateway.plugin import Answers, Mode


@dataclass(frozen=True, slots=True)
class Step:
    """One plugin's part. `says` is None for one that has no `explain`, or that is not reached."""

    name: str
    mode: Mode
    says: str | None
    is_reached: bool = True
    ends: bool = False  # it answers, and nothing below is reached


async def steps(pipeline: Pipeline, ex: Exchange, secrets: tuple[Secret, ...]) -> list[Step]:
    """Down to the one that answers, and the rest as not reached. `ex` is no traffic: it is changed on its way."""
    found: list[Step] = []
    for entry in pipeline.entries:
        if any(step.ends for step in found):
            found.append(Step(entry.name, entry.mode, None, is_reached=False))
            continue
        with kept(ex, entry.mode):
            says = _said(entry, ex)
            if isinstance(says, Awaitable):
                try:
                    says = await says
                except GatewayError as error:
                    says = Answers(refuses(error))
                except Exception as error:
                    says = _failed(error)
        found.append(_step(entry, says, secrets))
    return found


def steps_at_hand(pipeline: Pipeline, ex: Exchange, secrets: tuple[Secret, ...]) -> list[Step]:
    """The same without waiting for anything: what a plugin would have to ask the store for stays unsaid."""
    found: list[Step] = []
    for entry in pipeline.entries:
        if any(step.ends for step in found):
            found.append(Step(entry.name, entry.mode, None, is_reached=False))
            continue
        with kept(ex, entry.mode):
            says = _said(entry, ex)
        if isinstance(says, Awaitable):
            if isinstance(says, Coroutine):
                says.close()
            says = None
        found.append(_step(entry, says, secrets))
    return found


def _said(entry: Entry, ex: Exchange) -> str | Awaitable[str | None] | None:
    try:
        return entry.plugin.explain(ex)
    except GatewayError as error:
        return Answers(refuses(error))
    except Exception as error:
        return _failed(error)


def _failed(error: Exception) -> str:
    """Of an operator's own plugin; the rest of the explanation is worth having."""
    return f"cannot explain itself: {type(error).__name__}: {error}"


def _step(entry: Entry, says: str | None, secrets: tuple[Secret, ...]) -> Step:
    answers = isinstance(says, Answers)
    ends = answers and entry.mode == "enforce"
    told = None if says is None else conceal(says, secrets)
    return Step(entry.name, entry.mode, f"would have ended it: {told}" if answers and not ends else told, ends=ends)


def refuses(error: GatewayError) -> str:
    return f"refuses: {error.status} {error.title}" + (f". {error.detail}" if error.detail else "")
