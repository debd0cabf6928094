"""Standard Webhooks (https://www.standardwebhooks.com): an id, a time and the body are signed. Method and target are not."""

from __future__ import annotations

import hmac
import re
from base64 import b64decode, b64encode
from collections.abc import Iterator

from gateway.exchange import Headers
from gateway.signing.proof import Proof, Secrets, fresh

ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
MOST = 4
"""Signatures of one message that are looked at."""
_SECONDS = re.compile(r"[0-9]{1,12}")


def sign_webhook(message_id: str, timestamp: int, body: bytes, secret: bytes) -> str:
    """The value of webhook-signature."""
    return f"v1,{b64encode(hmac.digest(secret, _base(message_id, str(timestamp), body), 'sha256')).decode()}"


def verify_webhook(headers: Headers, body: bytes, secrets: Secrets, now: float, window: float) -> Proof:
    """Raises ValueError with what is wrong."""
    message_id, timestamp = _only(headers, ID), _only(headers, TIMESTAMP)
    if _SECONDS.fullmatch(timestamp) is None:
        raise ValueError(f"{TIMESTAMP} is no time")
    fresh(int(timestamp), now, window)
    base = _base(message_id, timestamp, body)
    for signature in _signatures(_only(headers, SIGNATURE)):
        for key in secrets.names():
            if secrets.made(key, base, signature):
                return Proof(key, signature, int(timestamp))
    raise ValueError("it is not ours: another secret, or another message")


def _base(message_id: str, timestamp: str, body: bytes) -> bytes:
    return f"{message_id}.{timestamp}.".encode("utf-8", "surrogateescape") + body


def _signatures(text: str) -> Iterator[bytes]:
    """Those of version 1, for a sender that replaces its secret signs with both."""
    for version, _, encoded in [one.partition(",") for one in text.split(" ")[:MOST]]:
        if version == "v1":
            yield b64decode(encoded, validate=True)


def _only(headers: Headers, name: str) -> str:
    values = headers.getall(name, ())
    if len(values) != 1 or not values[0]:
        raise ValueError(f"there is not one {name}")
    return values[0]
