"""What becomes of WhatsApp messages after Meta has taken them: it calls a webhook, and what it tells is kept with the job.

GET answers Meta's question whether this is the right place, POST takes what it tells, with its signature checked.
https://developers.facebook.com/docs/graph-api/webhooks/getting-started
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs

from gateway.plugin import Answers, BadRequest, Exchange, Field, Forbidden, Host, JobsAway, Plugin, Reply, Settings, Unavailable, errors

SIGNATURE = "X-Hub-Signature-256"
LARGEST = 3 << 20
"""Bytes: Meta's own bound for one call."""
STATES = frozenset({"sent", "delivered", "read", "failed"})
LONGEST = 300
"""Characters of a reason that are kept."""


class WhatsappStatusSettings(Settings):
    app_secret: str = Field(min_length=1, description="The app's secret at Meta, which signs what is told.")
    verify_token: str = Field(min_length=1, description="Any text of yours: the one that the webhook was set up with at Meta.")


class WhatsappStatus(Plugin[WhatsappStatusSettings]):
    needs_body = True
    unobservable = "it is what its route answers"

    def __init__(self, settings: WhatsappStatusSettings, host: Host) -> None:
        super().__init__(settings, host)
        self._secret = settings.app_secret.encode()
        self._token = settings.verify_token.encode()
        self._count = host.metrics.counter("whatsapp.statuses", "Statuses that Meta told of messages.", ("status",))

    async def on_request(self, ex: Exchange) -> Reply:
        if ex.method == "GET":
            return self._verified(ex)
        if ex.method != "POST":
            raise errors.MethodNotAllowed(("GET", "POST"))
        body = await ex.body(LARGEST)
        wanted = f"sha256={hmac.digest(self._secret, body, 'sha256').hex()}"
        given = ex.headers.getall(SIGNATURE, ())
        if len(given) != 1 or not hmac.compare_digest(given[0].encode(errors="replace"), wanted.encode()):
            raise Forbidden("The signature is not right.", reason=f"{SIGNATURE} does not fit")
        try:
            for status in _statuses(ex.json_at_hand()):
                await self._keep(status)
        except JobsAway as error:
            raise Unavailable("Not kept; tell it again later.", reason=str(error)) from None
        return Reply.text(200, "")

    def explain(self, ex: Exchange) -> Answers:
        return Answers("would answer Meta's challenge" if ex.method == "GET" else "would keep what Meta tells of messages")

    def _verified(self, ex: Exchange) -> Reply:
        asked = parse_qs(ex.query)
        token, challenge = asked.get("hub.verify_token", [""])[0], asked.get("hub.challenge", [""])[0]
        if asked.get("hub.mode") != ["subscribe"] or not hmac.compare_digest(token.encode(errors="replace"), self._token):
            raise Forbidden("The token is not right.", reason="hub.verify_token does not fit")
        if not challenge.isalnum():
            raise BadRequest("hub.challenge is missing.")
        return Reply.text(200, challenge)

    async def _keep(self, status: Mapping[str, Any]) -> None:
        """Each state under a name of its own: they come in any order, and some twice."""
        job, state = status.get("biz_opaque_callback_data"), status.get("status")
        if not isinstance(job, str) or state not in STATES:
            return
        self._count.bind(status=state).add()
        told: dict[str, Any] = {"at": str(status.get("timestamp", ""))[:20]}
        if state == "failed":
            told |= _failure(status.get("errors"))
        await self.host.jobs.note(job, {state: told})


def _statuses(content: Any) -> Iterator[Mapping[str, Any]]:
    """Whatever is in its place; what is something else is none of ours, and no reason to be told it again."""
    for entry in _listed(content, "entry"):
        for change in _listed(entry, "changes"):
            value = change.get("value")
            yield from _listed(value, "statuses")


def _listed(value: Any, name: str) -> list[Mapping[str, Any]]:
    found = value.get(name) if isinstance(value, dict) else None
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _failure(told: Any) -> dict[str, Any]:
    first = told[0] if isinstance(told, list) and told and isinstance(told[0], dict) else {}
    return {"code": first.get("code") if isinstance(first.get("code"), int) else None, "why": str(first.get("title", ""))[:LONGEST]}
