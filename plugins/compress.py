"""Replies encoded for the way: zstd, br or gzip, as the client's Accept-Encoding weighs them (RFC 9110, section 12.5.3).

Upstreams are asked for plain bytes, so that plugins below can read what they answer, and a stored answer is one for all clients: its
encoded forms are kept with it, each made once.
"""

from __future__ import annotations

import asyncio
import re
import zlib
from collections.abc import Callable, Coroutine
from functools import lru_cache, partial
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Protocol

import brotli
import zstandard
from multidict import istr
from pydantic import AfterValidator

from gateway.plugin import End, Entity, Exchange, Field, Host, Many, Plugin, Reply, Settings, Size

INLINE = 16 * 1024
"""Bytes up to which encoding costs less than handing it to a thread and back: at most half a millisecond."""
WINDOW = 18
"""Of a stream's encoder, as a power of two: 256 KiB to look back into cost it a megabyte or so, not ten."""

ACCEPT, ENCODING, TYPE, VARY = istr("Accept-Encoding"), istr("Content-Encoding"), istr("Content-Type"), istr("Vary")
CONTROL, ETAG, CONDITION = istr("Cache-Control"), istr("ETag"), istr("If-None-Match")
OF_PLAIN_BYTES = tuple(map(istr, ("Accept-Ranges", "Content-MD5", "Digest", "Content-Digest", "Repr-Digest")))
"""Fields that are wrong of the encoded form (RFC 9110, sections 8.8.1 and 14.3; RFC 9530, section 2)."""
UNTOUCHED = frozenset({101, 204, 205, 206})
"""They have no body, or a part of one, which an encoding would make another's."""

_MEMBER = re.compile(r"[ \t]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*(?:;[ \t]*[qQ]=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)[ \t]*)?")
_TYPE = re.compile(r"(?:[!#$&^_.+0-9a-z-]+|\*)/(?:[!#$&^_.+0-9a-z-]+|\*(?:\+[a-z]+)?)")
_NO_TRANSFORM = re.compile(r"(?:^|,)[ \t]*no-transform[ \t]*(?:,|$)", re.IGNORECASE)

Coding = Literal["zstd", "br", "gzip"]


class Encoder(Protocol):
    """Of one body that comes in pieces."""

    def more(self, piece: bytes, flush: bool) -> bytes:
        """What can be sent; with `flush`, all of it that came so far."""

    def end(self) -> bytes: ...


class Gzip:
    def __init__(self) -> None:
        self._compress = zlib.compressobj(6, zlib.DEFLATED, 31)

    def more(self, piece: bytes, flush: bool) -> bytes:
        data = self._compress.compress(piece)
        return data + self._compress.flush(zlib.Z_SYNC_FLUSH) if flush else data

    def end(self) -> bytes:
        return self._compress.flush()


class Brotli:
    def __init__(self) -> None:
        self._compress = brotli.Compressor(quality=4, lgwin=WINDOW)

    def more(self, piece: bytes, flush: bool) -> bytes:
        data: bytes = self._compress.process(piece)
        return data + self._compress.flush() if flush else data

    def end(self) -> bytes:
        rest: bytes = self._compress.finish()
        return rest


class Zstandard:
    def __init__(self) -> None:
        parameters = zstandard.ZstdCompressionParameters.from_level(3, window_log=WINDOW)
        self._compress = zstandard.ZstdCompressor(compression_params=parameters).compressobj()

    def more(self, piece: bytes, flush: bool) -> bytes:
        data = self._compress.compress(piece)
        return data + self._compress.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK) if flush else data

    def end(self) -> bytes:
        return self._compress.flush()


ENCODERS: dict[str, Callable[[], Encoder]] = {"zstd": Zstandard, "br": Brotli, "gzip": Gzip}
WHOLE: dict[str, Callable[[bytes], bytes]] = {
    "zstd": lambda data: zstandard.compress(data, 3),
    "br": lambda data: brotli.compress(data, quality=5),
    "gzip": lambda data: zlib.compress(data, 6, 31),
}


def _type(value: str) -> str:
    if _TYPE.fullmatch(value) is None:
        raise ValueError(f'"{value}" is no media type; write it in lower case and without parameters, as in text/*, application/*+json')
    return value


def _without_repetition(values: tuple[Coding, ...]) -> tuple[Coding, ...]:
    if not values or len(set(values)) < len(values):
        raise ValueError("list each encoding once, the best first; to encode nothing, leave the plugin out")
    return values


class CompressSettings(Settings):
    shorthand: ClassVar[str] = "encodings"

    encodings: Annotated[Many[Coding], AfterValidator(_without_repetition)] = Field(
        ("zstd", "br", "gzip"),
        description="What a body may be encoded with, the best first: of those a client weighs alike, the first is taken.",
    )
    min_size: Size = Field(1024, description="Bytes below which a body is sent as it is. A stream whose length nobody knows is encoded.")
    types: Many[Annotated[str, AfterValidator(_type)]] = Field(
        (
            "text/*", "application/json", "application/*+json", "application/javascript", "application/xml", "application/*+xml",
            "application/x-ndjson", "application/wasm", "application/vnd.ms-fontobject", "font/otf", "font/ttf",
            "image/bmp", "image/svg+xml",
        ),
        description="Media types that are worth it, * for any: text/*, application/*+json. text/event-stream is never among them.",
    )  # fmt: skip


class Choice(NamedTuple):
    """What a client's Accept-Encoding comes to."""

    coding: str | None  # None: send it as it is
    takes_plain: bool = True  # it may be sent as it is


class Asked(NamedTuple):
    choice: Choice
    condition: str  # the request's If-None-Match, as the client sent it


PLAIN = Asked(Choice(None), "")


class Compress(Plugin[CompressSettings]):
    once = True

    def __init__(self, settings: CompressSettings, host: Host) -> None:
        super().__init__(settings, host)
        self._min_size = settings.min_size
        self._choose = lru_cache(256)(partial(choose, settings.encodings))
        self._is_worth_it = lru_cache(256)(partial(matches, pattern(settings.types)))
        self._asked: dict[Exchange, Asked] = {}
        self._under_way: dict[tuple[Entity, str], asyncio.Task[bytes]] = {}

    def on_request(self, ex: Exchange) -> None:
        headers = ex.headers
        if ACCEPT in headers or CONDITION in headers:
            choice = self._choose(", ".join(ex.take_header(ACCEPT)))
            self._asked[ex] = Asked(choice, ", ".join(headers.getall(CONDITION, ())))

    def on_response(self, ex: Exchange, reply: Reply) -> Coroutine[Any, Any, None] | None:
        asked = self._asked.get(ex, PLAIN)
        headers = reply.headers
        if reply.status == 304:
            self._answer_condition(asked, reply)
        if reply.status in UNTOUCHED or reply.status == 304 or ENCODING in headers or not self._is_worth_it(*headers.getall(TYPE, ())):
            return None
        if CONTROL in headers and _NO_TRANSFORM.search(", ".join(headers.getall(CONTROL))):
            return None  # RFC 9111, section 5.2.2.6
        coding, takes_plain = asked.choice
        entity = reply.entity
        length = reply.length if entity is None or (ex.method == "HEAD" and not entity.data) else len(entity.data)
        if length is not None and length < self._min_size and (takes_plain or not length):
            return None
        headers[VARY] = varying(", ".join(headers.getall(VARY))) if VARY in headers else "Accept-Encoding"
        if coding is None:
            return None
        headers[ENCODING] = coding
        if ETAG in headers:
            weaken(headers.getall(ETAG), reply)
        if not headers.keys().isdisjoint(OF_PLAIN_BYTES):
            for name in OF_PLAIN_BYTES:
                headers.popall(name, None)
        return self._encode(ex, reply, coding)

    def on_end(self, ex: Exchange, end: End) -> None:
        self._asked.pop(ex, None)

    def explain(self, ex: Exchange) -> str:
        choice = self._choose(", ".join(ex.take_header(ACCEPT)))
        return f"encodes a reply that is worth it with {choice.coding}" if choice.coding else "sends replies as they are"

    def _answer_condition(self, asked: Asked, reply: Reply) -> None:
        """The client's copy was an encoded one, if it knows it by the tag that was made weak for it: it shall find it again."""
        tags = reply.headers.getall(ETAG, ())
        if len(tags) == 1 and f"W/{tags[0]}" in asked.condition:
            weaken(tags, reply)
            reply.headers[VARY] = varying(", ".join(reply.headers.getall(VARY, ())))

    def _encode(self, ex: Exchange, reply: Reply, coding: str) -> Coroutine[Any, Any, None] | None:
        entity = reply.entity
        reply.length = None  # that of the plain bytes
        if entity is None:
            if ex.method != "HEAD":
                encoder = ENCODERS[coding]()
                reply.transform(partial(self._pass, encoder), encoder.end)
            return None
        encoded = entity.encoded.get(coding)
        if ex.method == "HEAD":
            reply.entity = Entity(encoded or b"")  # its length is told when it is known (RFC 9110, section 8.6)
            return None
        if encoded is None:
            if len(entity.data) > INLINE:
                return self._encode_later(reply, entity, coding)
            encoded = entity.encoded[coding] = WHOLE[coding](entity.data)
        reply.entity = Entity(encoded)
        return None

    async def _encode_later(self, reply: Reply, entity: Entity, coding: str) -> None:
        """In a thread; those who want the same meanwhile wait for it, and it goes on when the first of them has left."""
        key = (entity, coding)
        task = self._under_way.get(key)
        if task is None:
            work = self.host.run_blocking(partial(WHOLE[coding], entity.data))
            task = self._under_way[key] = asyncio.get_running_loop().create_task(work)
            task.add_done_callback(partial(self._encoded, key))
        reply.entity = Entity(await asyncio.shield(task))

    def _encoded(self, key: tuple[Entity, str], task: asyncio.Task[bytes]) -> None:
        del self._under_way[key]
        if not task.cancelled() and task.exception() is None:
            entity, coding = key
            entity.encoded[coding] = task.result()

    async def _pass(self, encoder: Encoder, piece: bytes, is_last: bool) -> bytes:
        """`is_last`: of those that have come. What has come is sent, and does not wait in the encoder for more."""
        if len(piece) <= INLINE:
            return encoder.more(piece, is_last)
        data: bytes = await self.host.run_blocking(partial(encoder.more, piece, is_last))
        return data


def choose(encodings: tuple[str, ...], accept: str) -> Choice:
    """The coding that `accept` weighs highest, the first of `encodings` among equals; one that does not parse is not taken.

    Without the field anything would be acceptable (RFC 9110, section 12.5.3), but who sends none is seldom able to decode.
    """
    weights: dict[str, float] = {}
    for member in accept.split(","):
        if (match := _MEMBER.fullmatch(member)) is not None:
            name = match[1].lower().removeprefix("x-")  # x-gzip is gzip (section 8.4.1.3)
            weights[name] = max(weights.get(name, 0.0), float(match[2] or 1.0))
    other = weights.get("*")
    plain = weights.get("identity", other)
    best = max(encodings, key=lambda coding: weights.get(coding, other or 0.0))
    weight = weights.get(best, other or 0.0)
    is_taken = weight > 0.0 and (plain is None or weight >= plain)
    return Choice(best if is_taken else None, plain is None or plain > 0.0)


def pattern(types: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(re.escape(one).replace(r"\*", r"[^/;]+") for one in types) or "(?!)")


def matches(types: re.Pattern[str], *content_types: str) -> bool:
    """Of one Content-Type; two of them say nothing."""
    if len(content_types) != 1:
        return False
    essence = content_types[0].partition(";")[0].strip().lower()
    return essence != "text/event-stream" and types.fullmatch(essence) is not None


def weaken(tags: Any, reply: Reply) -> None:
    """The encoded bytes are not those that a strong tag promises (RFC 9110, section 8.8.3.3)."""
    if len(tags) == 1 and not tags[0].startswith("W/"):
        reply.headers[ETAG] = f"W/{tags[0]}"


@lru_cache(256)
def varying(vary: str) -> str:
    """A Vary that has Accept-Encoding among its names."""
    names = {name.strip().lower() for name in vary.split(",")}
    return vary if "accept-encoding" in names or "*" in names else f"{vary}, Accept-Encoding" if vary.strip() else "Accept-Encoding"
