"""The PEM files of TLS, looked at before anything is served by them."""

from __future__ import annotations

import ssl
from pathlib import Path

from gateway.config.settings import At

CERTIFICATE, KEY = b"CERTIFICATE-----", b"PRIVATE KEY-----"


def holds(name: str, file: Path, begin: bytes) -> None:
    """Raises At for the setting `name` when its file holds no certificate, or no key."""
    if begin not in file.read_bytes():
        what = "certificate" if begin == CERTIFICATE else "private key"
        raise At((name,), f"no {what} is in this file; write a PEM file: it has a line with BEGIN {begin.decode().rstrip('-')}")


def usable(cert: Path, key: Path) -> None:
    """Raises At when they are no pair, or cannot be read without a password."""
    holds("cert", cert, CERTIFICATE)
    holds("key", key, KEY)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key, _no_password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise At(("key",), "this key is not the certificate's; write the one it was made with") from None
        raise At(("key",), f"the certificate and its key cannot be used ({error.reason}); a key has no password") from None


def _no_password() -> str:
    """Else one is asked for at the terminal."""
    return ""
