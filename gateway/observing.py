"""`mode: observe`: a plugin's hooks run on copies; what they would have answered or changed is noted, and nothing else comes of it."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from gateway.errors import ClientGone, GatewayError
from gateway.exchange import Attempt, Exchange, Headers, Reply
from gateway.plugin import Mode
from gateway.stream import Stream

log = logging.getLogger("gateway.pipeline")

OBSERVE = "observe"
"""The kind of a note that tells of it: with the `status` of an answer, with what of the `request` or `reply` would have changed, or with
what plugins do themselves (`would`)."""
NO_ANSWER = "none"
"""What stands for a status when such notes are counted, of those that tell of something else than an answer."""

HEAD = ("method", "target", "path", "query", "host", "scheme", "client")
"""Of an exchange: what goes upstream, and what plugins below decide by. Who asks is not among it: that is found out, not changed."""
KEPT = (*HEAD, "headers", "block", "added", "_version", "has_raw_bytes", "upgrade", "body_limit", "content_length", "idempotency_key")


def observed(name: str, hook: str, call: Any, knows_mode: bool = False) -> Any:
    """`call`, the hook of a plugin called `name`, without effect. One that knows its mode is trusted with what it answers and notes."""
    if hook in ("on_chunk", "on_body_end"):
        return _body_hook(name, hook, call)
    trial_of = {"on_request": RequestTrial, "on_attempt": AttemptTrial, "on_response": ReplyTrial}[hook]

    def begin(*given: Any) -> Trial:
        trial: Trial = trial_of(name, hook, knows_mode, *given)
        return trial

    def observe(*given: Any) -> Any:
        trial = begin(*given)
        try:
            found = call(*trial.given)
        except Exception as error:
            trial.failed(error)
            return None
        return trial.ended(found) if found is None or isinstance(found, Reply) else _later(trial, found)

    async def observe_async(*given: Any) -> Any:
        trial = begin(*given)
        return await _later(trial, call(*trial.given))

    return observe_async if inspect.iscoroutinefunction(call) else observe


async def _later(trial: Trial, answer: Awaitable[Reply | None]) -> Reply | None:
    try:
        found = await answer
    except Exception as error:
        trial.failed(error)
        return None
    except BaseException:  # cancelled: its client has left
        trial.undo()
        raise
    return trial.ended(found)


class Trial:
    """One call of a hook, with what it is `given` instead of the real thing."""

    part = "request"

    def __init__(self, name: str, hook: str, knows_mode: bool, ex: Exchange) -> None:
        self.name = name
        self.hook = hook
        self.knows_mode = knows_mode
        self.answers = knows_mode and hook == "on_request"
        self.ex = ex
        self.given: tuple[Any, ...] = (ex,)
        self._noted = len(ex.notes or ())

    def undo(self) -> list[str]:
        """Let everything be as it was. In words, what was not."""
        raise NotImplementedError

    def ended(self, found: Reply | None) -> Reply | None:
        changes = self.undo()
        self._mark()
        if found is not None and not self.is_given(found):
            if self.answers:
                return found
            self.discard(found)
            self.ex.note(OBSERVE, plugin=self.name, status=found.status)
        elif changes and not self._has_told():
            self.ex.note(OBSERVE, plugin=self.name, **{self.part: "; ".join(changes)})
        return None

    def _mark(self) -> None:
        """What the plugin has noted did not come to pass."""
        if not self.knows_mode:
            for _, fields in (self.ex.notes or [])[self._noted :]:
                fields["observed"] = True

    def _has_told(self) -> bool:
        """The plugin has noted itself what would have come of it; or it would have answered, and seen no reply."""
        return any(kind == OBSERVE for kind, _ in (self.ex.notes or [])[self._noted :]) or _has_answered(self.name, self.ex)

    def is_given(self, reply: Reply) -> bool:
        return False

    def discard(self, reply: Reply) -> None:
        reply.abandon()

    def failed(self, error: Exception) -> None:
        """Raises what is no outcome of the plugin's: that the client has left."""
        self.undo()
        self._mark()
        if isinstance(error, ClientGone) or self.answers:
            raise error
        if isinstance(error, GatewayError):
            self.ex.note(OBSERVE, plugin=self.name, status=error.status)
        else:
            _blame(self.name, self.hook, self.ex, error)
        error.__traceback__ = None  # it holds the frame that holds the exchange: a circle


class RequestTrial(Trial):
    """Going down: the exchange has copies of its fields, and has back what it had."""

    def __init__(self, name: str, hook: str, knows_mode: bool, ex: Exchange) -> None:
        super().__init__(name, hook, knows_mode, ex)
        self._kept = [getattr(ex, one) for one in KEPT]
        self._body = ex.body_at_hand
        self._headers = ex.headers
        ex.headers = self._headers.copy()
        ex.received = ex.body_at_hand

    def undo(self) -> list[str]:
        ex = self.ex
        changes = [one for one, before in zip(HEAD, self._kept, strict=False) if getattr(ex, one) != before]
        changes += differences(self._headers, ex.headers)
        for one, value in zip(KEPT, self._kept, strict=True):
            setattr(ex, one, value)
        if ex.body_at_hand is not ex.received:
            changes.append("body")
            ex.body_at_hand = ex.received
            ex._json = None
        if self._body is None and ex.received and ex.content_length is None and ex.stream is not None:
            ex.stream.unread([ex.received])  # it came in chunks, and goes on in chunks
            ex.body_at_hand = None
        return changes


@contextmanager
def kept(ex: Exchange, mode: Mode) -> Iterator[None]:
    """What is done to `ex` within is undone when the plugin that does it only observes."""
    trial = RequestTrial("", "explain", False, ex) if mode == "observe" else None
    try:
        yield
    finally:
        if trial is not None:
            trial.undo()


class AttemptTrial(Trial):
    """Before a try at the upstream: an attempt of its own."""

    def __init__(self, name: str, hook: str, knows_mode: bool, ex: Exchange, attempt: Attempt) -> None:
        super().__init__(name, hook, knows_mode, ex)
        self._before = attempt.sent_headers()
        self._twin = Attempt(attempt.number, attempt.target, self._before)
        self.given = ex, self._twin

    def undo(self) -> list[str]:
        return [] if self._twin.is_untouched and not self._twin.added else differences(self._before, self._twin.headers)


class ReplyTrial(Trial):
    """Coming up: a reply that looks like the real one."""

    part = "reply"

    def __init__(self, name: str, hook: str, knows_mode: bool, ex: Exchange, reply: Reply) -> None:
        super().__init__(name, hook, knows_mode, ex)
        self._reply = reply
        self._twin = ObservedReply(reply)
        self.given = ex, self._twin

    def is_given(self, reply: Reply) -> bool:
        return reply is self._twin or reply is self._reply

    def discard(self, reply: Reply) -> None:
        if reply.stream is None or reply.stream is not self._reply.stream:
            reply.abandon()

    def undo(self) -> list[str]:
        reply, twin = self._reply, self._twin
        changes = ["status"] if twin.status != reply.status else []
        changes += differences(reply.headers, twin.headers)
        return [*changes, "body"] if twin.is_transformed or twin.entity is not reply.entity else changes


class ObservedReply(Reply):
    """Another reply's looks: whatever is done to it, that one stays as it is and goes on streaming."""

    __slots__ = ("_source", "is_transformed")

    def __init__(self, reply: Reply) -> None:
        super().__init__(
            reply.status, reply.headers.copy(), None, stream=reply.stream, length=reply.length, reason=reply.reason, upstream=reply.upstream
        )
        self.entity = reply.entity
        self.has_raw_bytes = reply.has_raw_bytes
        self.is_transformed = False
        self._source: Stream | None = reply.stream

    async def read(self, limit: int) -> bytes | None:
        if self.entity is not None:
            return await super().read(limit)
        assert self._source is not None
        pieces, is_whole = await self._source.peek(limit)
        return b"".join(pieces) if is_whole else None

    def transform(self, each: Callable[[bytes, bool], Awaitable[bytes]], end: Callable[[], bytes]) -> None:
        self.is_transformed = True
        self.length = None

    def abandon(self) -> None:
        """The real one is sent."""


def differences(before: Headers, after: Headers) -> list[str]:
    """Which fields were set anew, changed and removed: their names, and nothing of what stands in them."""
    names = {name.lower(): name for name in (*before, *after)}
    told: dict[str, list[str]] = {"sets": [], "changes": [], "removes": []}
    for name in names.values():
        old, new = before.getall(name, []), after.getall(name, [])
        if old != new:
            told["sets" if not old else "changes" if new else "removes"].append(name)
    return [f"{verb} {', '.join(found)}" for verb, found in told.items() if found]


def _has_answered(name: str, ex: Exchange) -> bool:
    return any(kind == OBSERVE and fields["plugin"] == name and "status" in fields for kind, fields in ex.notes or ())


def _body_hook(name: str, hook: str, call: Any) -> Any:
    """A hook that sees the body's pieces, and whose pieces are not sent."""

    def note(ex: Exchange) -> None:
        told: dict[str, object] = {"plugin": name, "reply": "body"}
        if (OBSERVE, told) not in (ex.notes or ()):  # once, not for each piece
            ex.note(OBSERVE, **told)

    def attempt(ex: Exchange, *piece: bytes) -> None:
        if _has_answered(name, ex):
            return  # it would have seen no more of it
        try:
            if call(ex, *piece) != (piece[0] if piece else b""):
                note(ex)
        except GatewayError as error:
            ex.note(OBSERVE, plugin=name, status=error.status)
        except Exception as error:
            _blame(name, hook, ex, error)

    def on_chunk(ex: Exchange, chunk: bytes) -> bytes:
        attempt(ex, chunk)
        return chunk

    def on_body_end(ex: Exchange) -> bytes:
        attempt(ex)
        return b""

    return on_chunk if hook == "on_chunk" else on_body_end


def _blame(name: str, hook: str, ex: Exchange, error: Exception) -> None:
    """A bug of a plugin that only observes: the client shall not see it, its author shall."""
    log.error("%s: %s failed, observing: route=%s request_id=%s", name, hook, ex.route, ex.request_id, exc_info=error)
    ex.note(OBSERVE, plugin=name, status=500)
