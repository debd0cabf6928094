"""Messages signed with a shared secret, and what such a signature proves. Behind `gateway.plugin`; no I/O, and the time is given."""

from __future__ import annotations

from gateway.signing.digest import content_digest, has_digest
from gateway.signing.message import Message
from gateway.signing.proof import Proof, Secrets, secret_bytes
from gateway.signing.signatures import accepted, check_components, sign, verify
from gateway.signing.webhooks import sign_webhook, verify_webhook

__all__ = [
    "Message",
    "Proof",
    "Secrets",
    "accepted",
    "check_components",
    "content_digest",
    "has_digest",
    "secret_bytes",
    "sign",
    "sign_webhook",
    "verify",
    "verify_webhook",
]
