"""One request explained: its route, what each plugin would decide, and what the upstream would be sent. Nothing is moved."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.app import App
from gateway.config.interpolation import Secret, conceal
from gateway.config.policy import Policy
from gateway.errors import GatewayError, NotFound
from gateway.exchange import Exchange, Headers
from gateway.matching import Choice, choose
from gateway.pipeline import Pipeline
from gateway.rehearsal.client import OneRequest
from gateway.rehearsal.clock import Clock
from gateway.rehearsal.request import Request
from gateway.rehearsal.stage import BEGIN, RehearsedApp
from gateway.router import Route
from gateway.running import Running
from gateway.server.front import Front
from gateway.steps import Step, refuses, steps
from gateway.telemetry.metrics.families import Metrics
from gateway.upstream import Upstream
from gateway.upstream.head import request_head

Secrets = tuple[Secret, ...]


@dataclass(frozen=True, slots=True)
class Onward:
    """What the upstream would be sent."""

    upstream: str
    targets: tuple[str, ...]  # one of them, as `balance` says
    line: str  # POST /api/v1/login
    headers: Headers
    out: Mapping[str, str]  # targets that are left out now, and why


@dataclass(frozen=True, slots=True)
class Explanation:
    request: Request
    client: str  # the address the policy sees, after trusted_proxies
    refusal: GatewayError | None  # the front's own, of a request that never reaches a route or a plugin
    target: str  # canonical; "" when refused, or not to be understood
    choice: Choice
    failure: GatewayError | None  # 404 or 405, when no route takes it; 400 of a target that cannot be understood
    steps: tuple[Step, ...]
    onward: Onward | None


class _Reading(App):
    """Has the policy of another App, so that a request is read as its traffic is; no plugin is reached."""

    def __init__(self, app: App) -> None:
        self.policy, self.routes, self.clock = app.policy, app.routes, app.clock
        self.running = Running()
        self.metrics = Metrics()  # what is only read does not count
        self.exchange: Exchange | None = None
        self.failure: Exception | None = None  # of the exchange, before anything was done with it

    def find(self, ex: Exchange) -> Pipeline:
        self.exchange, self.failure = ex, ex.failure
        return Pipeline(())


class _Reader(OneRequest):
    """A client's connection, of which a refusal is told to whoever asks and not to the log."""

    refusal: GatewayError | None = None

    def refuse(self, error: GatewayError) -> None:
        self.refusal = error
        self.transport.close()


async def explain(policy: Policy, request: Request) -> Explanation:
    """By the policy alone: nothing is started, and no request has been counted yet. Raises ConfigError."""
    return await explain_by(RehearsedApp(policy, lambda line: None, Clock(BEGIN)), request)


async def explain_by(app: App, request: Request) -> Explanation:
    """By an App as it is, also by one that runs: no upstream is asked, and no plugin's on_request runs but where its `explain` does so."""
    reading = _Reading(app)
    front = Front(reading, ())
    front.forwarding.has_warned = True  # of a client that there is not
    reader = _Reader(front, request)
    await reader.exchange()
    ex = reading.exchange
    if ex is None:
        return Explanation(request, request.client, reader.refusal, "", Choice(None, ()), None, (), None)
    if ex.stream is not None:
        ex.body_at_hand = ex.stream.take()
    client, target = ex.client, ex.target
    ex.failure = reading.failure  # the reading ended as a 404 of its own
    is_routed = ex.failure is None
    choice = await asyncio.to_thread(choose, app.routes, ex) if is_routed else Choice(None, ())  # thousands of routes take a while
    pipeline = App.find(app, ex)
    failure = ex.failure if isinstance(ex.failure, GatewayError) else None
    secrets = app.policy.secrets(ex.route)
    told = await steps(pipeline, ex, secrets)
    onward = None
    if not any(step.ends for step in told):
        name = choice.winner.upstream if choice.winner is not None else ""
        try:
            onward = _onward(app.upstreams.get(name), ex, secrets)
        except GatewayError as error:
            told.append(Step(name or ("no route" if choice.winner is None else "no upstream"), "enforce", refuses(error), ends=True))
    return Explanation(request, client, None, target, choice, failure, tuple(told), onward)


def _onward(upstream: Upstream | None, ex: Exchange, secrets: Secrets) -> Onward:
    """Raises what ends the request at the bottom: no route, nothing to answer, a body too large that no plugin asked about."""
    if upstream is None:
        raise ex.failure or NotFound("Nothing answers here.")
    ex.check_length()
    headers = ex.headers.copy()
    request_head(ex, headers, upstream.targets[0].authority, ex.body_at_hand, False)
    shown = Headers([(name, conceal(value, secrets)) for name, value in headers.items()])
    return Onward(
        upstream.name, tuple(target.url for target in upstream.targets), conceal(f"{ex.method} {ex.target}", secrets), shown, upstream.out
    )


def plain(policy: Policy, it: Explanation) -> dict[str, Any]:
    """The same in JSON values, with the place of each route in the policy."""
    winner, onward = it.choice.winner, it.onward
    return {
        "request": {"method": it.request.method, "url": it.request.url, "target": it.request.target, "client": it.client},
        "refusal": None if it.refusal is None else {**_failed(it.refusal), "reason": it.refusal.reason},
        "target": it.target or None,
        "route": None if winner is None else winner.name,
        "at": None if winner is None else _at(policy, winner),
        "failure": None if it.failure is None else _failed(it.failure),
        "near": [{"route": miss.route.name, "at": _at(policy, miss.route), "reasons": list(miss.reasons)} for miss in it.choice.near],
        "plugins": [
            {"name": step.name, "mode": step.mode, "says": step.says, "reached": step.is_reached, "ends": step.ends} for step in it.steps
        ],
        "upstream": None
        if onward is None
        else {
            "name": onward.upstream,
            "targets": list(onward.targets),
            **({"out": dict(onward.out)} if onward.out else {}),
            "line": onward.line,
            "headers": list(onward.headers.items()),
        },
    }


def _failed(error: GatewayError) -> dict[str, Any]:
    return {"status": error.status, "type": error.type, "title": error.title, "detail": error.detail}


def _at(policy: Policy, route: Route) -> dict[str, Any]:
    settings = next(one for one in policy.routes if one.name == route.name)
    return {"match": str(settings.match), "file": settings.position.file, "line": settings.position.line}
