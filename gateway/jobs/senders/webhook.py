"""Webhooks, signed as Standard Webhooks: `{to: https://example.com/hooks, template: lead.created, data: {...}}`.

`template` is the event's type here.
https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import binascii
import hmac
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import urlsplit

import orjson
from pydantic import AfterValidator, BeforeValidator, Field

from gateway.config.settings import OneOrMany
from gateway.errors import CallFailed
from gateway.jobs.contract import LATER, Dead, Job, Park, PayloadRefused, Retry
from gateway.jobs.handler import JobHandler, SenderSettings
from gateway.jobs.sending.answers import retry_after, shown
from gateway.jobs.sending.message import plain_id, read
from gateway.plugin import Host

WITHIN = 15.0
"""Seconds for an answer: the specification's advice is 15 to 30."""
LARGEST = 64 << 10
PREFIX = "whsec_"
SHORTEST, LONGEST = 24, 64
"""Bytes of a secret, by the specification."""


def secret(value: str) -> bytes:
    """The key in `whsec_` and base64. Raises ValueError."""
    try:
        key = base64.b64decode(value.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not value.startswith(PREFIX) or not SHORTEST <= len(key) <= LONGEST:
        raise ValueError(f"this is no secret of Standard Webhooks; make one: echo {PREFIX}$(openssl rand -base64 32)")
    return key


def _secret(value: str) -> str:
    secret(value)
    return value


class WebhookSettings(SenderSettings):
    secret: Annotated[OneOrMany[Annotated[str, AfterValidator(_secret)]], BeforeValidator(lambda value: value or ())] = Field(
        (),
        description="What webhooks are signed with: `whsec_` and 24 to 64 bytes in base64. Several, while one takes another's place; "
        "without one, none is sent.",
    )
    hosts: OneOrMany[str] = Field((), description="The hosts that may be called; without them, any that a job names.")


class Webhook(JobHandler[WebhookSettings]):
    def __init__(self, settings: WebhookSettings, host: Host) -> None:
        super().__init__(settings, host)
        self._keys = tuple(secret(one) for one in settings.secret)
        self._hosts = frozenset(name.lower() for name in settings.hosts)

    def check(self, payload: Any) -> None:
        to, _, _ = read(payload)
        if not self._keys:
            raise PayloadRefused("jobs.senders.webhook has no secret, and what is not signed is not sent")
        if to is not LATER:
            self._refuse(to)

    async def run(self, job: Job) -> Any:
        try:
            self.check(job.payload)
        except PayloadRefused as error:
            raise Park(str(error)) from None
        url, event, data = read(job.payload)
        created = datetime.fromtimestamp(job.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        body = orjson.dumps({"type": event, "timestamp": created, "data": data})
        now = self.host.time()
        try:
            reply = await self.host.http("POST", url, headers=self._headers(job, int(now), body), body=body, within=WITHIN, limit=LARGEST)
        except CallFailed as error:
            raise Retry(shown(error.reason)) from None
        if 200 <= reply.status < 300:
            return {"status": reply.status}
        if reply.status == 410:
            raise Dead("410: nobody wants webhooks there any more")
        raise Retry(f"{urlsplit(url).hostname} answers {reply.status}", retry_after(reply, now))

    def _headers(self, job: Job, now: int, body: bytes) -> dict[str, str]:
        """The id stays the same over attempts, so that a receiver can tell them; the time is that of the attempt."""
        name = plain_id(job)
        signed = b"%b.%d.%b" % (name.encode(), now, body)
        signatures = [f"v1,{base64.b64encode(hmac.digest(key, signed, 'sha256')).decode()}" for key in self._keys]
        return {
            "Content-Type": "application/json",
            "Idempotency-Key": name,
            "webhook-id": name,
            "webhook-timestamp": str(now),
            "webhook-signature": " ".join(signatures),
        }

    def _refuse(self, to: Any) -> None:
        """Raises PayloadRefused."""
        try:
            url = urlsplit(to if isinstance(to, str) and to.isprintable() and " " not in to else "")
            is_url = url.scheme in ("http", "https") and bool(url.hostname) and url.username is None and url.port != 0
        except ValueError:
            is_url = False
        if not is_url:
            raise PayloadRefused("to: expected the URL of who listens, as in https://example.com/hooks")
        if self._hosts and url.hostname not in self._hosts:
            raise PayloadRefused(f"to: {url.hostname} is none of the hosts of jobs.senders.webhook")
