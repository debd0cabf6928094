"""Keys that an issuer publishes at a URL: fetched beside the requests, kept while it is away, looked for anew when one is missing."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from math import inf
from typing import TYPE_CHECKING

from gateway.errors import CallFailed
from gateway.identity.keys import Keys, published

if TYPE_CHECKING:
    from gateway.plugin import Host

WITHIN = 5.0  # seconds for one fetch
LARGEST = 256 << 10  # bytes of a JWKS
COOLDOWN = 10.0  # seconds between two fetches because a token names an unknown key: whoever makes tokens up must not make traffic
BACKOFF = (1.0, 60.0)  # seconds to the next try after the first failure, doubled for each; and at most


class Published:
    """`keys` is None as long as there are none, and again when the last are older than `stale`."""

    def __init__(self, url: str, algorithms: Collection[str], refresh: float, stale: float, wait: float, host: Host) -> None:
        """`refresh` and `stale` in seconds since the last fetch that succeeded; `wait` is what a request waits for one at most."""
        self.url = url
        self._algorithms = algorithms
        self._refresh = refresh
        self._stale = stale
        self._wait = wait
        self._host = host
        self._keys: Keys | None = None
        self._fetched = -inf
        self._began = -inf
        self._failures = 0
        self.due = -inf  # when to fetch again; until then what the keys have verified need not be verified again
        self._under_way: asyncio.Future[None] | None = None

    @property
    def keys(self) -> Keys | None:
        return self._keys if self._host.clock() < self._fetched + self._stale else None

    @property
    def is_due(self) -> bool:
        return self._under_way is None and self._host.clock() >= self.due

    def look(self) -> None:
        """Fetch beside the requests if it is time to."""
        if self.is_due:
            self._start()

    async def look_for_more(self) -> None:
        """A key is missing: fetch unless that was done just now, and wait, but no longer than `wait` after the fetch began."""
        now = self._host.clock()
        if self._under_way is None:
            if now < (self._began + COOLDOWN if self._keys is not None else self.due):
                return
            self._start()
        under_way = self._under_way
        if under_way is not None and (left := self._began + self._wait - now) > 0:
            await asyncio.wait([under_way], timeout=left)

    def _start(self) -> None:
        self._began = self._host.clock()
        self._under_way = asyncio.get_running_loop().create_future()
        self._host.spawn(self._fetch(self._under_way), f"fetching {self.url}")

    async def _fetch(self, under_way: asyncio.Future[None]) -> None:
        try:
            reply = await self._host.http("GET", self.url, headers={"Accept": "application/json"}, within=WITHIN, limit=LARGEST)
            if reply.status != 200 or reply.entity is None:
                raise ValueError(f"it answers {reply.status}")
            self._keys = published(reply.entity.data, self._algorithms)
        except (CallFailed, ValueError) as error:
            self._failed(error.reason if isinstance(error, CallFailed) else str(error))
        else:
            self._succeeded()
        finally:
            under_way.set_result(None)
            self._under_way = None

    def _succeeded(self) -> None:
        if self._failures:
            self._host.log.info("%s answers again", self.url)
        self._failures = 0
        self._fetched = self._host.clock()
        self.due = self._fetched + self._refresh

    def _failed(self, why: str) -> None:
        if not self._failures:
            kept = "tokens are verified by the keys it gave before" if self.keys is not None else "no token can be verified"
            self._host.log.warning("no keys from %s: %s; %s", self.url, why, kept)
        first, most = BACKOFF
        self.due = self._host.clock() + min(most, first * 2**self._failures)
        self._failures = min(self._failures + 1, 16)
