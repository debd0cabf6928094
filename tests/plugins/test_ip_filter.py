"""Which addresses are let through, by which list, and what happens when a file changes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from gateway.errors import Forbidden
from gateway.testing import FakeFiles, FakeUpstream, exchange, host, load, pipeline, run


def ask(settings: dict[str, Any], client: str) -> int:
    return run(pipeline(load("ip_filter", settings), upstream=FakeUpstream()), exchange(client=client)).status


@pytest.mark.parametrize(
    ("settings", "client", "status"),
    [
        ({"allow": "10.0.0.0/8"}, "10.1.2.3", 200),
        ({"allow": "10.0.0.0/8"}, "11.1.2.3", 403),
        ({"allow": "10.0.0.0/8"}, "::ffff:10.1.2.3", 200),
        ({"allow": "10.0.0.0/8"}, "2001:db8::1", 403),
        ({"allow": "10.0.0.0/8"}, "", 403),  # on a unix socket there is no address
        ({"deny": "10.0.0.0/8"}, "10.1.2.3", 403),
        ({"deny": "10.0.0.0/8"}, "::ffff:10.1.2.3", 403),
        ({"deny": "10.0.0.0/8"}, "11.1.2.3", 200),
        ({"deny": "10.0.0.0/8"}, "", 200),
        # The most specific network decides, whichever list it is in.
        ({"allow": "10.0.0.0/8", "deny": "10.1.0.0/16"}, "10.1.2.3", 403),
        ({"allow": ["10.0.0.0/8", "10.1.2.0/24"], "deny": "10.1.0.0/16"}, "10.1.2.3", 200),
        ({"allow": "10.1.2.3", "deny": "0.0.0.0/0"}, "10.1.2.3", 200),
        ({"allow": "10.1.2.3", "deny": "0.0.0.0/0"}, "10.1.2.4", 403),
        ({"allow": "10.0.0.0/8", "deny": "10.0.0.0/8"}, "10.1.2.3", 403),  # in both: refused
        ({"allow": ["0.0.0.0/0", "::/0"], "deny": "2001:db8::/32"}, "2001:db9::1", 200),
        ({"allow": ["0.0.0.0/0", "::/0"], "deny": "2001:db8::/32"}, "2001:db8::1", 403),
    ],
)
def test_lists(settings: dict[str, Any], client: str, status: int) -> None:
    assert ask(settings, client) == status


def test_a_refusal_tells_the_client_nothing_of_the_lists() -> None:
    reply = run(pipeline(load("ip_filter", {"allow": "10.0.0.0/8"})), exchange(client="192.0.2.1"))
    assert reply.headers["Content-Type"] == "application/problem+json" and reply.entity is not None
    assert b"10.0.0.0" not in reply.entity.data and b"192.0.2.1" not in reply.entity.data


def test_files_add_up_with_lists_and_may_change(tmp_path: Path) -> None:
    allow, deny, files = tmp_path / "allow.txt", tmp_path / "deny.txt", FakeFiles()
    allow.write_text("10.0.0.0/8\n")
    deny.write_text("10.1.0.0/16 # noisy\n")
    settings = {"allow": "192.0.2.1", "allow_file": str(allow), "deny_file": str(deny)}
    plugin = load("ip_filter", settings, host=host(files=files))
    asyncio.run(plugin.start())
    line = pipeline(plugin, upstream=FakeUpstream())

    def statuses() -> list[int]:
        return [run(line, exchange(client=client)).status for client in ("192.0.2.1", "10.2.0.1", "10.1.0.1")]

    assert statuses() == [200, 200, 403]
    files.change(deny, b"10.2.0.0/16\n")
    assert statuses() == [200, 403, 200]
    with pytest.raises(ValueError, match=r"allow\.txt:1"):
        files.change(allow, b"ten\n")
    assert statuses() == [200, 403, 200]
    files.change(allow, b"")
    assert statuses() == [200, 403, 403]  # an allow list that has become empty lets nobody through


def test_observed() -> None:
    ex = exchange(client="11.0.0.1")
    plugin = load("ip_filter", {"allow": "10.0.0.0/8"}, host=host(mode="observe"))
    assert run(pipeline(plugin, upstream=FakeUpstream(), mode="observe"), ex).status == 200
    assert ex.notes == [("observe", {"plugin": "ip_filter", "status": 403})]


def test_explained() -> None:
    plugin = load("ip_filter", {"allow": "10.0.0.0/8"})
    assert plugin.explain(exchange(client="10.0.0.1")) == "10.0.0.1 is let through"
    with pytest.raises(Forbidden):
        plugin.explain(exchange(client="11.0.0.1"))


@pytest.mark.parametrize(
    "settings",
    [{}, {"allow": []}, {"allow": "ten"}, {"allow": "10.0.0.1/8"}, {"allow": 10}, {"allow_file": "nowhere.txt"}, {"block": "10.0.0.1"}],
)
def test_settings_that_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        load("ip_filter", settings)


def test_a_file_that_is_not_right_is_refused(tmp_path: Path) -> None:
    (tmp_path / "deny.txt").write_text("10.0.0.0/8\n10.0.0.1/8\n")
    with pytest.raises(ValueError, match=r"deny\.txt:2: .*; write 10\.0\.0\.0/8"):
        load("ip_filter", {"deny_file": str(tmp_path / "deny.txt")})
