"""Connections to one mail server, kept open between mails, and what its answers mean."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from email.message import EmailMessage
from pathlib import Path
from typing import NamedTuple

from aiosmtplib import (
    SMTP,
    SMTPAuthenticationError,
    SMTPException,
    SMTPNotSupported,
    SMTPRecipientsRefused,
    SMTPResponseException,
)  # fmt: skip

from gateway.jobs.contract import Dead, Park, Retry
from gateway.jobs.sending.answers import shown
from gateway.jobs.sending.server import Server

TIMEOUT = 20.0
"""Seconds for each answer of the server."""
IDLE = 30.0
"""Seconds after which an unused connection is not trusted any more: servers close them after a few minutes, and firewalls forget them."""


class Refused(NamedTuple):
    """A recipient that the server did not take."""

    code: int
    why: str


class Connections:
    """A mail goes over a connection of its own while it is sent; then the connection is kept for the next."""

    def __init__(self, server: Server, clock: Callable[[], float], kept: int, ca: Path | None = None) -> None:
        """`kept`: connections at most that wait for a next mail; `ca`: certificates of authorities, in place of the system's."""
        self._server = server
        self._clock = clock
        self._most = kept
        self._kept: list[tuple[SMTP, float]] = []
        self._tls = ssl.create_default_context(cafile=ca)

    async def send(self, message: EmailMessage, sender: str, recipients: Sequence[str]) -> Mapping[str, Refused]:
        """Who of the recipients was refused; the others have it. Raises Retry, Dead and Park."""
        client = None
        try:
            client = await self._connected()
            refused, _ = await client.send_message(message, sender=sender, recipients=recipients)
        except SMTPRecipientsRefused as error:
            self._keep(client)
            return {one.recipient: Refused(one.code, shown(one.message)) for one in error.recipients}
        except SMTPAuthenticationError as error:
            _drop(client)
            raise (Retry if error.code < 500 else Park)(f"the server does not let us in: {error.code} {shown(error.message)}") from None
        except SMTPResponseException as error:
            _drop(client)
            raise (Retry if error.code < 500 else Dead)(f"the server refused the mail: {error.code} {shown(error.message)}") from None
        except SMTPNotSupported as error:
            _drop(client)
            raise Park(f"{self._server.host} cannot do what is asked: {shown(error.message)}") from None
        except (SMTPException, OSError) as error:  # also ssl's errors and TimeoutError
            _drop(client)
            raise Retry(f"{self._server.host}: {shown(str(error)) or type(error).__name__}") from None
        except BaseException:
            _drop(client)  # it is in the middle of something
            raise
        self._keep(client)
        return {address: Refused(answer.code, shown(answer.message)) for address, answer in refused.items()}

    async def close(self) -> None:
        kept, self._kept = self._kept, []
        await asyncio.gather(*(_quit(client) for client, _ in kept))

    async def _connected(self) -> SMTP:
        """One that was kept and still answers, or a new one."""
        while self._kept:
            client, since = self._kept.pop()
            if self._clock() - since < IDLE:
                with suppress(SMTPException, OSError):
                    await client.noop()
                    return client
            _drop(client)
        server = self._server
        client = SMTP(
            hostname=server.host, port=server.port, use_tls=server.is_tls, start_tls=server.starttls, timeout=TIMEOUT,
            username=server.username, password=server.password, tls_context=self._tls,
        )  # fmt: skip
        await client.connect()
        return client

    def _keep(self, client: SMTP | None) -> None:
        if client is None or not client.is_connected or len(self._kept) >= self._most:
            _drop(client)
        else:
            self._kept.append((client, self._clock()))


def _drop(client: SMTP | None) -> None:
    if client is not None:
        client.close()


async def _quit(client: SMTP) -> None:
    with suppress(SMTPException, OSError):
        await client.quit(timeout=1.0)
    client.close()
