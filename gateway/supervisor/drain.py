"""The ordered end of all workers: readiness says no first, then no more is accepted, and what has begun may end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence

from gateway.server.listener import Listener
from gateway.supervisor.channel import Gone
from gateway.supervisor.child import Child
from gateway.supervisor.crew import PROMPT, Crew
from gateway.supervisor.judging import ended

log = logging.getLogger("gateway")

GRACE = 5.0
"""Seconds after the drain for a worker to stop its plugins and write its lines."""


async def drain(crew: Crew, listeners: Sequence[Listener]) -> bool:
    """Whether all ended by themselves, and well. Nobody starts workers any more."""
    terms = crew.decided.terms
    for child in [child for child in crew.children.values() if child.state == "starting"]:
        await crew.bury(child)
    if crew.serving:
        await crew.tell("unready")
        await asyncio.sleep(terms.lame_duck)
    there = sorted((child for child in crew.children.values() if not child.is_condemned), key=lambda child: -child.heard)
    await asyncio.gather(*(_begin(child, terms.drain, others_go_on=True) for child in there[1:]))
    for listener in listeners:
        listener.leave()
    for child in there[:1]:  # the sockets end with it: it takes what waits there
        await _begin(child, terms.drain, others_go_on=False)
    left = {child: asyncio.ensure_future(child.ended()) for child in crew.children.values()}
    if left:
        await asyncio.wait(left.values(), timeout=terms.drain + GRACE)
    codes = []
    for child, end in left.items():
        if not end.done():
            log.error("%s did not end within %g s, and is killed", child, terms.drain + GRACE)
        codes.append(await crew.bury(child))
        if codes[-1] != 0:
            log.error("%s ended %s", child, ended(codes[-1]))
    return not any(codes)


async def _begin(child: Child, patience: float, *, others_go_on: bool) -> None:
    """It hears of this at once, or its loop hangs: then it ends by the watchman's hand, or at the end of all patience."""
    with contextlib.suppress(Gone, TimeoutError):
        await child.call("drain", {"others_go_on": others_go_on, "patience": patience}, deadline=PROMPT)
