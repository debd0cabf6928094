"""Connections of one policy to services that are no upstream, by aiohttp's client."""

from __future__ import annotations

from collections.abc import Mapping

import aiohttp

from gateway.errors import CallFailed
from gateway.exchange import Headers, Reply

AT_ONCE = 16  # calls to one service; those beyond wait, within their deadline
STALE = (
    "Connection", "Content-Encoding", "Content-Length", "Keep-Alive", "Proxy-Connection", "TE", "Trailer", "Transfer-Encoding", "Upgrade",
)  # fmt: skip
"""Fields about a connection that is not the client's, and about bytes that have been decoded."""


class Session:
    """Made on the event loop. Connections are kept and shared; `close` ends them."""

    def __init__(self) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit_per_host=AT_ONCE),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": "gateway"},
            timeout=aiohttp.ClientTimeout(),
        )

    async def call(self, method: str, url: str, headers: Mapping[str, str], body: bytes, within: float, limit: int) -> Reply:
        """The body of `Host.http`."""
        deadline = aiohttp.ClientTimeout(total=within)
        try:
            async with self._session.request(
                method, url, headers=headers, data=body or None, timeout=deadline, allow_redirects=False
            ) as response:
                data = bytearray()
                async for piece in response.content.iter_any():
                    data += piece
                    if len(data) > limit:
                        raise CallFailed(reason=f"{method} {url}: the answer is longer than {limit} bytes")
                fields = Headers(response.headers)
        except TimeoutError:
            raise CallFailed(reason=f"{method} {url}: no whole answer within {within:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise CallFailed(reason=f"{method} {url}: {error or type(error).__name__}") from error
        for name in STALE:
            fields.popall(name, None)
        return Reply(response.status, fields, bytes(data))

    async def close(self) -> None:
        await self._session.close()
