"""JSON that has one meaning for every reader: RFC 8259 by the letter, and of RFC 7493 (I-JSON) what keeps two readers from differing.

orjson refuses what is no JSON: NaN, bytes that are not UTF-8, a byte order mark, lone surrogates, what follows the value. It takes
the last of two members of one name, and makes a float of an integer that it cannot hold: both are refused here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import orjson

from gateway.errors import InvalidJson, TooComplex

_FEW_DIGITS, _MANY_DIGITS = b"0" * 19, b"0" * 400
"""Runs of digits that may be an integer beyond 64 bits, and those that no number needs: parsing one takes time for each."""
_DIGITS = bytes.maketrans(b"123456789", b"000000000")
_INTEGER = re.compile(rb"(?<![0-9.eE+-])-?[0-9]{19,}(?![0-9.eE])")
_SQUARE = bytes.maketrans(b"{}", b"[]")
_NO_BRACKET = bytes(byte for byte in range(256) if byte not in b"[]{}")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a document may have at most, so that reading it, and what is done with it, stays cheap."""

    depth: int = 32  # levels of objects and arrays
    values: int = 20_000  # in all: members, elements, objects and arrays
    members: int = 1000  # of one object
    elements: int = 10_000  # of one array
    name: int = 256  # characters of a member's name
    string: int = 100_000  # characters


def loads(data: bytes, limits: Limits | None = None) -> Any:
    """The value of a document. Raises InvalidJson, and TooComplex past the limits: depth and number are looked at before it is parsed.

    Without limits as much is taken as orjson writes again: 254 levels.
    """
    if limits is not None:
        _refuse_many(data, limits)
    digits = data.translate(_DIGITS)
    if _MANY_DIGITS in digits and _MANY_DIGITS in _structure(digits):
        raise InvalidJson("A number has hundreds of digits.")
    failed: InvalidJson | None = None
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        failed = InvalidJson(_why(data, error), reason=str(error))
    if failed is not None:
        raise failed  # not while the other is handled: it holds the text, and would be held as the context of this one
    if limits is not None and len(data) > limits.name:
        measure(value, limits)
    try:
        written = orjson.dumps(value)
    except orjson.JSONEncodeError:
        raise TooComplex("At most 254 levels are accepted.") from None
    # A member that was dropped, being the first of two, takes two quotes at least with it.
    if _quotes(data) != _quotes(written):
        raise InvalidJson("An object has two members of one name.")
    if _FEW_DIGITS in digits:
        _refuse_long_integers(data)
    return value


def measure(value: Any, limits: Limits) -> None:
    """Raises TooComplex when a part of a value is larger than the limits allow."""
    rest = [value]
    while rest:
        one = rest.pop()
        if isinstance(one, str):
            if len(one) > limits.string:
                raise TooComplex(f"A string has at most {limits.string} characters here.")
        elif isinstance(one, dict):
            if len(one) > limits.members:
                raise TooComplex(f"An object has at most {limits.members} members here.")
            if one and max(map(len, one)) > limits.name:
                raise TooComplex(f"The name of a member has at most {limits.name} characters here.")
            rest.extend(one.values())
        elif isinstance(one, list):
            if len(one) > limits.elements:
                raise TooComplex(f"An array has at most {limits.elements} elements here.")
            rest.extend(one)


def _refuse_many(data: bytes, limits: Limits) -> None:
    """By counting bytes, which is exact up to the first mistake of syntax; the parser gets no further."""
    opened = data.count(b"[") + data.count(b"{")
    if opened <= limits.depth and opened + data.count(b",") < limits.values:
        return  # even if all of them stand outside strings
    if _quotes(data) > 4 * limits.values:  # a name and a string for each
        raise TooComplex(f"At most {limits.values} values are accepted here.")
    structure = _structure(data)
    brackets = structure.translate(_SQUARE, _NO_BRACKET)
    if brackets.count(b"[") + structure.count(b",") >= limits.values:
        raise TooComplex(f"At most {limits.values} values are accepted here.")
    for _ in range(limits.depth):  # each time the innermost level goes
        if b"[]" not in brackets:
            break
        brackets = brackets.replace(b"[]", b"")
    if b"[]" in brackets or brackets.count(b"[") > limits.depth:
        raise TooComplex(f"At most {limits.depth} levels are accepted here.")


def _without_escapes(data: bytes) -> bytes:
    """Without the quotes that are part of a string, and without the backslashes that might hide the end of one."""
    return data.replace(b"\\\\", b"").replace(b'\\"', b"") if b"\\" in data else data


def _structure(data: bytes) -> bytes:
    """What stands outside strings; a quote in place of each."""
    return b'"'.join(_without_escapes(data).split(b'"')[::2])


def _quotes(data: bytes) -> int:
    return _without_escapes(data).count(b'"')


def _refuse_long_integers(data: bytes) -> None:
    """RFC 7493, section 2.2: an integer beyond 64 bits is one number to one reader and another to the next."""
    for found in _INTEGER.finditer(_structure(data)):
        digits = found[0]
        if len(digits) > 20 or not -(1 << 63) <= int(digits) < 1 << 64:
            raise InvalidJson("An integer has more than 64 bits; write it as a string.")


def _why(data: bytes, error: orjson.JSONDecodeError) -> str:
    """For the client: of what it sent no more than the place."""
    if not data.translate(None, b" \t\r\n"):  # a tenth of the time of strip, all of which others would wait
        return "The body is empty."
    if data.startswith(b"\xef\xbb\xbf"):
        return "The body begins with a byte order mark."
    try:
        data.decode()
    except UnicodeDecodeError as fault:
        return f"The body is not UTF-8: byte {fault.start} is none of it."
    return f"It cannot be read at line {error.lineno}, column {error.colno}."
