"""Formats of JSON Schema beyond those that its library knows, and the words in which each is asked for."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from importlib import import_module

LONGEST_EMAIL = 254
"""Octets of an address (RFC 5321, section 4.5.3.1); a longer one is not parsed."""
LONGEST_PLAIN = 120
LONGEST_PHONE = 40


_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_PLAIN_EMAIL = re.compile(rf"(?=.{{1,64}}@){_ATOM}(?:\.{_ATOM})*@(?:[A-Za-z0-9]{{1,30}}(?:-[A-Za-z0-9]{{1,30}})?\.)+([A-Za-z]{{2,30}})")
"""Addresses like most. What it takes, email_validator takes; it takes a twentieth of the time."""
_SPECIAL = frozenset({"arpa", "invalid", "local", "localhost", "onion", "test"})
"""Ends of domains that nobody owns (RFC 6761), as email_validator has them."""


def is_email(text: str) -> bool:
    """An address that mail can be sent to, by its syntax alone: nobody is asked. No quoted names, no addresses of hosts."""
    plain = _PLAIN_EMAIL.fullmatch(text) if len(text) <= LONGEST_PLAIN else None
    if plain is not None and plain[1].lower() not in _SPECIAL and "--" not in text:
        return True
    if len(text) > LONGEST_EMAIL or "." not in text.rpartition("@")[2]:
        return False
    from email_validator import EmailNotValidError, validate_email

    try:
        validate_email(text, check_deliverability=False, strict=True, test_environment=True)  # which lets .test pass (RFC 2606)
    except EmailNotValidError:
        return False
    return True


def is_phone(text: str) -> bool:
    """A number that can be dialled from anywhere, as in +49 30 901820, valid by its country's plan."""
    if len(text) > LONGEST_PHONE or not text.startswith("+"):
        return False
    import phonenumbers

    try:
        return bool(phonenumbers.is_valid_number(phonenumbers.parse(text)))
    except phonenumbers.NumberParseException:
        return False


_needed: set[str] = set()


def need(formats: Collection[str]) -> None:
    """A schema asks for these."""
    _needed.update(formats)


def prepare() -> None:
    """Load the libraries of those that are needed: that takes tens of milliseconds, which no request shall wait for, nor a check."""
    if {"email", "idn-email"} & _needed:
        import_module("email_validator")
    if "phone" in _needed:
        import_module("phonenumbers")


def _is_anything(text: str) -> bool:
    return True


FORMATS: dict[str, Callable[[str], bool]] = {
    "email": is_email,
    "idn-email": is_email,
    "phone": is_phone,
    # Of OpenAPI, about numbers and about how a value is shown: they ask nothing of a string.
    **dict.fromkeys(("int32", "int64", "float", "double", "byte", "binary", "password"), _is_anything),
}
NOUNS = {
    "date": "a date, as in 2026-01-31",
    "date-time": "a date and time with its zone, as in 2026-01-31T12:00:00Z",
    "duration": "a duration, as in P1DT12H",
    "email": "an e-mail address",
    "hostname": "the name of a host",
    "idn-email": "an e-mail address",
    "ipv4": "an IPv4 address",
    "ipv6": "an IPv6 address",
    "phone": "a telephone number with its country, as in +49 30 901820",
    "time": "a time with its zone, as in 12:00:00Z",
    "uri": "a URI",
    "uuid": "a UUID",
}
