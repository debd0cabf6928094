"""Mail, by a server of its operator's choice; or as .eml files, until there is one.

`{to: ada@example.com, template: welcome, data: {name: Ada}}` is made of welcome.subject.txt, welcome.txt and welcome.html in the folder of
templates; of the last two one may be missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from gateway.config.settings import At, File, Folder
from gateway.jobs.contract import LATER, Dead, Job, Park, PayloadRefused, Retry
from gateway.jobs.handler import JobHandler, SenderSettings
from gateway.jobs.sending.mailbox import mailbox, recipient
from gateway.jobs.sending.message import plain_id, read
from gateway.jobs.sending.outbox import SCHEME, Outbox, outbox
from gateway.jobs.sending.server import Server
from gateway.jobs.templates.folder import Templates
from gateway.jobs.templates.renderer import CannotRender
from gateway.plugin import Host

if TYPE_CHECKING:
    from gateway.jobs.sending.smtp import Connections, Refused

SUBJECT, TEXT, HTML = ".subject.txt", ".txt", ".html"
MOST = 50
"""Recipients of one mail, who all see one another."""
KEPT = 8
"""Connections to the mail server that wait for the next mail."""


def _mailbox(value: str) -> str:
    mailbox(value)
    return value


class EmailSettings(SenderSettings):
    url: Annotated[str, AfterValidator(outbox)] = Field(
        description="The mail server: `smtp://user:password@host:587` (STARTTLS), `smtps://user:password@host:465` (TLS); or "
        "`outbox:FOLDER`, where mails become .eml files and nobody gets them."
    )
    sender: Annotated[str, AfterValidator(_mailbox)] = Field(alias="from", description="Who writes: `Leads <no-reply@example.com>`.")
    templates: Folder = Field(description="The folder of templates: for each NAME.subject.txt, and NAME.txt, NAME.html or both.")
    reply_to: Annotated[str, AfterValidator(_mailbox)] | None = Field(None, description="Where answers go; without it, to `from`.")
    starttls: Literal["required", "if_offered", "never"] = Field(
        "required", description="Whether an smtp:// connection must become TLS; `if_offered` lets an attacker in between read all."
    )
    ca: File | None = Field(None, description="Certificates of authorities, a PEM file, in place of the system's.")
    username: str | None = Field(None, description="The name to log in with, where it does not stand in the URL.")
    password: str | None = Field(None, description="Its password, where it does not stand in the URL.")

    @field_validator("reply_to", "ca", "username", "password", mode="before")
    @classmethod
    def _empty_is_none(cls, value: Any) -> Any:
        return value or None

    @model_validator(mode="after")
    def _can_be_reached(self) -> EmailSettings:
        if not self.url.startswith(SCHEME):
            try:
                self.server()
            except ValueError as error:
                raise At(("url",), f"{error}, or outbox:var/outbox") from None
        return self

    def server(self) -> Server:
        server = Server.at(self.url, self.starttls)
        return server if self.username is None else server._replace(username=self.username, password=self.password)


class Email(JobHandler[EmailSettings]):
    def __init__(self, settings: EmailSettings, host: Host) -> None:
        super().__init__(settings, host)
        self._from = mailbox(settings.sender)
        self._reply_to = None if settings.reply_to is None else mailbox(settings.reply_to)
        self._templates = Templates(settings.templates)
        is_outbox = settings.url.startswith(SCHEME)
        self._outbox = Outbox(settings.url) if is_outbox else None
        self._connections = None if is_outbox else _connections(settings, host)

    async def stop(self) -> None:
        await self._templates.close()
        if self._connections is not None:
            await self._connections.close()

    def check(self, payload: Any) -> None:
        to, template, data = read(payload)
        if to is not LATER:
            _recipients(to)
        if lacking := [name for name in self._templates.needs(self._files(template)) if name not in data]:
            raise PayloadRefused(f"the template {template} needs {', '.join(lacking)}, which data does not have")

    async def run(self, job: Job) -> Any:
        """Who was sent the mail. Of many recipients, only those that it may still succeed for are tried again."""
        try:
            self.check(job.payload)
            to, template, data = read(job.payload)
            message = await self._message(job, _recipients(to), template, data)
        except (PayloadRefused, CannotRender) as error:
            raise Park(str(error)) from None
        if self._outbox is not None:
            return {"file": await self.host.run_blocking(partial(self._outbox.put, job, ".eml", message.as_bytes()))}
        return await self._send(message, _recipients(to), job)

    async def _send(self, message: EmailMessage, recipients: Sequence[str], job: Job) -> Any:
        """What attempts have noted: which recipients have it, or never will, by their numbers; addresses stay in the payload."""
        assert self._connections is not None
        is_first = job.attempt <= 1  # with notes: an operator asks for another try, for those who were refused
        delivered, given_up = set(job.notes.get("delivered", ())), set(() if is_first else job.notes.get("refused", ()))
        left = {address: n for n, address in enumerate(recipients) if n not in delivered | given_up}
        refused = await self._connections.send(message, self._from.addr_spec, list(left)) if left else {}
        delivered |= {n for address, n in left.items() if address not in refused}
        given_up |= {n for address, n in left.items() if address in refused and refused[address].code >= 500}
        noted = {"delivered": sorted(delivered), "refused": sorted(given_up)}
        notes = {name: numbers for name, numbers in noted.items() if numbers or name in job.notes}
        if again := [answer for answer in refused.values() if answer.code < 500]:
            raise Retry(_told(again, len(delivered)), notes=notes)
        if given_up:
            raise Dead(_told(list(refused.values()), len(delivered)) if refused else "some recipients were refused", notes=notes)
        return {"delivered": len(delivered)}

    async def _message(self, job: Job, to: Sequence[str], template: str, data: Mapping[str, Any]) -> EmailMessage:
        files = self._files(template)
        texts = await self._templates.render(files, data)
        message = EmailMessage(policy=SMTP)
        message["From"] = self._from
        message["To"] = [Address(addr_spec=address) for address in to]
        if self._reply_to is not None:
            message["Reply-To"] = self._reply_to
        message["Subject"] = " ".join(texts[files[0]].split())
        message["Date"] = datetime.fromtimestamp(job.created, UTC)
        message["Message-ID"] = f"<{plain_id(job)}@{self._from.domain}>"  # the same if it runs twice: a reader shows one
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834, section 5: nobody's absence shall be told to us
        text, html = texts.get(f"{template}{TEXT}"), texts.get(f"{template}{HTML}")
        if text is not None:
            message.set_content(text)
            if html is not None:
                message.add_alternative(html, "html")
        elif html is not None:
            message.set_content(html, "html")
        return message

    def _files(self, template: str) -> list[str]:
        """The files of a template, its subject first. Raises PayloadRefused when one is missing."""
        bodies = [f"{template}{kind}" for kind in (TEXT, HTML) if self._templates.has(f"{template}{kind}")]
        subject = f"{template}{SUBJECT}"
        if not template or not bodies or not self._templates.has(subject):
            wanted = f"{subject} and {template}{TEXT} or {template}{HTML}" if template else "NAME.subject.txt and NAME.txt"
            raise PayloadRefused(f'there is no template "{template}" for mail: {wanted} belong into {self._templates.folder.name}')
        return [subject, *bodies]


def _connections(settings: EmailSettings, host: Host) -> Connections:
    from gateway.jobs.sending.smtp import Connections  # its library is for those who have a mail server

    return Connections(settings.server(), host.clock, KEPT, settings.ca)


def _recipients(to: Any) -> list[str]:
    """Raises PayloadRefused: for a line end in an address, too, which would end the header and begin another."""
    try:
        found = list(dict.fromkeys(recipient(one) for one in (to if isinstance(to, list) else [to]) if one is not LATER))
    except ValueError as error:
        raise PayloadRefused(f"to: {error}") from None
    if len(found) > MOST:
        raise PayloadRefused(f"to: {len(found)} recipients; {MOST} at most, for all see one another")
    return found


def _told(refused: Sequence[Refused], delivered: int) -> str:
    first = refused[0]
    others = f"; {delivered} others have it" if delivered else ""
    return f"{len(refused)} refused, the first with {first.code} {first.why}{others}"
