"""docs/protection.md: the request that it shows is signed with the secret that it shows, and every problem of a plugin is explained."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.errors import GatewayError
from gateway.exchange import Headers
from gateway.registry import Registry
from gateway.signing import Message, Secrets, has_digest, verify
from tests.test_docs import BLOCKS, ROOT

PAGE = ROOT / "docs/protection.md"


def test_the_signed_request() -> None:
    (block,) = (block for block in BLOCKS if block.page == PAGE and "Signature-Input" in block.text)
    head, _, body = block.text.partition("\n\n")
    line, *fields = head.splitlines()
    method, target, _ = line.split(" ")
    headers = Headers([tuple(field.split(": ", 1)) for field in fields])  # type: ignore[misc]
    created = re.search(r"created=([0-9]+)", headers["Signature-Input"])
    assert created is not None and has_digest([headers["Content-Digest"]], body.rstrip("\n").encode())
    message = Message(method, "https", headers["Host"], target, headers)
    secrets = Secrets({"crm": ["only-for-this-page"]})
    assert verify(message, secrets, ("@method", "@target-uri", "content-digest"), float(created[1]), 1).key == "crm"


def problems() -> list[tuple[int, str]]:
    """Of all built-in plugins: those that are of a plugin's own."""
    registry = Registry()
    found = set()
    for name in registry:
        plugin = registry.load(name)
        kinds = [kind for kind in vars(__import__(plugin.__module__, fromlist=["*"])).values() if isinstance(kind, type)]
        found |= {(kind.status, kind.slug) for kind in kinds if issubclass(kind, GatewayError) and kind.__module__ == plugin.__module__}
    return sorted(found)


@pytest.mark.parametrize(("status", "slug"), problems())
def test_every_problem_of_a_plugin_is_explained(status: int, slug: str) -> None:
    assert f"\n| {status} | {slug} |" in (Path(ROOT) / "docs/problems.md").read_text()


def test_there_are_some() -> None:
    assert {"idempotency-key-reused", "cross-site-request", "signature-invalid"} <= {slug for _, slug in problems()}
