"""Rules about the order of plugins, and about those that are left out."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.audit.answers import REFUSING, always_answers, may_refuse
from gateway.audit.subject import Subject
from gateway.errors import Mistake

LOST = {
    "access_log": "are not logged",
    "cors": "have no CORS headers, so scripts cannot read them",
    "request_id": "bear no request id",
    "security_headers": "have no security headers",
}
"""Plugins that should see every reply, and what becomes of one they do not see."""


def unseen_replies(subject: Subject) -> Iterator[Mistake]:
    """A plugin that should see every reply stands below one that answers by itself.

    A reply passes only the plugins above the one that made it. Below a `rate_limit`, `cors` never sees the 429: the browser hides it from
    the script, Retry-After included. Move request_id, access_log, security_headers and cors to the top of the common list.

        plugins:
          - rate_limit: {limit: 10, window: 1m}
          - security_headers
    """
    told: set[int] = set()
    for lane in subject.lanes:
        for n, entry in enumerate(lane.entries):
            above = [one for one in lane.entries[:n] if may_refuse(one) and not always_answers(one)]
            if entry.name in LOST and above and id(entry) not in told:
                told.add(id(entry))
                replies = f"its {REFUSING[above[0].name]} replies" if above[0].name in REFUSING else "its replies"
                why = f"{above[0].name} stands above: {replies} {LOST[entry.name]}"
                yield entry.position.mistake(why, f"move {entry.name} above {above[0].name}")


def late_body_limit(subject: Subject) -> Iterator[Mistake]:
    """A body_limit stands below a plugin that reads the body.

    By then the body has been read, up to `server.limits.body`: a smaller limit comes too late, and a larger one never gets to speak. Move
    it above.
    """
    told: set[int] = set()
    for lane in subject.lanes:
        for n, entry in enumerate(lane.entries):
            reader = next((one.name for one in lane.entries[:n] if one.needs_body), None)
            if entry.name == "body_limit" and reader is not None and id(entry) not in told:
                told.add(id(entry))
                yield entry.position.mistake(f"{reader} stands above and has read the body before", f"move it above {reader}")


def left_out_everywhere(subject: Subject) -> Iterator[Mistake]:
    """Every route leaves a common plugin out.

    Only requests that no route takes, the 404s, still pass it: most likely that is not what it was written for. Remove it, or the
    `without` that should not be there.

        plugins:
          - rate_limit: {limit: 10, window: 1m}
        routes:
          - {name: leads, match: /leads, upstream: leads, without: rate_limit}
    """
    for entry in subject.common:
        if all(entry.name in lane.settings.without for lane in subject.lanes):
            yield entry.position.mistake("every route leaves this plugin out", "remove it, or one of the `without`")


def unguarded_route(subject: Subject) -> Iterator[Mistake]:
    """A route to an upstream leaves out a common plugin that protects it.

    `without` is for what the gateway answers itself. A service reached without `rate_limit`, `body_limit` or `security_headers` should be
    meant to be: an entry of the route's own, with other settings, says so better.

        plugins: [security_headers]
        routes:
          - {name: pages, match: /pages/**, upstream: leads, without: security_headers}
          - {name: leads, match: /leads, upstream: leads}
    """
    for lane in subject.proxied:
        for name in lane.settings.without:
            is_common = any(entry.name == name for entry in subject.common)
            if name in ("rate_limit", "body_limit", "security_headers") and is_common and not lane.named(name):
                why = f"{lane.settings.upstream} is reached here without {name}"
                yield subject.at((*lane.path, "without"), why, f"write a {name} of the route's own")


def observed_plugin(subject: Subject) -> Iterator[Mistake]:
    """A plugin still only observes.

    `mode: observe` is for finding out what a plugin would do; until then it protects nothing. When the log says what you want to see,
    remove the line. While it is meant, accept the rule.

        plugins:
          - rate_limit: {limit: 10, window: 1m}
            mode: observe
    """
    for entry, _ in subject.entries():
        if entry.mode == "observe":
            yield entry.position.mistake("only observes: it refuses nothing", "remove mode: observe once its log says what it should")
