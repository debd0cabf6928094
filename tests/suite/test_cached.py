"""What Cache-Status says of the gateway's cache (RFC 9211), as tests of a policy expect it."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.cli import main
from gateway.exchange import Headers
from gateway.suite.comparison import cached

CASES = [
    ([], "none"),
    (["gateway; hit; ttl=30"], "hit"),
    (["gateway; hit"], "hit"),
    (["gateway; hit; ttl=-5"], "stale"),
    (["gateway; fwd=uri-miss; stored"], "miss"),
    (["gateway;fwd=stale"], "miss"),
    (["origin; hit; ttl=9"], "none"),
    (["origin; hit, gateway; fwd=uri-miss"], "miss"),
    (["origin; fwd=miss", "gateway; hit; ttl=0"], "hit"),
]


@pytest.mark.parametrize(("values", "found"), CASES)
def test_members(values: list[str], found: str) -> None:
    assert cached(Headers([("Cache-Status", value) for value in values])) == found


def test_it_is_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "gateway.yaml").write_text("version: 1\nupstreams: {a: {targets: http://a}}\nroutes: [{match: /a, upstream: a}]\n")
    (tmp_path / "a.yaml").write_text(
        'upstreams: {a: {headers: {Cache-Status: "gateway; hit; ttl=9"}}}\n'
        "tests:\n  - {name: right, send: GET /a, expect: {cache: hit}}\n  - {name: wrong, send: GET /a, expect: {cache: miss}}\n"
    )
    assert main(["test", str(tmp_path / "a.yaml")]) == 1
    shown = capsys.readouterr().out
    assert "  cache\n    expected  miss\n    got       hit\n" in shown and "1 passed, 1 failed" in shown
