"""What a request says that its body is."""

from __future__ import annotations

from collections.abc import Iterable
from email.message import Message

from gateway.errors import UnsupportedMediaType
from gateway.exchange import Exchange

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"
CHARSETS = frozenset({"", "utf-8", "utf8", "us-ascii"})


def has_body(ex: Exchange) -> bool:
    """Whether bytes follow the head, or may: then a type must be told."""
    return bool(ex.body_at_hand) if ex.body_at_hand is not None else ex.stream is not None and ex.content_length != 0


def media_type(ex: Exchange) -> tuple[str, str]:
    """In lower case, and for multipart its boundary, both "" when not told. Raises UnsupportedMediaType for another charset than UTF-8."""
    told = ex.headers.getall("Content-Type", ())
    if len(told) != 1 or not told[0].strip():
        return "", ""
    if told[0].isascii() and ";" not in told[0]:
        return told[0].strip().lower(), ""
    parsed = Message()
    parsed["Content-Type"] = told[0]
    if str(parsed.get_param("charset", "")).strip().lower() not in CHARSETS or told[0].lower().count("charset") > 1:
        raise UnsupportedMediaType("Text is UTF-8 here.")
    boundary = parsed.get_param("boundary", "")
    return told[0].partition(";")[0].strip().lower(), boundary if isinstance(boundary, str) else ""


def is_json(media: str) -> bool:
    """RFC 6839, section 3.1: `application/problem+json` is JSON, too."""
    return media == JSON or media.endswith("+json")


def matching(media: str, ranges: Iterable[str]) -> str | None:
    """The most specific of these that it is: itself, `application/*+json`, `text/*` or `*/*`; None when it is none of them."""
    return max((one for one in ranges if _is_in(media, one)), key=_specificity, default=None)


def _is_in(media: str, one: str) -> bool:
    before, star, after = one.partition("*")
    return media == one or (bool(star) and media.startswith(before) and media.endswith(after)) or (one == "*/*" and bool(media))


def _specificity(one: str) -> tuple[bool, int]:
    return "*" not in one, len(one)
