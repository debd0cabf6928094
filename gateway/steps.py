"""What each plugin of a pipeline says that it would decide about a request. Nothing is moved."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gateway.config.interpolation import Secret, conceal
from gateway.errors import GatewayError
from gateway.exchange import Exchange
from gateway.pipeline import Pipeline
from gateway.plugin import Answers, Mode


@dataclass(frozen=True, slots=True)
class Step:
    """One plugin's part. `says` is None for one that has no `explain`, or that is not reached."""

    name: str
    mode: Mode
    says: str | None
    is_reached: bool = True
    ends: bool = False  # it answers, and nothing below is reached


def steps(pipeline: Pipeline, ex: Exchange, secrets: tuple[Secret, ...]) -> Iterator[Step]:
    """Down to the one that answers, and the rest as not reached. `ex` is no traffic: it is changed on its way."""
    has_ended = False
    for entry in pipeline.entries:
        if has_ended:
            yield Step(entry.name, entry.mode, None, is_reached=False)
            continue
        says: str | None
        try:
            says = entry.plugin.explain(ex)
        except GatewayError as error:
            says = Answers(refuses(error))
        except Exception as error:  # of an operator's own plugin; the rest of the explanation is worth having
            says = f"cannot explain itself: {type(error).__name__}: {error}"
        ends = isinstance(says, Answers)
        has_ended = ends and entry.mode == "enforce"
        told = None if says is None else conceal(says, secrets)
        yield Step(entry.name, entry.mode, f"would have ended it: {told}" if ends and not has_ended else told, ends=has_ended)


def refuses(error: GatewayError) -> str:
    return f"refuses: {error.status} {error.title}" + (f". {error.detail}" if error.detail else "")
