"""What became of a recent exchange, and what of it is known only now: the routes that it might have taken."""

from __future__ import annotations

import asyncio
from typing import Any

from gateway.control import ControlError
from gateway.exchange import Exchange, Headers
from gateway.matching import NearMiss, passed_over
from gateway.server.front import Front
from gateway.telemetry.recent import LONGEST, Kept
from gateway.telemetry.told import concealed, told

MOST = 10
"""Exchanges of one id that are told, the newest."""


async def recall(front: Front, request_id: str) -> list[dict[str, Any]]:
    """The exchanges of this id, the newest first. Raises ControlError, with what is known, when it is not."""
    recent = front.recent
    if recent is None:
        raise ControlError(404, "no exchange is remembered; server.debug.recent of the policy is 0")
    found = recent.find(request_id)[:MOST]
    if not found:
        since = recent.oldest
        span = "none yet" if since is None else f"back to {front.clock() - since:.0f} s ago"
        raise ControlError(404, f"no exchange of this id is among the last {recent.size} that are remembered ({span})")
    return [await _told(front, kept) for kept in found]


async def _told(front: Front, kept: Kept) -> dict[str, Any]:
    """Nothing is said of other routes when the policy was replaced since, or the whole path is not known."""
    policy = front.app.policy
    is_replaced = kept.started < front.adopted
    near: tuple[NearMiss, ...] = ()
    if not is_replaced and kept.method and len(kept.path) < LONGEST:
        ex = Exchange(kept.method, kept.path, kept.path, "", Headers(), host=kept.host)
        ex.route = kept.route
        near = await asyncio.to_thread(passed_over, front.app.routes, ex)  # thousands of routes take a while
    exchange = concealed(told(kept, front.clock(), front.app.mask), policy.secrets(kept.route))
    return {**exchange, "replaced": is_replaced, "near": [{"route": miss.route.name, "reasons": list(miss.reasons)} for miss in near]}
