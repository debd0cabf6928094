"""docs/jobs.md: the states are the code's, and the sender that is shown does what the page says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import CallFailed
from gateway.exchange import Headers, Reply
from gateway.jobs.contract import Dead, Job, Retry
from gateway.jobs.machine import TRANSITIONS
from gateway.registry import Registry
from gateway.testing import FakeService, host

PAGE = (Path(__file__).parents[1] / "docs/jobs.md").read_text()


def test_the_states_are_those_of_the_code() -> None:
    rows = re.findall(r"^\| (\w+) \| (\w+) \| (\w+) \|$", PAGE, re.MULTILINE)
    table = [(state, event, to) for state, events in TRANSITIONS.items() for event, to in events.items()]
    assert rows == table


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    (code,) = re.findall(r"```python\n(# senders/slack.py\n.*?)```", PAGE, re.DOTALL)
    (tmp_path / "senders").mkdir()
    (tmp_path / "senders/slack.py").write_text(code)
    return Registry(tmp_path)


@pytest.mark.parametrize(
    ("reply", "error", "after"),
    [
        (Reply(200, Headers(), b"ok"), None, None),
        (Reply(429, Headers([("Retry-After", "7")]), b""), Retry, 7.0),
        (Reply(503, Headers(), b""), Retry, None),
        (Reply(404, Headers(), b""), Dead, None),
        (CallFailed(reason="no answer"), CallFailed, None),  # tried again, as anything else that is raised
    ],
)
async def test_the_sender_that_is_shown_sends(
    registry: Registry, reply: Reply | Exception, error: type[Exception] | None, after: float | None
) -> None:
    service = FakeService(reply)
    handler = registry.senders.load("slack")
    settings: Any = handler.settings_type.model_validate({"url": "https://hooks.test/1", "rate": "1/s"})
    slack = handler(settings, host(service=service))
    job = Job(id="a", type="slack", payload={"text": "a lead"}, state="active")
    if error is None:
        assert await slack.run(job) == {"status": 200}
    else:
        with pytest.raises(error) as raised:
            await slack.run(job)
        assert getattr(raised.value, "after", None) == after
    assert service.requests[0][3] == b'{"text": "a lead"}'
