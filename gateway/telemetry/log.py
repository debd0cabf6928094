"""The gateway's own log: written by a thread, for a descriptor that nobody reads must not stop who serves."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import queue
import threading
from datetime import UTC, datetime
from typing import Literal

from gateway.telemetry.whole import undivided, whole_lines

MOST = 1000  # messages that wait for a slow reader; what comes then is dropped and counted
PATIENCE = 1.0  # seconds that the end of the process waits for a reader


TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class JsonFormatter(logging.Formatter):
    """One object a line: time (RFC 3339, UTC), level, logger, message, and the traceback of an error as `error`."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {"time": at.replace("+00:00", "Z"), "level": record.levelname.lower(), "logger": record.name, "message": record.getMessage()}
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line)


def formatter(form: Literal["text", "json"]) -> logging.Formatter:
    return JsonFormatter() if form == "json" else logging.Formatter(TEXT)


class LogHandler(logging.Handler):
    """`emit` never blocks, however many refused clients there are to tell of."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._waiting: queue.Queue[bytes] = queue.Queue(MOST)
        self.name = "gateway"
        self.dropped = 0  # messages
        self._told = 0  # of them, those that the log knows of
        threading.Thread(target=self._write, name="log", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._waiting.put_nowait(f"{self.format(record)}\n".encode(errors="backslashreplace"))
        except queue.Full:
            self.dropped += 1
        except Exception:
            self.handleError(record)  # as every handler of logging does: a bad message must not end who logs it

    def flush(self) -> None:
        waiting = self._waiting
        with waiting.all_tasks_done:
            waiting.all_tasks_done.wait_for(lambda: not waiting.unfinished_tasks, PATIENCE)

    def _write(self) -> None:
        while True:
            self._put(self._waiting.get())
            self._waiting.task_done()
            dropped = self.dropped
            if dropped > self._told:
                self._put(b"%d messages of the log were dropped: nobody read them in time\n" % (dropped - self._told))
                self._told = dropped

    def _put(self, message: bytes) -> None:
        with contextlib.suppress(OSError), undivided(self._descriptor) as most:  # a reader that has gone must not end the log
            for rest in whole_lines(message, most):
                while rest:
                    rest = rest[os.write(self._descriptor, rest) :]
