"""WhatsApp messages, by Meta's Cloud API; or as .json files, until there is an account.

`{to: "+4915112345678", template: new_lead, data: {name: Ada}}` sends the template of that name that Meta has approved, filled in with
`data`; `{to: ..., data: {text: ...}}` sends a text, which Meta delivers within 24 hours of the other side's last message.
https://developers.facebook.com/docs/whatsapp/cloud-api/reference/messages
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from gateway.config.settings import At, Folder
from gateway.errors import CallFailed
from gateway.exchange import Reply
from gateway.jobs.contract import LATER, Dead, Job, Park, PayloadRefused, Retry
from gateway.jobs.handler import JobHandler, SenderSettings
from gateway.jobs.sending.answers import retry_after, shown
from gateway.jobs.sending.message import read
from gateway.jobs.sending.outbox import SCHEME, Outbox, outbox
from gateway.jobs.templates.folder import Templates
from gateway.plugin import Host

WITHIN = 15.0
"""Seconds for an answer."""
LARGEST = 64 << 10
"""Bytes of an answer."""
LONGEST = 4096
"""Characters of a text message, by the API's reference."""
COPY = ".whatsapp.txt"

TRY_AGAIN = frozenset({1, 2, 4, 368, 80007, 130429, 131000, 131016, 131048, 131056, 131057, 133004, 133016})
"""Codes of what passes: the service is down or busy, a limit is reached.
https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes
"""
OURS = frozenset({0, 3, 10, 33, 190, 131005, 131031, 131042, 131045, 133010, *range(200, 300)})
"""Codes of what an operator must mend: the token, its permissions, the account, the number that sends, the bill."""

_GAPS = re.compile(r"[\s()./-]+")
_NUMBER = re.compile(r"\+?[1-9][0-9]{6,14}")


class WhatsappSettings(SenderSettings):
    url: Annotated[str, AfterValidator(outbox)] = Field(
        description="The Cloud API with its version, as in `https://graph.facebook.com/v23.0`; or `outbox:FOLDER`, where messages become "
        ".json files and nobody gets them."
    )
    token: str = Field("", description="The access token of a system user with whatsapp_business_messaging.")
    phone_number_id: str = Field("", pattern=r"^[0-9]*$", description="The id, at Meta, of the number that sends; not the number itself.")
    language: str = Field("en", pattern=r"^[a-z]{2,3}(_[A-Z]{2})?$", description="The language that templates have been approved in.")
    parameters: Literal["named", "positional"] = Field(
        "named", description="How the templates at Meta name what is filled in: {{name}}, or {{1}}, in the order of `data`."
    )
    templates: Folder | None = Field(
        None,
        description="A folder with a copy of each template's text, NAME.whatsapp.txt: what it needs is checked, and is all that is sent.",
    )

    @field_validator("token", "phone_number_id", mode="before")
    @classmethod
    def _none_is_empty(cls, value: Any) -> Any:
        return "" if value is None else value

    @field_validator("templates", mode="before")
    @classmethod
    def _empty_is_none(cls, value: Any) -> Any:
        return value or None

    @model_validator(mode="after")
    def _can_be_reached(self) -> WhatsappSettings:
        if self.url.startswith(SCHEME):
            return self
        if not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", self.url):
            raise At(("url",), "expected the URL of the Cloud API; write https://graph.facebook.com/v23.0, or outbox:var/outbox")
        for name in ("token", "phone_number_id"):
            if not getattr(self, name):
                raise At((name,), f"{name} is missing: the Cloud API asks for it; write it, or url: outbox:var/outbox")
        return self


class Whatsapp(JobHandler[WhatsappSettings]):
    def __init__(self, settings: WhatsappSettings, host: Host) -> None:
        super().__init__(settings, host)
        self._templates = None if settings.templates is None else Templates(settings.templates)
        self._outbox = Outbox(settings.url) if settings.url.startswith(SCHEME) else None
        self._url = f"{settings.url.rstrip('/')}/{settings.phone_number_id}/messages"
        self._headers = {"Authorization": f"Bearer {settings.token}", "Content-Type": "application/json"}

    async def stop(self) -> None:
        if self._templates is not None:
            await self._templates.close()

    def check(self, payload: Any) -> None:
        to, template, data = read(payload)
        if to is not LATER:
            _number(to)
        if template:
            if lacking := [name for name in self._needs(template, data) if name not in data]:
                raise PayloadRefused(f"the template {template} needs {', '.join(lacking)}, which data does not have")
        elif not (text := data.get("text")) or (text is not LATER and (not isinstance(text, str) or len(text) > LONGEST)):
            raise PayloadRefused(f"a message has a template, or data: {{text: ...}} of at most {LONGEST} characters")

    async def run(self, job: Job) -> Any:
        """The message's id at Meta. What becomes of it after comes to the webhook, and into the job's notes."""
        try:
            self.check(job.payload)
            message = self._message(job)
        except PayloadRefused as error:
            raise Park(str(error)) from None
        body = json.dumps(message, ensure_ascii=False, indent=2 if self._outbox else None).encode()
        if self._outbox is not None:
            return {"file": await self.host.run_blocking(partial(self._outbox.put, job, ".json", body))}
        try:
            reply = await self.host.http("POST", self._url, headers=self._headers, body=body, within=WITHIN, limit=LARGEST)
        except CallFailed as error:
            raise Retry(shown(error.reason)) from None
        return {"message": _accepted(reply, self.host.time())}

    def _message(self, job: Job) -> dict[str, Any]:
        to, template, data = read(job.payload)
        common = {"messaging_product": "whatsapp", "recipient_type": "individual", "to": _number(to), "biz_opaque_callback_data": job.id}
        if not template:
            return {**common, "type": "text", "text": {"body": data["text"]}}
        names = self.settings.parameters == "named"
        filled = [
            {"type": "text", **({"parameter_name": name} if names else {}), "text": _text(name, data[name])}
            for name in self._needs(template, data)
        ]
        components = [{"type": "body", "parameters": filled}] if filled else []
        content = {"name": template, "language": {"code": self.settings.language}, "components": components}
        return {**common, "type": "template", "template": content}

    def _needs(self, template: str, data: Mapping[str, Any]) -> list[str]:
        """What is filled in, in its order. Raises PayloadRefused for a template of which there is no copy."""
        if self._templates is None:
            return list(data)
        copy = f"{template}{COPY}"
        if not self._templates.has(copy):
            raise PayloadRefused(f'there is no template "{template}" for WhatsApp: {copy} belongs into {self._templates.folder.name}')
        return self._templates.order(copy)


def _number(to: Any) -> str:
    """E.164, as the API takes it. Raises PayloadRefused."""
    number = _GAPS.sub("", to) if isinstance(to, str) and "\n" not in to and "\r" not in to else ""
    if not _NUMBER.fullmatch(number):
        raise PayloadRefused("to: expected a telephone number with its country, as in +4915112345678")
    return number


def _text(name: str, value: Any) -> str:
    """A parameter has no line ends, tabs, or five spaces in a row: the API refuses all of it. Raises PayloadRefused."""
    text = " ".join(str(value).split()) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""
    if not text:
        raise PayloadRefused(f"data: {name} is no text, or an empty one")
    return text


def _accepted(reply: Reply, now: float) -> str:
    """The id of the message. Raises Retry, Dead and Park: by the code in the body, where there is one, whatever the status."""
    answer = _answer(reply)
    if isinstance(failure := answer.get("error"), Mapping):
        _raise(failure, reply, now)
    if reply.status in (408, 425, 429) or reply.status >= 500:
        raise Retry(f"the API answers {reply.status}", retry_after(reply, now))
    if reply.status in (401, 403) or 300 <= reply.status < 400:
        raise Park(f"the API answers {reply.status}: token, or url, is not right")
    if reply.status >= 400:
        raise Dead(f"the API answers {reply.status}")
    try:
        id = answer["messages"][0]["id"]
    except (KeyError, IndexError, TypeError):
        id = None
    if not isinstance(id, str) or not id:
        raise Retry(f"the API answers {reply.status}, and not in its own form")
    return id


def _answer(reply: Reply) -> Mapping[str, Any]:
    try:
        answer = json.loads(b"" if reply.entity is None else reply.entity.data)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _code(code: Any) -> int | None:
    """As a number; proxies of other providers write it as a text."""
    if isinstance(code, str) and code.isascii() and code.isdecimal() and len(code) < 10:
        return int(code)
    return code if isinstance(code, int) else None


def _raise(failure: Mapping[str, Any], reply: Reply, now: float) -> None:
    code = _code(failure.get("code"))
    details = failure.get("error_data")
    why = details.get("details") if isinstance(details, Mapping) else None
    said = shown(str(why or failure.get("message") or ""))
    reason = f"the API refuses, by {reply.status}: {said}" if code is None else f"the API refuses: {code} {said}"
    if code in OURS:
        raise Park(reason)
    if code in TRY_AGAIN or reply.status == 429 or reply.status >= 500:
        raise Retry(reason, retry_after(reply, now))
    raise Dead(reason)
