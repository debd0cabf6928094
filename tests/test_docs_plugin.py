"""docs/writing-a-plugin.md is run as it stands: its files are written where it says, its tests are run, its policies name what there is."""

from __future__ import annotations

import inspect
import re
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.app import App
from gateway.config.policy import load as load_policy
from gateway.exchange import Reply
from gateway.plugin import HOOKS, CallFailed, Dead, Job, Plugin, Retry
from gateway.registry import Registry
from gateway.testing import FakeService, FakeUpstream, exchange, host, load, pipeline, run

PAGE = (Path(__file__).parents[1] / "docs/writing-a-plugin.md").read_text()
FILES = [(match[1], match[0]) for match in re.findall(r"```python\n((?:# (\S+)\n).*?)```", PAGE, re.DOTALL)]
POLICIES = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
GUARD = "        if ex.client not in self._allow:\n"


def write(folder: Path, files: list[tuple[str, str]]) -> None:
    for name, text in files:
        file = folder / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)


def pytest_in(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(folder), "tests"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


def test_the_page_is_read() -> None:
    assert [name for name, _ in FILES] == [
        "plugins/maintenance.py",
        "plugins/maintenance.py",
        "tests/test_maintenance.py",
        "plugins/suspects.py",
        "senders/crm.py",
    ]
    assert len(POLICIES) == 3


def test_the_smallest_plugin_answers(tmp_path: Path) -> None:
    write(tmp_path, FILES[:1])
    plugins = [load("request_id"), load("maintenance", registry=Registry(tmp_path))]
    reply: Reply = run(pipeline(*plugins), exchange())
    assert reply.status == 503
    assert "X-Request-Id" in reply.headers


def test_its_tests_pass(tmp_path: Path) -> None:
    write(tmp_path, FILES)
    result = pytest_in(tmp_path)
    assert result.returncode == 0, result.stdout
    assert re.search(r"^12 passed", result.stdout, re.MULTILINE)


def test_its_tests_can_fail(tmp_path: Path) -> None:
    write(tmp_path, [(name, text.replace(GUARD, "        if False:\n")) for name, text in FILES])
    assert GUARD in FILES[1][1]
    result = pytest_in(tmp_path)
    assert result.returncode == 1 and "failed" in result.stdout


def test_what_blocks_waits_in_a_thread(tmp_path: Path) -> None:
    write(tmp_path, FILES)
    with closing(sqlite3.connect(tmp_path / "suspects.db")) as database, database:
        database.execute("CREATE TABLE suspects (client TEXT PRIMARY KEY)")
        database.execute("INSERT INTO suspects VALUES ('192.0.2.7')")
    suspects = load("suspects", {"file": str(tmp_path / "suspects.db")}, registry=Registry(tmp_path))
    upstream = FakeUpstream()
    threads: list[threading.Thread] = []
    look = vars(type(suspects))["_is_suspect"]

    def watched(client: str) -> bool:
        threads.append(threading.current_thread())
        return bool(look(suspects, client))

    vars(suspects)["_is_suspect"] = watched
    asked = [run(pipeline(suspects, upstream=upstream), exchange(client=client)).status for client in ("192.0.2.7", "192.0.2.8")]
    assert asked == [403, 200]
    assert len(threads) == 2 and threading.current_thread() not in threads


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (Reply(201), {"status": 201}),
        (Reply(429), Retry),
        (Reply(503), Retry),
        (Reply(422), Dead),
        (CallFailed(reason="nobody listens"), Retry),
    ],
)
async def test_the_sender_of_ones_own_is_done_or_says_why(tmp_path: Path, reply: Reply | Exception, outcome: Any) -> None:
    """In the policy that the page shows, loaded as it is."""
    write(tmp_path, FILES)
    policy = tmp_path / "gateway.yaml"
    policy.write_text(f"version: 1\nupstreams: {{leads: {{targets: http://127.0.0.1:3000}}}}\n{POLICIES[2]}")
    App(load_policy(policy, env={}), lambda line: None)
    [sender] = load_policy(policy, env={}).senders
    service = FakeService(reply)
    handler = sender.handler(sender.settings, host(service=service))
    job = Job(id="job1", type="crm", payload={"data": {"id": 7}}, state="active", attempt=1)
    if isinstance(outcome, dict):
        assert await handler.run(job) == outcome
    else:
        with pytest.raises(outcome):
            await handler.run(job)
    assert service.requests == [("POST", "http://127.0.0.1:4000/leads", {"Idempotency-Key": "job1"}, b'{"id": 7}')]


@pytest.mark.parametrize("text", POLICIES)
def test_its_policies_name_settings_that_there_are(text: str, tmp_path: Path) -> None:
    write(tmp_path, FILES)
    for entry in yaml.safe_load(text).get("plugins", ()):
        name, settings = next(iter(entry.items())) if isinstance(entry, dict) else (entry, None)
        load(name, settings, registry=Registry(tmp_path))


@pytest.mark.parametrize("hook", [*HOOKS, "start", "stop"])
def test_every_hook_is_in_the_table(hook: str) -> None:
    parameters = ", ".join(list(inspect.signature(getattr(Plugin, hook)).parameters)[1:])
    assert f"`{hook}({parameters})`" in PAGE
