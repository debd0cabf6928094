"""Addresses of mail, as they may stand in an envelope and in a header."""

from __future__ import annotations

import re
from email.headerregistry import Address
from email.utils import parseaddr

LONGEST = 254
"""Characters of an address (RFC 5321, section 4.5.3.1.3, without its angle brackets)."""
_ATOM = r"[^\s<>()\[\]:;,\\\"@.\x00-\x1f\x7f]+"
_PLAIN = re.compile(rf"(?=[^@]{{1,64}}@){_ATOM}(?:\.{_ATOM})*@{_ATOM}(?:\.{_ATOM})*")
"""One address and nothing else: no name, no list, no route, no line end. Quoted local parts are refused with them: nobody has one."""


def recipient(value: object) -> str:
    """One plain address, as a client may have written it. Raises ValueError."""
    if not isinstance(value, str) or len(value) > LONGEST or not _PLAIN.fullmatch(value):
        raise ValueError("expected one address of mail, and nothing else")
    return value


def mailbox(value: str) -> Address:
    """`Leads <no-reply@example.com>`, or an address alone, as an operator writes it. Raises ValueError."""
    name, address = parseaddr(value)
    if not _PLAIN.fullmatch(address) or not value.isprintable():
        raise ValueError(f'"{value}" is no mailbox; write Leads <no-reply@example.com>')
    return Address(name, addr_spec=address)
