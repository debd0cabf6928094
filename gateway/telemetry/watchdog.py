"""Says who blocks the event loop, while it is blocked: a plugin or library that waits or computes where everybody else must wait too."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
import traceback
from types import FrameType

log = logging.getLogger("gateway.telemetry")

THRESHOLD = 0.25  # seconds for which the loop may not turn
SILENCE = 60.0  # seconds between two stalls that are told
DEEPEST = 30  # frames of the stack that are told, the innermost
PLUGINS = ("gateway_plugins.", "policy_plugins.")
"""What the names of plugins' modules begin with."""


class Watchdog:
    """`start` and `stop` on the event loop's thread: the loop marks its turns with a coarse timer, and a thread looks at the marks.

    The log is told at most once in SILENCE seconds, while a stall lasts and when it has ended; `stalls` counts them all.
    """

    def __init__(self, threshold: float = THRESHOLD) -> None:
        self.stalls = 0
        self.stalled = 0.0  # seconds, of all that have ended
        self.longest = 0.0  # seconds
        self._threshold = threshold
        self._tick = threshold / 2
        self._timer: asyncio.TimerHandle | None = None
        self._ended = threading.Event()
        self._marked = 0.0  # when the loop turned last
        self._mark = 0.0  # the one that was seen last, and since then
        self._apart = 0.0  # seconds in which nothing of this process ran
        self._is_stalled = self._is_told = False
        self._seen = self._used = 0.0  # wall and CPU time at the last look
        self._told = -SILENCE
        self._untold = 0  # stalls since

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._turn()
        self._mark = self._seen = self._marked
        self._used = time.process_time()
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def stop(self) -> None:
        self._ended.set()
        if self._timer is not None:
            self._timer.cancel()

    def _turn(self) -> None:
        self._marked = time.monotonic()
        self._timer = self._loop.call_later(self._tick, self._turn)

    def _watch(self) -> None:
        while not self._ended.wait(self._tick):
            self.look(self._marked, time.monotonic(), time.process_time())

    def look(self, marked: float, now: float, used: float) -> None:
        """At `now`, when the loop turned last at `marked` and the process has used so much CPU time; a tick after the last look."""
        late, busy = now - self._seen - self._tick, used - self._used
        self._seen, self._used = now, used
        if marked != self._mark:
            if self._is_stalled:
                self._end(marked - self._mark - self._apart)
            self._mark, self._apart = marked, 0.0
        elif late > self._tick / 2 and busy < late / 2:
            # This thread did not run either, and none computed: the process was stopped, or the machine had no time for it. A library
            # that computes without letting other threads run looks alike, but for its CPU time.
            self._apart += late
        duration = now - self._mark - self._apart
        if duration > self._threshold:
            self._go_on(duration, now)

    def _go_on(self, duration: float, now: float) -> None:
        if not self._is_stalled:
            self._is_stalled = True
            self.stalls += 1
            self._untold += 1
        if now - self._told < SILENCE:
            return
        before = f" ({self._untold - 1} more were not told)" if self._untold > 1 else ""
        self._told, self._untold, self._is_told = now, 0, True
        frame = sys._current_frames().get(self._loop_thread)
        log.warning("the event loop has not turned for %.2f s%s: %s", duration, before, where(frame))

    def _end(self, duration: float) -> None:
        self.stalled += duration
        self.longest = max(self.longest, duration)
        if self._is_told:
            log.warning("the event loop turns again, after %.2f s", duration)
        self._is_stalled = self._is_told = False


def where(frame: FrameType | None) -> str:
    """The plugin whose code is innermost in a stack, by its file, then the stack."""
    if frame is None:
        return "its thread has ended"
    inner: FrameType | None = frame
    while inner is not None and not inner.f_globals.get("__name__", "").startswith(PLUGINS):
        inner = inner.f_back
    who = "no plugin is in its stack" if inner is None else f"it waits for {inner.f_code.co_filename}:{inner.f_lineno}"
    return f"{who}\n{''.join(traceback.format_list(traceback.extract_stack(frame, DEEPEST))).rstrip()}"
