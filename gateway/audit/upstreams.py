"""Rules about upstreams and the times that are kept with them."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.audit.subject import Subject
from gateway.errors import Mistake

NODE = 5.0
"""Seconds after which Node closes an idle connection (server.keepAliveTimeout)."""
TRIES = 3
"""More than these are for more targets alone."""


def unused_upstream(subject: Subject) -> Iterator[Mistake]:
    """No route uses an upstream.

    Either it is left over, or a route goes somewhere else than was meant.

        upstreams:
          leads: {targets: "http://127.0.0.1:3000"}
          old: {targets: "http://127.0.0.1:3001"}
        routes:
          - {name: leads, match: /leads, upstream: leads}
    """
    used = {lane.settings.upstream for lane in subject.lanes}
    for name in subject.policy.upstreams:
        if name not in used:
            yield subject.at(("upstreams", name), "no route uses this upstream", "remove it, or name it in a route")


def mixed_paths(subject: Subject) -> Iterator[Mistake]:
    """Two upstreams share a target, and differ in `paths`.

    One service cannot be both. If it is loose, `/LOGIN` misses the strict route of `/login` with its limits, goes to a route of the other
    upstream, and reaches the same code. Write what the service is in both; Express and most others are loose.

        upstreams:
          leads: {targets: "http://127.0.0.1:3000"}
          login: {targets: "http://127.0.0.1:3000", paths: strict}
        routes:
          - {name: login, match: POST /login, upstream: login}
          - {name: leads, match: /**, upstream: leads}
    """
    loose = {target: name for name, one in subject.policy.upstreams.items() if one.paths == "loose" for target in one.targets}
    for name, upstream in subject.policy.upstreams.items():
        other = next((loose[target] for target in upstream.targets if target in loose), None)
        if upstream.paths == "strict" and other is not None:
            why = f"{other} has the same target and is loose: another spelling of a path gets round the routes of this one"
            yield subject.at(("upstreams", name, "paths"), why, "write the same in both")


def unverified_upstream(subject: Subject) -> Iterator[Mistake]:
    """The certificate of an https target is not verified.

    Whoever stands between the gateway and the service can read and change everything. Name the authority that signed it under `tls.ca`.

        upstreams:
          leads: {targets: "https://10.0.0.7", tls: {verify: false}}
        routes:
          - {name: leads, match: /leads, upstream: leads}
    """
    for name, upstream in subject.policy.upstreams.items():
        if not upstream.tls.verify and any(target.startswith("https:") for target in upstream.targets):
            why = "whoever stands between can read and change everything"
            yield subject.at(("upstreams", name, "tls", "verify"), why, "remove it, and name the authority under tls.ca")


def stale_connection(subject: Subject) -> Iterator[Mistake]:
    """Idle connections are kept for 5 s or more.

    Node closes its own after 5 s. A request sent in that moment meets a closed connection: a GET is sent again, a POST becomes a 502.
    Stay below what the service allows; if it allows more, accept the rule.

        upstreams:
          leads: {targets: "http://127.0.0.1:3000", keepalive: {idle: 60s}}
        routes:
          - {name: leads, match: /leads, upstream: leads}
    """
    for name, upstream in subject.policy.upstreams.items():
        if upstream.keepalive.max and upstream.keepalive.idle >= NODE:
            why = "a service that closes its connections sooner turns requests into 502s (Node does so after 5 s)"
            yield subject.at(("upstreams", name, "keepalive", "idle"), why, "write less than the service's own time, as in 4s")


def short_drain(subject: Subject) -> Iterator[Mistake]:
    """The gateway ends sooner than an upstream may take to answer.

    At a restart, requests that are under way are cut although the policy gives them time. Let `server.timeouts.drain` be as long as the
    longest `timeouts.head` of an upstream, or twice as long where it has `retry`: the last try may begin when that time is over.

        server:
          timeouts: {drain: 5s}
        upstreams:
          leads: {targets: "http://127.0.0.1:3000", timeouts: {head: 10s}}
        routes:
          - {name: leads, match: /leads, upstream: leads}
    """
    drain = subject.policy.server.timeouts.drain
    asked = {lane.settings.upstream: lane.upstream for lane in subject.lanes if lane.upstream}
    slowest, name = max(((one.timeouts.head * (1 if one.retry is None else 2), name) for name, one in asked.items()), default=(0.0, ""))
    if slowest > drain:
        retry = "" if asked[name].retry is None else ", with its retry"
        why = f"requests are cut after {drain:g} s at a restart, but {name} has {slowest:g} s to answer{retry}"
        yield subject.at(("server", "timeouts", "drain"), why, f"write at least {slowest:g}s")


def many_attempts(subject: Subject) -> Iterator[Mistake]:
    """A request is sent again and again to the same targets.

    What fails three times fails a fourth time, and its client waits longer to hear of it; every service in the chain that does so
    multiplies what the last one gets. Write no more than three, or than there are targets.

        upstreams:
          leads: {targets: "http://127.0.0.1:3000", retry: {attempts: 6}}
        routes:
          - {name: leads, match: /leads, upstream: leads}
    """
    for name, upstream in subject.policy.upstreams.items():
        most = max(TRIES, len(upstream.targets))
        if upstream.retry is not None and upstream.retry.attempts > most:
            targets = f"{len(upstream.targets)} target{'s' * (len(upstream.targets) > 1)}"
            why = f"a request is sent up to {upstream.retry.attempts} times to {targets}, and its client waits"
            yield subject.at(("upstreams", name, "retry", "attempts"), why, f"write {most} at most")


def idle_outlier(subject: Subject) -> Iterator[Mistake]:
    """An upstream of one target has `outlier`.

    The only target is always asked, so that the key does nothing. Name a second target, or let `max_in_flight` and `load_shedding` keep
    what a service in trouble gets within bounds.

        upstreams:
          leads: {targets: "http://127.0.0.1:3000", outlier: {consecutive_errors: 5}}
        routes:
          - {name: leads, match: /leads, upstream: leads}
    """
    for name, upstream in subject.policy.upstreams.items():
        if upstream.outlier is not None and len(upstream.targets) == 1:
            why = "it has one target, which is never left out: this does nothing"
            yield subject.at(("upstreams", name, "outlier"), why, "name a second target, or remove it")
