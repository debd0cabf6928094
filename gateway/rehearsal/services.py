"""What the gateway asks of other services, answered by stubs: a JWKS, an authorization service, a webhook."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gateway.errors import CallFailed
from gateway.exchange import Headers, Reply
from gateway.rehearsal.answer import Answer
from gateway.rehearsal.clock import Clock

Serve = Callable[[str, str], Answer | None]
"""The answer to a method and a URL; None where nothing is said of it."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One question of the gateway's own."""

    method: str
    url: str
    status: int | None  # None: there was no answer


class Services:
    """In place of gateway.outbound. `asked` fills as questions come."""

    def __init__(self, serve: Serve, clock: Clock) -> None:
        self.asked: list[Asked] = []
        self._serve = serve
        self._clock = clock

    async def call(self, method: str, url: str, headers: Mapping[str, str], body: bytes, within: float, limit: int) -> Reply:
        """Raises CallFailed as the real one does."""
        answer = self._serve(method, url)
        self.asked.append(Asked(method, url, answer.status if answer is not None and answer.fail is None else None))
        if answer is None:
            raise CallFailed(reason=f"{method} {url}: a rehearsal asks nobody; say under services what is answered there")
        if answer.fail == "timeout" or answer.delay > within:
            self._clock.advance(within)
            raise CallFailed(reason=f"{method} {url}: no whole answer within {within:g} s")
        if answer.fail is not None:
            raise CallFailed(reason=f"{method} {url}: the connection was {'refused' if answer.fail == 'refused' else 'reset'}")
        if len(answer.body) > limit:
            raise CallFailed(reason=f"{method} {url}: the answer is longer than {limit} bytes")
        self._clock.advance(answer.delay)
        return Reply(answer.status, Headers(answer.headers), answer.body)


def silence(method: str, url: str) -> None:
    """Nothing is said of any service."""
