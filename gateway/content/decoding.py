"""Content-Encoding of a request undone, within a size and a ratio: a few bytes may stand for gigabytes (RFC 9110, section 8.4)."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator

import brotli
import zstandard

from gateway.errors import BadRequest, PayloadTooLarge, UnsupportedMediaType

PIECE = 1 << 16
SLICE = 64
"""Bytes given to zstd at a time, whose output has no other bound: sixteen blocks of 128 KiB at most (RFC 8878, section 3.1.1.2)."""
WINDOW = 8 << 20
"""Bytes of memory that a zstd frame may ask for (RFC 9659)."""
SMALL = 16 << 10
"""Bytes that a body may have after decoding whatever its ratio: little text repeats itself."""


def decoded(body: bytes, encodings: str, limit: int, ratio: int) -> bytes:
    """The body without its encodings, of which there is at most one: twice compressed is an attack.

    Raises UnsupportedMediaType for one that is not known here, BadRequest when it is broken or something follows it, and PayloadTooLarge
    beyond `limit` bytes, or `ratio` times those of the body.
    """
    names = [name.strip().lower() for name in encodings.split(",")]
    names = [name for name in names if name not in ("", "identity")]
    if not names:
        return body
    decode = _DECODERS.get(names[0]) if len(names) == 1 else None
    if decode is None:
        raise UnsupportedMediaType("This Content-Encoding is not accepted here.", headers=[("Accept-Encoding", ", ".join(_DECODERS))])
    most = min(limit, max(SMALL, len(body) * ratio))
    pieces: list[bytes] = []
    size = 0
    try:
        for piece in decode(body):
            size += len(piece)
            if size > most:
                raise PayloadTooLarge(most)
            pieces.append(piece)
    except (zlib.error, brotli.error, zstandard.ZstdError, EOFError) as error:
        raise BadRequest("The body is not what its Content-Encoding says.", reason=str(error)) from None
    return b"".join(pieces)


def _inflated(body: bytes, window: int) -> Iterator[bytes]:
    inflater = zlib.decompressobj(window)
    while body and not inflater.eof:
        yield inflater.decompress(body, PIECE)
        body = inflater.unconsumed_tail
    while not inflater.eof:  # what is left fits no piece any more
        if not (rest := inflater.decompress(b"", PIECE)):
            raise EOFError("the stream is cut short")
        yield rest
    if inflater.unused_data:
        raise EOFError("something follows the stream")


def _gzip(body: bytes) -> Iterator[bytes]:
    return _inflated(body, 16 + zlib.MAX_WBITS)


def _deflate(body: bytes) -> Iterator[bytes]:
    """A zlib stream, as the name means (RFC 9110, section 8.4.1.2)."""
    return _inflated(body, zlib.MAX_WBITS)


def _brotli(body: bytes) -> Iterator[bytes]:
    decompressor = brotli.Decompressor()
    yield decompressor.process(body, output_buffer_limit=PIECE)
    while not decompressor.is_finished():
        if not (rest := decompressor.process(b"", output_buffer_limit=PIECE)):
            raise EOFError("the stream is cut short")
        yield rest


def _zstd(body: bytes) -> Iterator[bytes]:
    decompressor = zstandard.ZstdDecompressor(max_window_size=WINDOW).decompressobj()
    for start in range(0, len(body), SLICE):
        if decompressor.eof:
            raise EOFError("something follows the stream")
        yield decompressor.decompress(body[start : start + SLICE])
    if not decompressor.eof:
        raise EOFError("the stream is cut short")
    if decompressor.unused_data:
        raise EOFError("something follows the stream")


_DECODERS: dict[str, Callable[[bytes], Iterator[bytes]]] = {
    "gzip": _gzip, "x-gzip": _gzip, "deflate": _deflate, "br": _brotli, "zstd": _zstd,
}  # fmt: skip
