"""What is allowed in a policy, and most likely not meant: every rule of `gateway check`, and what they find."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from gateway.app import App
from gateway.audit import caching, content, exposure, identity, idle, jobs, limits, order, protection, routes, upstreams
from gateway.audit.finding import Finding
from gateway.audit.subject import Subject
from gateway.config.position import Path
from gateway.config.shape import nearest
from gateway.errors import Mistake

Rule = Callable[[Subject], Iterator[Mistake]]
"""One function for each rule. Its name is the rule's, its docstring the rule's entry in docs/check.md: what it finds; why that
matters and what to write instead; an example that it warns of."""

RULES: tuple[Rule, ...] = (
    routes.unreachable_route,
    routes.unreachable_plugin,
    routes.evadable_condition,
    routes.evadable_method,
    order.unseen_replies,
    order.late_body_limit,
    order.left_out_everywhere,
    order.unguarded_route,
    order.observed_plugin,
    content.late_sanitize,
    content.bodiless_validate,
    limits.no_rate_limit,
    limits.rotatable_limit,
    limits.unshared_limit,
    limits.limited_health,
    limits.misplaced_health,
    limits.large_body,
    identity.unknown_consumer,
    identity.late_authenticate,
    identity.weak_secret,
    identity.idle_method,
    identity.unkept_keys,
    identity.spoofable_identity,
    protection.endless_redirect,
    protection.replayed_unchanged,
    protection.unguarded_cookie,
    jobs.unsent_message,
    jobs.open_webhook,
    caching.idle_cache,
    caching.purge_of_nothing,
    idle.idle_plugin,
    idle.foreign_reference,
    upstreams.unused_upstream,
    upstreams.mixed_paths,
    upstreams.unverified_upstream,
    upstreams.stale_connection,
    upstreams.short_drain,
    upstreams.many_attempts,
    upstreams.idle_outlier,
    exposure.trusted_by_all,
    exposure.public_observe,
    exposure.public_admin,
    exposure.any_origin,
    exposure.no_security_headers,
    exposure.secret_in_clear,
)

ACCEPTED = "unused-acceptance"
"""What is said of a rule that is accepted where it finds nothing, or that there is not."""


def name(rule: Rule) -> str:
    return rule.__name__.replace("_", "-")


def audit(app: App) -> list[Finding]:
    """Every warning that is not accepted, in the order of the file."""
    subject = Subject(app)
    found = [Finding(name(rule), mistake) for rule in RULES for mistake in rule(subject)]
    left = list(found)
    for path, accepted in _accepted(subject):
        around = subject.at(path, "")
        for n, rule in enumerate(accepted):
            of_rule = [finding for finding in found if finding.rule == rule and _is_within(finding.mistake, around)]
            left = [finding for finding in left if finding not in of_rule]
            if not of_rule:
                left.append(Finding(ACCEPTED, _unused(subject, (*path, "accept", n), rule)))
    return sorted(left, key=lambda finding: (finding.mistake.file, finding.mistake.line, finding.mistake.column))


def _accepted(subject: Subject) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """Where rules are accepted, and which: for one route, and for the whole policy."""
    yield from ((lane.path, lane.settings.accept) for lane in subject.lanes)
    yield (), subject.policy.accept


def _is_within(mistake: Mistake, around: Mistake) -> bool:
    """Each file of a policy counts its own routes."""
    inside = mistake.path == around.path or mistake.path.startswith((f"{around.path}.", f"{around.path}["))
    return not around.path or (inside and mistake.file == around.file)


def _unused(subject: Subject, path: Path, rule: str) -> Mistake:
    known = [name(one) for one in RULES]
    if rule in known:
        return subject.at(path, f"{rule} finds nothing here", "remove it")
    return subject.at(path, f'no rule is called "{rule}"', nearest(rule, known))
