"""HTTP message signatures (RFC 9421) by hmac-sha256: of the components that are named, with the time and the key's name."""

from __future__ import annotations

import hmac
import re
from base64 import b64encode
from collections.abc import Iterable, Sequence

from gateway.exchange import Headers
from gateway.signing.message import Message
from gateway.signing.proof import Proof, Secrets, fresh
from gateway.signing.structured import Member, members, quoted, unquoted

ALGORITHM = "hmac-sha256"
LABEL = "gateway"
MOST = 4
"""Signatures of one message that are looked at: each costs as many hashes as its key has secrets."""
_COMPONENT = re.compile(r"@(?:method|target-uri|authority|scheme|request-target|path|query)|[a-z0-9!#$%&'*+.^_`|~-]+")
_INTEGER = re.compile(r"[0-9]{1,15}")


def check_components(names: Iterable[str]) -> None:
    """Raises ValueError for what no signature here can cover."""
    for name in names:
        if _COMPONENT.fullmatch(name) is None:
            hint = "write @method, @target-uri, @authority, @path, @query, or the name of a header in lower case"
            raise ValueError(f'"{name}" is no component; {hint}')


def accepted(components: Iterable[str]) -> str:
    """Accept-Signature (section 5.1), for a client that sent none that counts."""
    return f'{LABEL}={_listed(components)};created;keyid;alg="{ALGORITHM}"'


def sign(message: Message, key: str, secret: bytes, components: Sequence[str], created: int, nonce: str) -> tuple[str, str]:
    """The values of Signature-Input and Signature. Raises ValueError when the message lacks a component."""
    input_ = f"{_listed(components)};created={created};keyid={quoted(key)};alg={quoted(ALGORITHM)};nonce={quoted(nonce)}"
    signature = hmac.digest(secret, _base(message, components, input_), "sha256")
    return f"{LABEL}={input_}", f"{LABEL}=:{b64encode(signature).decode()}:"


def verify(message: Message, secrets: Secrets, components: Sequence[str], now: float, window: float) -> Proof:
    """The first signature that covers `components` and was made with one of the secrets. Raises ValueError with what is wrong."""
    inputs, signatures = _dictionary(message.headers, "Signature-Input"), _dictionary(message.headers, "Signature")
    if not inputs:
        raise ValueError("there is no signature")
    why = ""
    for label, member in list(inputs.items())[:MOST]:
        try:
            return _verified(message, member, signatures.get(label), secrets, components, now, window)
        except ValueError as error:
            why = why or f"{label}: {error}"
    raise ValueError(why)


def _verified(
    message: Message, input_: Member, signed: Member | None, secrets: Secrets, components: Sequence[str], now: float, window: float
) -> Proof:
    if signed is None:
        raise ValueError("it is announced, and missing")
    covered, parameters = input_.names(), input_.parameters()
    if len(set(covered)) < len(covered):
        raise ValueError("it covers a component twice")
    if missing := [name for name in components if name not in covered]:
        raise ValueError(f"it does not cover {', '.join(missing)}")
    if unquoted(parameters.get("alg", quoted(ALGORITHM))) != ALGORITHM:
        raise ValueError("it is by another algorithm")
    created = _time(parameters, "created")
    fresh(created, now, window)
    if "expires" in parameters and _time(parameters, "expires") < now:
        raise ValueError("it has expired")
    key, signature = unquoted(parameters.get("keyid", "")), signed.bytes()
    if not secrets.made(key, _base(message, covered, input_.text), signature):
        raise ValueError("it is not ours: another key, another secret, or another message")
    return Proof(key, signature, created)


def _base(message: Message, components: Sequence[str], input_: str) -> bytes:
    """Section 2.5."""
    lines = [f'"{name}": {message.component(name)}' for name in components]
    return "\n".join([*lines, f'"@signature-params": {input_}']).encode("utf-8", "surrogateescape")


def _listed(components: Iterable[str]) -> str:
    return f"({' '.join(map(quoted, components))})"


def _dictionary(headers: Headers, name: str) -> dict[str, Member]:
    return members(", ".join(headers.getall(name, ())))


def _time(parameters: dict[str, str], name: str) -> int:
    value = parameters.get(name, "")
    if _INTEGER.fullmatch(value) is None:
        raise ValueError(f"it does not say when: {name} is missing, or no time")
    return int(value)
