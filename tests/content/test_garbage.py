"""What a refused body leaves behind: nothing that only the collector could free, for it may be a mebibyte each time."""

from __future__ import annotations

import gc
import gzip

import pytest

from gateway.exchange import End
from gateway.testing import FakeUpstream, exchange, load, pipeline

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
BODIES = [
    (JSON, b"{"), (JSON, b"\xff"), (JSON, b'{"a":1,"a":2}'), (JSON, b"[1]"), (JSON, b'{"a":"<script>"}'),
    (JSON, b'["\\u0000' + b"x" * 50_000 + b'"]'),
    (JSON, b"[" * 50_000), (FORM, b"a=%ff"), ("multipart/form-data; boundary=b", b"--b"), ("text/plain", b"x"),
]  # fmt: skip


@pytest.mark.parametrize("encoding", ["", "gzip"])
@pytest.mark.parametrize(("media", "body"), BODIES)
@pytest.mark.parametrize(("plugin", "settings"), [("sanitize", None), ("validate", {"body": {"required": ["a"], "type": "object"}})])
async def test_a_refusal_leaves_nothing_to_the_collector(plugin: str, settings: object, media: str, body: bytes, encoding: str) -> None:
    made = pipeline(load(plugin, settings), upstream=FakeUpstream())

    async def refused() -> None:
        ex = exchange("POST", "/", {"Content-Type": media})
        ex.body_at_hand = gzip.compress(body)[:-1] if encoding else body
        if encoding:
            ex.headers["Content-Encoding"] = encoding
        reply = await made.answer(ex)
        assert reply.status < 500
        made.end(ex, End(reply.status))

    await refused()
    gc.collect()
    gc.disable()
    try:
        await refused()
        assert gc.collect() == 0
    finally:
        gc.enable()
