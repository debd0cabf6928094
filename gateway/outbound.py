"""Calls of the gateway's own, to services that are no upstream (a JWKS, a webhook): each with a deadline, and none larger than allowed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from gateway.exchange import Reply

if TYPE_CHECKING:
    from gateway.session import Session


class Outbound:
    """One for each policy. Nothing is opened before the first call; `close` ends what is."""

    def __init__(self) -> None:
        self._session: Session | None = None

    async def call(self, method: str, url: str, headers: Mapping[str, str], body: bytes, within: float, limit: int) -> Reply:
        """The body of `Host.http`."""
        if self._session is None:
            self._session = _open()
        return await self._session.call(method, url, headers, body, within, limit)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None


def _open() -> Session:
    """Once for each policy that calls anybody."""
    from gateway.session import Session  # aiohttp takes a fifth of the time of a check, and a check calls nobody

    return Session()
