"""Other channels through Apprise: only those that the policy names, and what they are told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from gateway.jobs.contract import LATER, Park, PayloadRefused, Retry
from tests.jobs.senders.support import answer, answering, job, sender

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # of a library below Apprise
PAYLOAD = {"to": "sales", "template": "new_lead", "data": {"name": "Ada"}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates/new_lead.txt").write_text("A lead: {{ name }}")
    return tmp_path


def made(folder: Path, url: str) -> Any:
    return sender("apprise", {"channels": {"sales": url}, "templates": "templates"}, folder)


@pytest.mark.parametrize(("status", "outcome"), [(200, {"channel": "sales"}), (500, Retry), (403, Retry)])
async def test_a_channel_is_told(folder: Path, status: int, outcome: Any) -> None:
    """By Apprise's own plain JSON, to a service on this machine."""
    async with answering(answer(status)) as service:
        handler = made(folder, f"json://127.0.0.1:{service.port}/hook")
        if isinstance(outcome, dict):
            assert await handler.run(job(PAYLOAD, "apprise")) == outcome
        else:
            with pytest.raises(outcome, match="the channel sales did not take it"):
                await handler.run(job(PAYLOAD, "apprise"))
        await handler.stop()
    assert json.loads(service.requests[0][2])["message"] == "A lead: Ada"


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        ({"to": "json://evil.example.com"}, "to: there is no channel 'json://evil.example.com'; there are sales"),
        ({"to": ["sales"]}, "to: there is no channel"),
        ({"template": "other"}, 'there is no template "other": other.txt belongs into templates'),
        ({"data": {}}, "the template new_lead needs name, which data does not have"),
    ],
)
async def test_what_is_refused(folder: Path, payload: dict[str, Any], why: str) -> None:
    handler = made(folder, "json://127.0.0.1:1/")
    with pytest.raises(PayloadRefused) as error:
        handler.check({**PAYLOAD, **payload})
    assert str(error.value).startswith(why)
    with pytest.raises(Park):
        await handler.run(job({**PAYLOAD, **payload}, "apprise"))
    handler.check({"to": LATER, "template": "new_lead", "data": {"name": LATER}})


def test_what_is_no_channel_is_told_at_load(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"channels\.sales is no URL of Apprise's"):
        made(folder, "nonsense")


def test_without_the_extra_the_policy_says_what_to_install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.jobs.senders.apprise.find_spec", lambda name: None)
    with pytest.raises(ValidationError, match=r'pip install "gateway\[channels\]"'):
        made(folder, "json://127.0.0.1:1/")
