"""Errors told to Sentry: what is logged at level error, exceptions with their stacks, without what nobody shall read.

The SDK's client is used alone. Its integrations, which patch libraries and look at requests, stay off.
"""

from __future__ import annotations

import logging
import queue
import re
import threading
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from sentry_sdk import Client, Scope
from sentry_sdk.transport import HttpTransport
from sentry_sdk.utils import event_from_exception

from gateway.pii import MASKED, Mask

RATE = 30  # events a minute, and as many at once; what is more is dropped and counted
WAITING = 100  # records that wait to be made events
LONGEST = 1000  # characters of a text
DEADLINE = 5  # seconds for Sentry to take one event
PATIENCE = 2.0  # seconds that the end of the process waits for it

_QUERY = re.compile(r"([?&][^=&\s\"'#]+)=[^&\s\"'#]+")
_CREDENTIALS = re.compile(r"\b(Bearer|Basic|Digest|Negotiate)\s+[^\s\"',]+", re.IGNORECASE)
_HEADER = re.compile(r"\b((?:proxy-)?authorization|(?:set-)?cookie|x-api-key)\b([\"']?\s*[:=,]\s*).*", re.IGNORECASE)
_USER = re.compile(r"//[^/\s@]+@")
_FIELD = re.compile(r"([\w.\[\]-]+)([\"']?\s*[:=]\s*)(\"[^\"]*\"|'[^']*'|[^\s\"',;&)}]+)")
_INPUT = re.compile(r"input_value=.*?, input_type", re.DOTALL)  # pydantic's: a part of a body


class Transport(HttpTransport):
    """Gives up a Sentry that does not answer."""

    TIMEOUT = DEADLINE


class SentryHandler(logging.Handler):
    """`emit` never blocks: a thread makes events of records, and the SDK's own sends them."""

    def __init__(
        self,
        dsn: str,
        environment: str,
        mask: Mask,
        clock: Callable[[], float] = time.monotonic,
        transport: type[HttpTransport] = Transport,
    ) -> None:
        super().__init__(logging.ERROR)
        self._client = Client(
            dsn=dsn,
            environment=environment or "production",
            release=f"gateway@{version('gateway')}",
            transport=Transport,
            default_integrations=False,
            auto_enabling_integrations=False,
            auto_session_tracking=False,
            include_local_variables=False,
            max_breadcrumbs=0,
            spotlight=False,
            # Not br because that is installed: not every receiver knows it.
            _experiments={"transport_compression_algo": "gzip"},  # type: ignore[typeddict-item]
        )
        self.name = "sentry"
        self._mask = mask
        self._clock = clock
        self._tokens = float(RATE)
        self._filled = clock()
        self.dropped = 0  # events
        self._told = 0  # of them, those that Sentry knows of
        self._records: queue.Queue[logging.LogRecord | None] = queue.Queue(WAITING)
        self._thread = threading.Thread(target=self._run, name="sentry", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.startswith(("sentry_sdk", "urllib3")):
            return  # what they say of a Sentry that does not answer is not for Sentry
        now = self._clock()
        self._tokens = min(self._tokens + (now - self._filled) * RATE / 60, RATE)
        self._filled = now
        if self._tokens < 1:
            self.dropped += 1
            return
        self._tokens -= 1
        try:
            self._records.put_nowait(record)
        except queue.Full:
            self.dropped += 1

    def stop(self, patience: float = PATIENCE) -> None:
        """Send what waits, but wait no longer than `patience` seconds."""
        deadline = time.monotonic() + patience
        try:
            self._records.put(None, timeout=patience)
        except queue.Full:
            return
        self._thread.join(max(deadline - time.monotonic(), 0))
        self._client.close(timeout=max(deadline - time.monotonic(), 0))

    def _run(self) -> None:
        scope = Scope()
        while (record := self._records.get()) is not None:
            try:
                self._client.capture_event(self._event(record), scope=scope)
            except Exception:
                self.dropped += 1  # a record that cannot be told must not end the telling
            del record  # its traceback leads to an exchange

    def _event(self, record: logging.LogRecord) -> Any:
        event: Any = {}
        if record.exc_info and record.exc_info[1] is not None:
            event, _ = event_from_exception(record.exc_info[1], self._client.options)
            for exception in event["exception"]["values"]:
                exception["value"] = scrub(str(exception.get("value") or ""), self._mask)
        event["logger"] = record.name
        event["level"] = "fatal" if record.levelno >= logging.CRITICAL else "error"
        event["timestamp"] = record.created
        event["logentry"] = {"message": scrub(str(record.msg), self._mask), "formatted": scrub(record.getMessage(), self._mask)}
        dropped = self.dropped
        if dropped > self._told:
            event["extra"] = {"events dropped before this one": dropped - self._told}
            self._told = dropped
        return event


def scrub(text: str, mask: Mask) -> str:
    """`text` without credentials, cookies, the values of queries, and those of fields that `mask` hides, however they are written."""
    text = _INPUT.sub(f"input_value={MASKED}, input_type", text)
    text = _USER.sub(f"//{MASKED}@", text)
    text = _QUERY.sub(rf"\1={MASKED}", text)
    text = _HEADER.sub(rf"\1\2{MASKED}", text)
    text = _CREDENTIALS.sub(rf"\1 {MASKED}", text)
    text = _FIELD.sub(lambda found: f"{found[1]}{found[2]}{MASKED}" if mask.hides(found[1]) else found[0], text)
    return text if len(text) <= LONGEST else text[:LONGEST] + "..."
