"""The largest request body a route takes: a longer one is refused as 413 before it is read, or while it streams.

In `mode: observe` it notes what it would have refused by the length that a client announced; a body in chunks is not counted.
"""

from __future__ import annotations

from typing import ClassVar

from gateway.plugin import Exchange, Field, Host, Plugin, Settings, Size


class BodyLimitSettings(Settings):
    shorthand: ClassVar[str] = "max"

    max: Size = Field(description="The most bytes a request body may have, as in 10MiB; above or below the default in server.limits.body.")


class BodyLimit(Plugin[BodyLimitSettings]):
    once = True
    handles_mode = True

    def __init__(self, settings: BodyLimitSettings, host: Host) -> None:
        super().__init__(settings, host)
        self._max = settings.max
        self._observes = host.mode == "observe"

    def on_request(self, ex: Exchange) -> None:
        if not self._observes:
            ex.limit_body(self._max)
        elif self._is_exceeded(ex):
            ex.note("observe", plugin="body_limit", status=413)

    def explain(self, ex: Exchange) -> str:
        if self._observes:
            return f"{'would refuse' if self._is_exceeded(ex) else 'would take'} this body, at most {self._max} bytes"
        ex.limit_body(self._max)
        return f"takes a body of at most {self._max} bytes"

    def _is_exceeded(self, ex: Exchange) -> bool:
        """By the length that was announced: to observe what streams would be to count it."""
        length = ex.content_length if ex.body_at_hand is None else len(ex.body_at_hand)
        return length is not None and length > self._max
