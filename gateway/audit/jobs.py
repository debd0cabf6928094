"""Rules about jobs: messages that nobody gets, and those that go anywhere."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.audit.subject import Subject, settings
from gateway.config.policy import EntrySettings
from gateway.errors import Mistake

WEBHOOK = "webhook"
PRODUCTION = ("production", "prod", "live")


def unsent_message(subject: Subject) -> Iterator[Mistake]:
    """A sender puts its messages into an outbox, and the environment is production.

    They become files, which nobody gets and nobody removes. Set the variable that the provider's URL comes from.

        environment: production
        jobs:
          senders:
            whatsapp: {url: "outbox:var/outbox"}
        routes:
          - match: POST /leads
            plugins:
              - enqueue: {job: whatsapp, template: new_lead, to: "+4915112345678"}
              - respond: 201
    """
    if subject.policy.environment.lower() in PRODUCTION:
        for sender in subject.policy.senders:
            if str(getattr(sender.settings, "url", "")).startswith("outbox:"):
                path = ("jobs", "senders", sender.name)
                yield subject.at(path, f"in production, messages of {sender.name} go into files", "write the provider's URL")


def open_webhook(subject: Subject) -> Iterator[Mistake]:
    """Whom a webhook calls comes from requests, and any host may be called.

    So also those that only the gateway can reach: a service of yours, or the address that tells a cloud machine its secrets. Name the
    `hosts` that may be called.

        jobs:
          senders:
            webhook: {secret: "whsec_${UNSET:-bm90IGEgc2VjcmV0IGF0IGFsbCBidXQgbG9uZw==}"}
        routes:
          - match: POST /subscriptions
            plugins:
              - enqueue: {job: webhook, template: subscribed, to: "{{ request.body.url }}"}
              - respond: 201
    """
    if any(sender.name == WEBHOOK and not getattr(sender.settings, "hosts", ()) for sender in subject.policy.senders):
        for entry, path in subject.entries():
            if _calls_what_requests_name(entry):
                yield subject.at(
                    path, "requests say whom the webhook calls, and it may call any host", "write hosts: [...] in jobs.senders.webhook"
                )


def _calls_what_requests_name(entry: EntrySettings) -> bool:
    if entry.name == "jobs_api":
        return not settings(entry).types or WEBHOOK in settings(entry).types
    return entry.name == "enqueue" and settings(entry).job == WEBHOOK and any("{{" in str(to) for to in settings(entry).to)
