"""Message heads, from bytes and to bytes. The one file that knows aiohttp's privates: its C parser and its C serializer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from multidict import CIMultiDict, istr

from gateway.errors import BadRequest, GatewayError, VersionNotSupported

_NO_LIMIT = 1 << 30  # the front counts for itself: its limits answer 414 and 431, which the parser can't tell apart


def _first_parser(*arguments: Any, **options: Any) -> Any:
    _load()
    return _parser_class(*arguments, **options)


def _first_serialize(line: str, headers: CIMultiDict[str]) -> Any:
    _load()
    return _serialize(line, headers)


# These stand for aiohttp's until a gateway starts, or a first head comes: what never sees one, such as `gateway check`, shall not wait for
# aiohttp to be imported: that takes a fifth of its time.
_parser_class: Any = _first_parser
_serialize: Any = _first_serialize
_bad_message: type[Exception] = Exception


def _load() -> None:
    global _parser_class, _serialize, _bad_message
    from aiohttp import http_exceptions, http_parser, http_writer

    _parser_class = getattr(http_parser, "HttpRequestParserC", None)
    _serialize = http_writer._serialize_headers
    _bad_message = http_exceptions.BadHttpMessage


def require_c_extensions() -> None:
    """Raise RuntimeError unless aiohttp's C parser and serializer are there: its Python parser is laxer, and slow."""
    import aiohttp

    if _bad_message is Exception:
        _load()
    if _parser_class is None or _serialize is aiohttp.http_writer._py_serialize_headers:
        raise RuntimeError(
            f"aiohttp {aiohttp.__version__} runs without its C extensions (AIOHTTP_NO_EXTENSIONS, or a build without them); install a wheel"
        )


class HeadParser:
    """Request heads only: llhttp, strict, and told that no message has a body.

    Bodies are framed by the front. So the parser never holds bytes back between messages, a good request in front of a bad one
    is answered, and a request's trailers cannot leak into the next request (they do in aiohttp 3.14.5).
    """

    __slots__ = ("_feed",)

    def __init__(self, loop: Any) -> None:
        parser = _parser_class(
            None, loop, 0, max_line_size=_NO_LIMIT, max_headers=_NO_LIMIT, max_field_size=_NO_LIMIT,
            response_with_body=False, auto_decompress=False,
        )  # fmt: skip
        self._feed = parser.feed_data

    def feed(self, data: bytes) -> Any:
        """A RawRequestMessage when `data` completes a head, else None. Raises BadRequest or VersionNotSupported."""
        try:
            messages = self._feed(data)[0]
        except _bad_message as error:
            raise _refusal(error) from error
        return messages[0][0] if messages else None


def _refusal(error: Any) -> GatewayError:
    reason = " ".join(str(error.message).split())
    if "Invalid HTTP version" in reason:
        return VersionNotSupported(reason=reason)
    return BadRequest(reason=reason)


def serialize(line: str, headers: CIMultiDict[str], *, has_raw_bytes: bool = False) -> bytes:
    """A head: its first line and its fields. Raises ValueError on a control byte (RFC 9110, section 5.5).

    `has_raw_bytes`: a value may hold bytes that are not UTF-8, as lone surrogates; the C serializer would drop these.
    """
    data: bytes = _serialize(line, headers)
    if has_raw_bytes:
        return "".join([line, "\r\n", *[f"{name}: {value}\r\n" for name, value in headers.items()], "\r\n"]).encode(
            "utf-8", "surrogateescape"
        )
    return data


class Names(dict[bytes, "tuple[istr, int]"]):
    """Field names as sent -> (name, kind): each spelling is looked at once. Bounded, for a client may invent names."""

    __slots__ = ("_kind_of",)

    MOST = 4096

    def __init__(self, kind_of: Callable[[str], int]) -> None:
        """`kind_of` is asked for the kind of a name in lower case."""
        super().__init__()
        self._kind_of = kind_of

    def __missing__(self, raw: bytes) -> tuple[istr, int]:
        text = raw.decode("latin-1")
        found = istr(text), self._kind_of(text.lower())
        if len(self) < self.MOST and len(raw) <= 64:
            self[raw] = found
        return found
