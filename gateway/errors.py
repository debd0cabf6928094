"""What can go wrong: mistakes in a policy, and failures of one exchange. Each knows how it is told to whom it concerns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

PROBLEM = "urn:gateway:problem:"
"""Prefix of the problem types of our own (RFC 9457, section 3.1.1); docs/problems.md lists them."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake in a policy: where it stands, what is wrong, what to write instead."""

    file: str
    line: int  # from 1; 0 when the whole file is meant
    column: int  # from 1
    path: str  # routes[3].plugins[1].rate_limit.widow
    why: str
    hint: str = ""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        subject = f"{self.path}: " if self.path else ""
        return f"{where}: {subject}{self.why}" + (f"; {self.hint}" if self.hint else "")


class SecretMistake(Mistake):
    """One in a file of secrets: its line is not shown."""

    __slots__ = ()


class ConfigError(Exception):
    """A policy that cannot be compiled, with every mistake that was found in it.

    `files` are absolute, those that were asked for before it was given up: one that is missing may come.
    """

    def __init__(self, mistakes: Sequence[Mistake], files: Sequence[Path] = ()) -> None:
        super().__init__("\n".join(str(mistake) for mistake in mistakes))
        self.mistakes = tuple(mistakes)
        self.files = tuple(files)


class GatewayError(Exception):
    """A failure that is an answer: the pipeline turns it into a problem+json reply (RFC 9457).

    `detail` and `fields` are shown to the client; what only operators may see goes into `reason`, which is logged.
    """

    status: ClassVar[int] = 500
    slug: ClassVar[str] = "internal-error"
    title: ClassVar[str] = "The gateway failed"

    def __init__(
        self,
        detail: str = "",
        *,
        reason: str = "",
        headers: Sequence[tuple[str, str]] = (),
        fields: dict[str, object] | None = None,
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail
        self.reason = reason
        self.headers = tuple(headers)
        self.fields = fields or {}

    @property
    def type(self) -> str:
        return PROBLEM + self.slug


class PluginError(GatewayError):
    """A plugin raised what it should not have: its bug, by name, in the log; a plain 500 for the client."""


class BadRequest(GatewayError):
    status, slug, title = 400, "bad-request", "The request is malformed"


class InvalidJson(BadRequest):
    """No JSON, or JSON that two readers could understand differently (RFC 8259, RFC 7493)."""

    slug, title = "invalid-json", "The body is not valid JSON"


class Unauthorized(GatewayError):
    status, slug, title = 401, "unauthorized", "Authentication is required"


class Forbidden(GatewayError):
    status, slug, title = 403, "forbidden", "Access is refused"


class NotFound(GatewayError):
    status, slug, title = 404, "not-found", "No route matches this request"


class MethodNotAllowed(GatewayError):
    """405; `allow` fills the Allow field (RFC 9110, section 15.5.6)."""

    status, slug, title = 405, "method-not-allowed", "The method is not allowed here"

    def __init__(self, allow: Sequence[str]) -> None:
        methods = ", ".join(allow)
        super().__init__(f"Allowed here: {methods}." if allow else "", headers=[("Allow", methods)])


class RequestTimeout(GatewayError):
    status, slug, title = 408, "request-timeout", "The request took too long to arrive"


class PayloadTooLarge(GatewayError):
    status, slug, title = 413, "payload-too-large", "The request body is too large"

    def __init__(self, limit: int) -> None:
        super().__init__(f"At most {limit} bytes are accepted here.", fields={"limit": limit})


class TargetTooLong(GatewayError):
    status, slug, title = 414, "target-too-long", "The request target is too long"


class UnsupportedMediaType(GatewayError):
    """415, also for a Content-Encoding that is not decoded here (RFC 9110, section 15.5.16)."""

    status, slug, title = 415, "unsupported-media-type", "A body of this type is not accepted here"


class ExpectationFailed(GatewayError):
    status, slug, title = 417, "expectation-failed", "The expectation cannot be met"


class Unprocessable(GatewayError):
    status, slug, title = 422, "unprocessable", "The request cannot be carried out"


class TooComplex(Unprocessable):
    """A body of which there is too much inside: levels, values, parts."""

    slug, title = "too-complex", "The body has more in it than is accepted here"


class InvalidRequest(Unprocessable):
    """Not what a schema asks for. `violations` say where, as JSON Pointers (RFC 6901), and why; never what was sent."""

    slug, title = "invalid-request", "The request is not as it must be"


class UnsafeContent(Unprocessable):
    """Content that is harmful where it is shown or used without care; told like `InvalidRequest`."""

    slug, title = "unsafe-content", "The request holds what is refused here"


class QuotaExceeded(GatewayError):
    """429, with the problem type that draft-ietf-httpapi-ratelimit-headers-10, section 6 registers."""

    status, slug, title = 429, "quota-exceeded", "Too many requests"

    @property
    def type(self) -> str:
        return "https://iana.org/assignments/http-problem-types#quota-exceeded"


class HeadTooLarge(GatewayError):
    status, slug, title = 431, "head-too-large", "The request header fields are too large"


class Unimplemented(GatewayError):  # not NotImplemented, which is a builtin
    status, slug, title = 501, "not-implemented", "The gateway does not do this"


class BadGateway(GatewayError):
    """The upstream sent something that is not an answer."""

    status, slug, title = 502, "bad-gateway", "The upstream's answer is unusable"


class UpstreamUnreachable(GatewayError):
    """No connection to any target of the upstream, or it broke before the answer's head."""

    status, slug, title = 502, "upstream-unreachable", "The upstream cannot be reached"


class Unavailable(GatewayError):
    status, slug, title = 503, "unavailable", "The gateway cannot serve this now"


class CallFailed(Unavailable):
    """A service that the gateway itself asks, for a key or a decision, did not answer as it should."""

    slug, title = "dependency-unavailable", "A service that the gateway needs does not answer"


class ReducedCapacity(Unavailable):
    """503 because there is too much at once, with the problem type that draft-ietf-httpapi-ratelimit-headers-10, section 6 registers."""

    slug, title = "temporary-reduced-capacity", "Too much is asked at once"

    @property
    def type(self) -> str:
        return "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity"


class UpstreamTimeout(GatewayError):
    status, slug, title = 504, "upstream-timeout", "The upstream took too long"


class NotCached(GatewayError):
    """504 for `Cache-Control: only-if-cached` (RFC 9111, section 5.2.1.7)."""

    status, slug, title = 504, "not-cached", "No stored answer can be used"


class VersionNotSupported(GatewayError):
    status, slug, title = 505, "version-not-supported", "Only HTTP/1.0 and HTTP/1.1 are spoken here"


class ClientGone(Exception):
    """The client's connection is lost: nobody is left to answer. Not a GatewayError, for it can't be an answer."""
