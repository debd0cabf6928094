"""The formats of JSON Schema 2020-12 (Validation, section 7.3), each by its grammar and in linear time."""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable
from ipaddress import AddressValueError, IPv4Address, IPv6Address

import idna

from gateway.content import formats
from gateway.content.engines.ecma import LARGEST, BadPattern, compiled

LONGEST_NAME = 253
"""Octets of the name of a host (RFC 1035, section 2.3.4)."""
LONGEST_PATTERN = 1000
"""Characters, and elements with repetitions written out, of a pattern that a client sends: to compile one takes time, too."""

_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9]):([0-5][0-9]|60)(?:\.[0-9]+)?(?:[Zz]|([+-])([01][0-9]|2[0-3]):([0-5][0-9]))")
_CLOCK = r"T(?:[0-9]+H(?:[0-9]+M(?:[0-9]+S)?)?|[0-9]+M(?:[0-9]+S)?|[0-9]+S)"
_DAYS = r"(?:[0-9]+Y(?:[0-9]+M(?:[0-9]+D)?)?|[0-9]+M(?:[0-9]+D)?|[0-9]+D)"
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_ENCODED = "%[0-9A-Fa-f]{2}"
_PLAIN = r"\-A-Za-z0-9._~!$&'()*+,;="
_BEYOND = "\u00a0-\ud7ff\uf900-\ufdcf\ufdf0-\uffef\U00010000-\U000efffd"
_PRIVATE = "\ue000-\uf8ff\U000f0000-\U000ffffd\U00100000-\U0010fffd"
_POINTER = r"(?:/(?:[^~/]|~[01])*+)*+"
_VARIABLE = rf"(?:\w|{_ENCODED})(?:\.?(?:\w|{_ENCODED}))*+(?::[1-9][0-9]{{0,3}}|\*)?"


def _is(pattern: str) -> Callable[[str], bool]:
    fullmatch = re.compile(pattern, re.ASCII).fullmatch
    return lambda text: fullmatch(text) is not None


def is_date(text: str) -> bool:
    """RFC 3339, section 5.6."""
    found = _DATE.fullmatch(text)
    if found is None:
        return False
    year, month, day = map(int, found.groups())
    return 1 <= month <= 12 and 1 <= day <= monthrange(year or 2000, month)[1]  # the year 0 has a leap day, too


def is_time(text: str) -> bool:
    """The same; a leap second stands at the end of a day of UTC."""
    found = _TIME.fullmatch(text)
    if found is None:
        return False
    hours, minutes, seconds, sign, ahead, more = found.groups()
    offset = (int(ahead) * 60 + int(more)) * (-1 if sign == "-" else 1) if sign else 0
    return seconds != "60" or (int(hours) * 60 + int(minutes) - offset) % 1440 == 1439


def is_date_time(text: str) -> bool:
    return text[10:11] in ("T", "t") and is_date(text[:10]) and is_time(text[11:])


def is_hostname(text: str) -> bool:
    """RFC 1123, section 2.1; a label of xn-- is one of IDNA 2008 (RFC 5890, section 2.3.2.1)."""
    return len(text) <= LONGEST_NAME and all(_is_label(label) for label in text.split("."))


def _is_label(label: str) -> bool:
    if _LABEL.fullmatch(label) is None:
        return False
    return label[2:4] != "--" or (label[:2].lower() == "xn" and is_idn_hostname(label))


def is_idn_hostname(text: str) -> bool:
    if len(text) > LONGEST_NAME or text.endswith("."):
        return False
    try:
        idna.encode(text.lower())
    except (idna.IDNAError, UnicodeError):
        return False
    return True


def is_ipv4(text: str) -> bool:
    try:
        IPv4Address(text)
    except AddressValueError:
        return False
    return True


def is_ipv6(text: str) -> bool:
    try:
        return not IPv6Address(text).scope_id
    except AddressValueError:
        return False


def is_regex(text: str) -> bool:
    """One that a client sends."""
    return len(text) <= LONGEST_PATTERN and is_pattern(text, LONGEST_PATTERN)


def is_pattern(text: str, largest: int = LARGEST) -> bool:
    """One of a schema."""
    try:
        compiled(text, largest)
    except BadPattern:
        return False
    return True


def _many(characters: str) -> str:
    return rf"(?:[{characters}]++|{_ENCODED})*+"


def _uri(beyond: str, is_absolute: bool) -> Callable[[str], bool]:
    """RFC 3986, appendix A, and with `beyond` RFC 3987, section 2.2."""
    plain = _PLAIN + beyond
    user, name, path = _many(f"{plain}:"), _many(plain), _many(f"{plain}:@/")
    query, fragment = _many(f"{plain}:@/?{_PRIVATE if beyond else ''}"), _many(f"{plain}:@/?")
    authority = rf"(?:{user}@)?(?:\[(?P<literal>[^]]*)\]|{name})(?::[0-9]*)?(?=[/?#]|\Z)"
    hierarchy = rf"(?://{authority}{path}|(?!//){path})"
    scheme = "[A-Za-z][A-Za-z0-9+.-]*:"
    start = scheme if is_absolute else rf"(?:{scheme}|(?![^/?#]*:))"
    fullmatch = re.compile(rf"{start}{hierarchy}(?:\?{query})?(?:#{fragment})?", re.ASCII).fullmatch

    def is_one(text: str) -> bool:
        found = fullmatch(text)
        return found is not None and (found["literal"] is None or is_ipv6(found["literal"]))

    return is_one


STANDARD: dict[str, Callable[[str], bool]] = {
    "date": is_date,
    "date-time": is_date_time,
    "duration": _is(rf"P(?:[0-9]+W|{_DAYS}(?:{_CLOCK})?|{_CLOCK})"),  # RFC 3339, appendix A
    "hostname": is_hostname,
    "idn-hostname": is_idn_hostname,
    "ipv4": is_ipv4,
    "ipv6": is_ipv6,
    "iri": _uri(_BEYOND, is_absolute=True),
    "iri-reference": _uri(_BEYOND, is_absolute=False),
    "json-pointer": _is(_POINTER),  # RFC 6901, section 3
    "regex": is_regex,
    "relative-json-pointer": _is(rf"(?:0|[1-9][0-9]*)(?:#|{_POINTER})"),
    "time": is_time,
    "uri": _uri("", is_absolute=True),
    "uri-reference": _uri("", is_absolute=False),
    "uri-template": _is(
        rf"(?:[^\x00-\x20\"%<>\\^`{{|}}\x7f]|{_ENCODED}|\{{[+#./;?&=,!@|]?{_VARIABLE}(?:,{_VARIABLE})*+\}})*+"  # RFC 6570, section 2
    ),
    "uuid": _is("[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}"),
}
FORMATS = STANDARD | formats.FORMATS
