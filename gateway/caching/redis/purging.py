"""Purges told to all gateways. One that cannot be told is owed, and told as soon as Redis is back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

from gateway.caching.epochs import MOST
from gateway.caching.marks import ALL
from gateway.caching.redis.epochs import SharedEpochs, member
from gateway.store.contract import StoreAway
from gateway.store.redis.line import Line
from gateway.store.redis.scripts import EPOCHS, PURGE

log = logging.getLogger("gateway.caching")

KEY = "gw:c:epochs"
MOST_OWED = 10_000
"""Marks; when more are owed, all is purged instead."""


class Purging:
    """`owed` counts the marks of which others have not been told."""

    def __init__(self, line: Line, epochs: SharedEpochs, channel: str) -> None:
        self._line = line
        self._epochs = epochs
        self._channel = channel
        self._owed: dict[str, bool] = {}  # whether soft
        self._asking = False
        self._is_news = False
        self.told = 0
        self.failed = 0
        line.greeting = (self.news, epochs.hear)
        line.on_up.append(self.tell_owed)
        line.on_word.append(self._word)

    @property
    def owed(self) -> int:
        return len(self._owed)

    def purge(self, marks: Sequence[str], *, soft: bool) -> asyncio.Future[int]:
        """Here it is so at once; the future is the number that Redis gives it. It raises StoreAway, and the purge is owed then."""
        self._epochs.purge(marks, soft=soft)
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def done(found: int | BaseException) -> None:
            if not isinstance(found, int):
                self.failed += len(marks)
                log.warning("a purge of %s is not in the store, and told to the other gateways later: %s", ", ".join(marks[:10]), found)
            if future.done():
                return
            if isinstance(found, int):
                future.set_result(found)
            else:
                future.set_exception(found)
                future.exception()  # who purged may have left

        self._tell(marks, soft, done)
        return future

    def tell_owed(self) -> None:
        """From time to time, and whenever Redis is back."""
        if not self._owed or not self._line.is_up:
            return
        owed, self._owed = self._owed, {}
        for soft in (False, True):
            if marks := [mark for mark, is_soft in owed.items() if is_soft is soft]:
                self._tell(marks, soft, lambda found: None)

    def news(self) -> tuple[Any, ...]:
        """The command that answers what has not been heard; its answer is for `SharedEpochs.hear`."""
        return ("EVALSHA", EPOCHS.sha, 1, KEY, self._epochs.heard)

    async def listen(self) -> bool:
        """Ask for news. Whether there was an answer."""
        try:
            (news,) = await self._line.ask(self.news())
        except StoreAway:
            return False
        self._epochs.hear(news)
        return True

    def _tell(self, marks: Sequence[str], soft: bool, done: Callable[[int | BaseException], None]) -> None:
        def told(asked: asyncio.Future[list[Any]]) -> None:
            error = asked.exception()
            if error is None:
                self.told += len(marks)
                self._epochs.purge(marks, asked.result()[0], soft=soft)
            else:
                self._owe(marks, soft)
            done(error or asked.result()[0])

        members = [member(mark, soft=soft) for mark in marks]
        command = ("EVALSHA", PURGE.sha, 1, KEY, self._channel, MOST, self._epochs.stamp(), *members)
        self._line.ask(command).add_done_callback(told)

    def _owe(self, marks: Sequence[str], soft: bool) -> None:
        for mark in marks:
            self._owed[mark] = soft and self._owed.get(mark, True)
        if len(self._owed) > MOST_OWED:
            self._owed = {ALL: False}

    def _word(self, word: bytes) -> None:
        if word == b"p":
            self._hear()

    def _hear(self) -> None:
        """Once at a time: what comes meanwhile is asked for after."""
        if self._asking:
            self._is_news = True
        elif self._line.is_up:
            self._asking, self._is_news = True, False
            self._line.ask(self.news()).add_done_callback(self._heard)

    def _heard(self, asked: asyncio.Future[list[Any]]) -> None:
        self._asking = False
        if asked.exception() is None:
            self._epochs.hear(asked.result()[0])
            if self._is_news:
                self._hear()
