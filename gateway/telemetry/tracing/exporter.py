"""Spans taken without waiting, and sent in batches by a thread: bounded, counted, and ended within a deadline."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Protocol

from gateway.span import Span

log = logging.getLogger("gateway.traces")

BATCH = 256  # spans sent at once
DELAY = 1.0  # seconds that a span waits for others
MOST = 2048  # spans that wait for a slow receiver; what comes then is dropped and counted
TIMEOUT = 10.0  # seconds for one batch, with all its tries
PAUSES = (0.5, 2.0)  # seconds before the second and the third try; a receiver may ask for longer ones
PATIENCE = 3.0  # seconds that the end waits for a receiver
QUIET = 60.0  # seconds between two complaints


class Undelivered(Exception):
    """A batch was not taken. `again` says that it may be another time, and then not before `after` seconds."""

    def __init__(self, why: str, *, again: bool = False, after: float = 0.0) -> None:
        super().__init__(why)
        self.again = again
        self.after = after


class Receiver(Protocol):
    """Where spans are sent. Used by one thread alone."""

    def send(self, spans: Sequence[Span], timeout: float) -> int:
        """How many of them were refused. Raises Undelivered, within about `timeout` seconds."""

    def close(self) -> None: ...


class SpanExporter:
    """`record` is for the event loop's thread alone and never blocks. Held by every policy that uses it; the last to let go ends it.

    `connect` makes the receiver; it runs in the thread, for what it imports takes a while.
    """

    def __init__(self, connect: Callable[[], Receiver]) -> None:
        self._connect = connect
        self._waiting: deque[Span] = deque()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="traces", daemon=True)
        self._holders = 0
        self._deadline = 0.0  # when it must have ended
        self._complained = float("-inf")
        self.sent = 0  # spans that were taken
        self.dropped = 0  # that found no room
        self.failed = 0  # that were refused, or could not be sent

    def record(self, spans: Sequence[Span]) -> None:
        if len(self._waiting) + len(spans) > MOST:
            self.dropped += len(spans)
            return
        self._waiting.extend(spans)
        if len(self._waiting) >= BATCH and not self._wake.is_set():
            self._wake.set()

    def hold(self) -> None:
        self._holders += 1
        if self._holders == 1:
            self._thread.start()

    async def release(self) -> None:
        """When nobody holds it any more, what waits is sent, but for no longer than PATIENCE; the event loop goes on meanwhile."""
        self._holders -= 1
        if not self._holders:
            await asyncio.get_running_loop().run_in_executor(None, self.stop, PATIENCE)

    def stop(self, patience: float = PATIENCE) -> None:
        self._deadline = monotonic() + patience
        self._stopping.set()
        self._wake.set()
        self._thread.join(patience)
        if lost := len(self._waiting) + self.dropped + self.failed:
            log.warning("%d spans were not delivered, %d were", lost, self.sent)

    def _run(self) -> None:
        try:
            receiver = self._connect()
        except Exception:
            log.exception("spans cannot be sent")
            return
        while not self._stopping.is_set():
            self._wake.wait(DELAY)
            self._wake.clear()
            self._send_all(receiver)
        self._send_all(receiver)
        receiver.close()

    def _send_all(self, receiver: Receiver) -> None:
        while self._waiting and self._time_left():
            spans = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
            try:
                refused = self._deliver(receiver, spans)
            except Exception as error:  # whatever it is, the next batch is tried
                self.failed += len(spans)
                self._complain(error)
            else:
                self.failed += refused
                self.sent += len(spans) - refused

    def _time_left(self) -> float:
        return max(self._deadline - monotonic(), 0.0) if self._stopping.is_set() else TIMEOUT

    def _deliver(self, receiver: Receiver, spans: Sequence[Span]) -> int:
        until = monotonic() + TIMEOUT
        for pause in PAUSES:
            try:
                return receiver.send(spans, min(until - monotonic(), self._time_left()))
            except Undelivered as error:
                pause = max(pause, error.after)
                if not error.again or pause >= min(until - monotonic(), self._time_left()):
                    raise
            self._stopping.wait(pause)
        return receiver.send(spans, min(until - monotonic(), self._time_left()))

    def _complain(self, error: Exception) -> None:
        now = monotonic()
        if now - self._complained >= QUIET:
            self._complained = now
            log.warning("spans are not delivered: %s (%d failed, %d dropped so far; said once a minute)", error, self.failed, self.dropped)
