"""Rules about jobs: messages that nobody gets."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.audit.subject import Subject
from gateway.errors import Mistake

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
