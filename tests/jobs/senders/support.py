"""What the tests of senders share: handlers made as the policy makes them, jobs, and a mail server that does as it is told."""

from __future__ import annotations

import asyncio
import ssl
import warnings
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from gateway.jobs.contract import Job
from gateway.jobs.handler import JobHandler
from gateway.outbound import Outbound
from gateway.plugin import Host
from gateway.testing import host as made_host

CREATED = 1_790_000_000.0


def sender(name: str, settings: Mapping[str, Any], folder: Path = Path(), host: Host | None = None) -> Any:
    """The handler `name` with these settings, checked as those of the policy in `folder` would be."""
    cls: type[JobHandler[Any]] = getattr(import_module(f"gateway.jobs.senders.{name}"), name.capitalize())
    return cls(cls.settings_type.model_validate(dict(settings), context={"folder": folder}), host or made_host())


def job(payload: Any, kind: str = "email", **more: Any) -> Job:
    return Job(
        **{"id": "0af7651916cd43dd8448eb211c80319c", "type": kind, "payload": payload, "state": "active", "created": CREATED, **more}
    )


def welcome(folder: Path) -> Path:
    """A folder with the templates of one mail."""
    templates = folder / "templates"
    templates.mkdir()
    (templates / "welcome.subject.txt").write_text("Welcome, {{ name }}\n")
    (templates / "welcome.txt").write_text("Hello {{ name }}!\n")
    (templates / "welcome.html").write_text("<p>Hello {{ name }}!</p>\n")
    return templates


class HttpService:
    """A service on a free port that answers as told: `answers` one after another, the last for ever. Keeps what it was sent."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)  # whole HTTP messages; b"" hangs up at once, HANG never answers
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.port = 0

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            line, *fields = head.strip().split("\r\n")
            headers = {name.lower(): value for name, _, value in (field.partition(": ") for field in fields)}
            self.requests.append((line, headers, await reader.readexactly(int(headers.get("content-length", "0")))))
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            if answer == HANG:
                await reader.read()
            writer.write(answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # who asks has given up
        finally:
            writer.close()


HANG = b"(nothing)"


@asynccontextmanager
async def answering(*answers: bytes) -> AsyncIterator[HttpService]:
    service = HttpService(*answers)
    server = await asyncio.start_server(service._serve, "127.0.0.1", 0)
    service.port = server.sockets[0].getsockname()[1]
    try:
        yield service
    finally:
        server.close()
        await server.wait_closed()


def answer(status: int, body: bytes = b"", *fields: str) -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", "Connection: close", *fields]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Calling:
    """A service as `host(service=...)` takes it, which really calls."""

    def __init__(self) -> None:
        self.outbound = Outbound()
        self.call = self.outbound.call


class MailServer:
    """Takes mail, but for the answers it has been given; keeps what it took."""

    def __init__(self) -> None:
        self.taken: list[Envelope] = []
        self.connections = 0
        self.answers: dict[str, str] = {}  # of a recipient, or of MAIL and DATA
        self.delays: dict[str, float] = {}  # seconds before the answer to it
        self.drops: set[str] = set()  # where the connection is cut instead
        self.logins: list[tuple[bytes, bytes]] = []
        self.port = 0

    async def handle_MAIL(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]) -> str:
        envelope.mail_from = address
        return await self._answer(server, "MAIL")

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]) -> str:
        answer = await self._answer(server, address)
        if answer.startswith("2"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        answer = await self._answer(server, "DATA")
        if answer.startswith("2"):
            self.taken.append(envelope)
        return answer

    async def _answer(self, server: SMTP, what: str) -> str:
        if what in self.delays:
            await asyncio.sleep(self.delays[what])
        if what in self.drops:
            assert isinstance(server.transport, asyncio.WriteTransport)
            server.transport.abort()
        return self.answers.get(what, "250 OK")

    def login(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        self.logins.append((data.login, data.password))
        good = (data.login, data.password) == (b"leads", b"p@ss")
        return AuthResult(success=good, handled=False, message=None if good else "535 5.7.8 Authentication credentials invalid")


@asynccontextmanager
async def serving(tls: ssl.SSLContext | None = None, *, starttls: bool = False, auth: bool = False) -> AsyncIterator[MailServer]:
    """A mail server on a free port of this machine: plain, with TLS from the first byte, or with STARTTLS required."""
    mail = MailServer()

    def protocol() -> SMTP:
        mail.connections += 1
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of a login without STARTTLS: the connection is TLS already
            return made()

    def made() -> SMTP:
        return SMTP(
            mail,
            hostname="mail.test",
            tls_context=tls if starttls else None,
            require_starttls=starttls,
            authenticator=mail.login if auth else None,
            auth_required=auth,
            auth_require_tls=False,
        )

    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0, ssl=None if starttls else tls)
    mail.port = server.sockets[0].getsockname()[1]
    try:
        yield mail
    finally:
        server.close()
        await server.wait_closed()
