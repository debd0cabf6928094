"""One canonical target: what routing, plugins and the upstream all see, so that none of them can be talked round."""

from __future__ import annotations

from typing import NamedTuple


class Target(NamedTuple):
    """A request target in canonical form."""

    target: str  # path and query as they go upstream
    path: str  # decoded once
    query: str  # as sent, without the "?"


def canonical(target: str) -> Target:
    """The canonical form of an origin-form target. Raises BadRequest when two readers could understand it differently."""
    raise NotImplementedError
