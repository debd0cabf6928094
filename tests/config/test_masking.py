"""What of a policy is shown through the admin port: the values in force, and no secret, wherever it stands and came from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.config.document import Document
from gateway.config.masking import MASK, masked
from gateway.config.sources import Sources

ENV = {
    "PORT": "9000", "LIMIT": "7", "WINDOW": "60s", "ON": "true", "HOST": "leads.internal", "API_TOKEN": "hunter2",
    "ADMIN_PIN": "1234", "DATABASE": "redis://me:hunter2@db:6379", "EMPTY": "",
}  # fmt: skip


def shown(text: str, folder: Path = Path()) -> Any:
    return masked(Document(text, "gateway.yaml", Sources(folder, ENV)))


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("limit: 5", 5),
        ("limit: ${LIMIT}", 7),
        ('limit: "${LIMIT:-100}"', "7"),
        ("limit: ${UNSET:-100}", 100),
        ("window: ${WINDOW}", "60s"),
        ("enabled: ${ON}", True),
        ("host: ${HOST}", "${HOST}"),  # a text may be anything
        ("host: ${UNSET:-leads}", "leads"),  # this one stands in the file
        ("host: a-${PORT}", "a-${PORT}"),
        ("by: client", "client"),
        ("token: ${API_TOKEN}", "${API_TOKEN}"),
        ("token: hunter2", MASK),
        ("token: ${UNSET:-hunter2}", MASK),
        ("token: ${API_TOKEN:-hunter3}", MASK),
        ("token: hunter2${LIMIT}", MASK),
        ("Authorization: Bearer ${API_TOKEN}", "Bearer ${API_TOKEN}"),
        ("Authorization: Bearer hunter2", MASK),
        ("key: tls/server.key", "tls/server.key"),
        ("key: '{id}'", "{id}"),
        ("tokens: [hunter2, hunter3]", [MASK, MASK]),
        ("passwords: {alice: {value: hunter2}}", {"alice": {"value": MASK}}),
        ("sentry_dsn: https://hunter2@sentry.test/1", MASK),
        ("X-Pin: ${LIMIT}", "${LIMIT}"),
        ("digits: ${ADMIN_PIN}", "${ADMIN_PIN}"),
        ("url: ${DATABASE}", "${DATABASE}"),
        ("url: redis://me:hunter2@db:6379", f"redis://{MASK}@db:6379"),
        ("url: ${UNSET:-redis://me:hunter2@db}", f"redis://{MASK}@db"),
        ("url: http://db:6379", "http://db:6379"),
        ("name: ${EMPTY}", None),
        ("nothing:", None),
    ],
)
def test_what_is_shown_of_a_value(written: str, value: Any) -> None:
    (found,) = shown(written).values()
    assert found == value and type(found) is type(value)


def test_what_a_file_holds_is_never_shown(tmp_path: Path) -> None:
    (tmp_path / "pin").write_text("1234\n")
    assert shown("limit: ${file:pin}\nby: ['${file:pin}']", tmp_path) == {"limit": "${file:pin}", "by": ["${file:pin}"]}


def test_nothing_of_it_leaks_through_anchors() -> None:
    text = "x-auth: &auth {token: hunter2, limit: 3}\na: *auth\nb: {<<: *auth, limit: 4}\nc: [*auth]"
    found = shown(text)
    assert "hunter2" not in json.dumps(found)
    assert found["b"] == {"token": MASK, "limit": 4}
