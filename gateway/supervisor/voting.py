"""Whether a newer policy is taken: by all workers, or by none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Yes:
    """It is ready, and what it read has this digest."""

    digest: str


@dataclass(frozen=True, slots=True)
class No:
    mistakes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Lost:
    """It has ended, or was ended, before it could say. Whoever takes its place is told what was decided."""

    why: str


Vote = Yes | No | Lost


def decide(votes: Sequence[Vote]) -> tuple[str, ...]:
    """Why not, each reason once; nothing: all who could say so are ready, with one and the same policy. The first to vote read it."""
    mistakes = [mistake for vote in votes if isinstance(vote, No) for mistake in vote.mistakes]
    digests = {vote.digest for vote in votes if isinstance(vote, Yes)}
    if mistakes:
        return tuple(dict.fromkeys(mistakes))
    if len(digests) > 1:
        return ("the workers did not read the same: a file that the policy names is changing; reload again",)
    if isinstance(votes[0], Lost) or not digests:
        return tuple(dict.fromkeys(vote.why for vote in votes if isinstance(vote, Lost)))
    return ()
