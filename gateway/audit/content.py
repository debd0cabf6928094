"""Rules about plugins that look into bodies."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.audit.subject import Subject, settings
from gateway.errors import Mistake

BODILESS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods whose bodies mean nothing (RFC 9110, section 9.3.1), so that hardly any client sends one."""


def late_sanitize(subject: Subject) -> Iterator[Mistake]:
    """A sanitize stands below a validate.

    What it changes has been validated before, so that the service may get what no schema has allowed: a name that is empty once its
    markup is gone. Move it above.

        routes:
          - match: POST /leads
            upstream: leads
            plugins:
              - validate: {body: {type: object}}
              - sanitize
    """
    told: set[int] = set()
    for lane in subject.lanes:
        validate = next((n for n, entry in enumerate(lane.entries) if entry.name == "validate"), len(lane.entries))
        for entry in lane.entries[validate:]:
            if entry.name == "sanitize" and id(entry) not in told:
                told.add(id(entry))
                yield entry.position.mistake("it changes what validate, above, has found right", "move it above validate")


def bodiless_validate(subject: Subject) -> Iterator[Mistake]:
    """A validate asks for a body where requests have none.

    It refuses every GET on the route, for its body is required. Validate the `query` or `params` there, and bodies in a route for the
    methods that have them.

        routes:
          - match: GET /leads
            upstream: leads
            plugins:
              - validate: {body: {type: object}}
    """
    for lane in subject.lanes:
        methods = lane.settings.match.methods
        for entry in lane.named("validate"):
            asks = settings(entry).body is not None and settings(entry).required
            if asks and methods and BODILESS.issuperset(methods) and entry.mode == "enforce":
                hint = "write query or params, or required: false"
                yield entry.position.mistake(f"{' and '.join(methods)} requests have no body, and are all refused", hint)
