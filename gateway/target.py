"""One canonical target: what routing, plugins and the upstream all see, so that none of them can be talked round."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from gateway.errors import BadRequest


class Target(NamedTuple):
    """A request target in canonical form."""

    target: str  # path and query as they go upstream
    path: str  # decoded once
    query: str  # as sent, without the "?"


# pchar of RFC 3986, section 3.3, without "." and ";": these two may carry meaning and go the long way.
_PLAIN = r"A-Za-z0-9_~!$&'()*+,=:@\-"
# Printable ASCII without "#". Browsers send much raw that RFC 3986 wants encoded, and broken escapes are common: no reader routes by them.
_QUERY = r"[\x21\x22\x24-\x7e]*+"

_USUAL = re.compile(rf"(?=/)((?:/[{_PLAIN}][{_PLAIN}.]*+)*+/?+)(?:\?({_QUERY}))?")
_VALID_QUERY = re.compile(_QUERY)
# Browsers leave [ ] ^ | raw in a path (WHATWG URL, path percent-encode set); they pass, encoded.
_VALID_PATH = re.compile(rf"/(?:[{_PLAIN}.;/\[\]^|]|%[0-9A-Fa-f]{{2}})*+")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_REWRITTEN = re.compile(r"%..|[\[\]^|]")
_DOUBLE_ENCODED = re.compile(r"%[0-9A-Fa-f]{2}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
# Servers that know path parameters drop them, and then see "", "." or ".." where others see a name.
_VANISHING_SEGMENT = re.compile(r"/\.{0,2}(?:;|%3B)")
_ABSOLUTE = re.compile(r"https?://([^/?#]*)(.*)", re.ASCII | re.IGNORECASE | re.DOTALL)

_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_REFUSED = frozenset([*range(0x20), 0x2F, 0x5C, 0x7F])

_new = tuple.__new__  # Target(...) is a Python function on top of it: twice the time


def _escape(code: int) -> str:
    """RFC 3986, section 6.2.2: an unreserved character stands for itself, all else is written with upper-case digits."""
    return chr(code) if chr(code) in _UNRESERVED else f"%{code:02X}"


_SPELLINGS = {raw: _escape(ord(raw)) for raw in "[]^|"} | {
    f"%{high}{low}": _escape(code)
    for code in range(256)
    if code not in _REFUSED
    for high in {f"{code >> 4:x}", f"{code >> 4:X}"}
    for low in {f"{code & 15:x}", f"{code & 15:X}"}
}


def canonical(target: str, host: str = "") -> Target:
    """The canonical form of a request target (RFC 3986, section 6.2.2) in origin-form, or in absolute-form for `host`.

    Escaped unreserved characters are decoded, `//` is merged, dot segments are removed, a trailing slash stays as it is.
    `host` is the Host field as `valid_host` returns it. Raises BadRequest when two readers could understand the target
    differently, and for the other forms (RFC 9112, section 3.2).
    """
    usual = _USUAL.fullmatch(target)
    if usual is not None:
        return _new(Target, (target, *usual.groups("")))
    if target[:1] != "/":
        target = _origin_form(target, host)
    path, mark, query = target.partition("?")
    if _VALID_QUERY.fullmatch(query) is None:
        raise BadRequest("The query holds a character that must be percent-encoded.")
    path, text = _canonical_path(path)
    return Target(path + mark + query, text, query)


def _origin_form(target: str, host: str) -> str:
    """What follows the authority of an absolute-form; it must name the host that the Host field names."""
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None:
        raise BadRequest("The request target must be a path or an http(s) URL.")
    authority, rest = absolute.groups()
    if not host or authority.lower() != host:
        raise BadRequest("The request target and the Host field name different hosts.")
    return rest if rest[:1] == "/" else "/" + rest


def _canonical_path(path: str) -> tuple[str, str]:
    """The path in canonical form, and its text."""
    if _VALID_PATH.fullmatch(path) is None:
        if _BAD_ESCAPE.search(path):
            raise BadRequest("The path holds a broken percent-escape.")
        raise BadRequest("The path holds a character that must be percent-encoded.")
    try:
        path = _REWRITTEN.sub(lambda found: _SPELLINGS[found[0]], path)
    except KeyError:
        raise BadRequest("The path holds an encoded slash, backslash or control character.") from None
    if _VANISHING_SEGMENT.search(path):
        raise BadRequest("A segment of the path consists of parameters only.")
    text = _decoded(path)
    resolved = _resolved(path)
    return resolved, (text if resolved == path else _decoded(resolved))


def _decoded(path: str) -> str:
    if "%" not in path:
        return path
    try:
        text = unquote_to_bytes(path).decode()
    except UnicodeDecodeError:
        raise BadRequest("The path is not UTF-8 when decoded.") from None
    if _CONTROL.search(text):
        raise BadRequest("The path holds an encoded slash, backslash or control character.")
    if _DOUBLE_ENCODED.search(text):
        raise BadRequest("The path is percent-encoded twice.")
    return text


def _resolved(path: str) -> str:
    """Without empty and dot segments (RFC 3986, section 5.2.4), but climbing over the root is refused, not ignored."""
    segments = path.split("/")
    kept: list[str] = []
    for segment in segments:
        if segment == "..":
            if not kept:
                raise BadRequest("The path climbs over the root.")
            kept.pop()
        elif segment not in ("", "."):
            kept.append(segment)
    if kept and segments[-1] in ("", ".", ".."):
        kept.append("")
    return "/" + "/".join(kept)
