"""`gateway jobs`: by the admin port of the gateway that runs, and in the file itself when none does."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.cli import jobs as command
from gateway.cli import main
from gateway.jobs.contract import NewJob
from gateway.jobs.sqlite.store import SqliteJobs
from tests.free_ports import free_port
from tests.jobs.senders.support import welcome
from tests.server.process import running

POLICY = """\
version: 1
server: {listen: 127.0.0.1:0, admin: 127.0.0.1:%d, workers: %d}
telemetry: {pii: [email]}
plugins: [access_log]
routes:
  - match: POST /leads
    plugins:
      - enqueue: {job: email, template: welcome, to: "{{ request.body.email }}", data: {name: "{{ request.body.name }}"}}
      - respond: 201
jobs:
  path: jobs.db
  senders:
    email: {url: outbox:outbox, from: no-reply@example.com, templates: templates}
"""


@pytest.fixture
def policy(tmp_path: Path) -> str:
    welcome(tmp_path)
    path = tmp_path / "gateway.yaml"
    path.write_text(POLICY % (free_port(), 1))
    return str(path)


def store(policy: str, *jobs: NewJob) -> None:
    async def all_of_them() -> None:
        made = SqliteJobs(Path(policy).parent / "jobs.db")
        await made.start()
        for job in jobs:
            await made.enqueue(job)
        await made.stop()

    asyncio.run(all_of_them())


def new(name: str, **more: Any) -> NewJob:
    payload = {"to": "ada@example.com", "template": "welcome", "data": {"name": "Ada", "email": "ada@example.com"}}
    return NewJob(**{"id": name, "type": "email", "payload": payload, **more})


def told(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


def test_in_the_file_when_no_gateway_runs(policy: str, capsys: pytest.CaptureFixture[str]) -> None:
    store(policy, new("one"), new("two", parked="{{ response.body.email }} is missing"), new("three", delay=3600.0))
    of = ["--policy", policy]
    assert main(["jobs", "list", *of]) == 0
    assert [line.split()[2:] for line in told(capsys).splitlines()] == [
        ["three", "email", "(welcome)", "delayed,", "due", *told_due(policy)],
        ["two", "email", "(welcome)", "parked:", "{{", "response.body.email", "}}", "is", "missing"],
        ["one", "email", "(welcome)", "queued"],
    ]
    assert main(["jobs", "list", "--state", "parked", "--json", *of]) == 0
    assert [job["id"] for job in json.loads(told(capsys))] == ["two"]
    assert main(["jobs", "show", "one", *of]) == 0
    shown = told(capsys)
    assert 'payload: {"to": "[redacted]", "template": "welcome", "data": {"name": "Ada", "email": "[redacted]"}}' in shown
    assert "ada@" not in shown
    assert main(["jobs", "cancel", "one", *of]) == 0 and told(capsys) == "cancelled: one\n"
    assert main(["jobs", "retry", "--state", "dead", *of]) == 0 and told(capsys) == "retried: 1\n"
    assert main(["jobs", "pause", "email", *of]) == 0 and told(capsys) == "paused: email\n"
    assert main(["jobs", "stats", *of]) == 0
    lines = [line.partition(", the oldest")[0] for line in told(capsys).splitlines()[1:]]
    assert lines == ["email: 1 queued", "email: 1 delayed", "email: 1 parked", "paused: email"]
    assert main(["jobs", "resume", "email", *of]) == 0 and told(capsys) == "paused: nothing\n"
    assert main(["jobs", "purge", "--state", "parked", *of]) == 0 and told(capsys) == "purged: 1\n"
    assert main(["jobs", "list", "--state", "parked", *of]) == 0 and told(capsys) == "there are none\n"


def told_due(policy: str) -> list[str]:
    async def due() -> float:
        made = SqliteJobs(Path(policy).parent / "jobs.db")
        await made.start()
        job = await made.get("three")
        await made.stop()
        assert job is not None
        return job.run_at

    return command._moment(asyncio.run(due())).split()


def test_a_backup_is_whole(policy: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store(policy, new("one"))
    target = tmp_path / "copy.db"
    assert main(["jobs", "backup", str(target), "--policy", policy]) == 0
    assert told(capsys) == f"{target}: a copy of 1 job\n"
    assert main(["jobs", "backup", str(target), "--policy", policy]) == 1
    assert "is there already" in capsys.readouterr().err


async def test_a_backup_is_of_the_gateways_file(policy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo, or a unit of systemd, gave it an environment that the command does not have."""
    text = Path(policy).read_text().replace("path: jobs.db", 'path: "${JOBS_FILE:-stale.db}"')
    Path(policy).write_text(text)
    with monkeypatch.context() as environment:
        environment.setenv("JOBS_FILE", str(tmp_path / "live.db"))
        async with running(text, tmp_path) as process, aiohttp.ClientSession() as client:
            asking = client.post(f"http://127.0.0.1:{process.port}/leads", json={"email": "ada@example.com", "name": "Ada"})
            async with asking as response:
                assert response.status == 201
            environment.delenv("JOBS_FILE")
            assert await asyncio.to_thread(main, ["jobs", "backup", str(tmp_path / "copy.db"), "--policy", policy]) == 0
    with closing(sqlite3.connect(tmp_path / "copy.db")) as copy:
        assert copy.execute("SELECT count(*) FROM job").fetchone() == (1,)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["show", "nothing"], "there is no job nothing"),
        (["retry"], "write the id of a job, or a state: dead or parked"),
        (["purge"], "write a state"),
        (["list", "--state", "lost"], "there is no state lost"),
    ],
)
def test_what_is_refused(policy: str, arguments: list[str], why: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["jobs", *arguments, "--policy", policy]) == 1
    assert why in capsys.readouterr().err
    assert main(["jobs", *arguments, "--policy", policy, "--json"]) == 1
    assert why in json.loads(capsys.readouterr().out)["error"]


def test_a_policy_without_jobs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text("version: 1\nroutes: [{match: /**, plugins: [respond: 204]}]\n")
    assert main(["jobs", "list", "--policy", str(path)]) == 1
    assert "the policy has no jobs" in capsys.readouterr().err
    assert main(["jobs", "backup", "x.db", "--policy", str(path)]) == 1


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
async def test_by_the_admin_port_of_the_gateway_that_runs(
    policy: str, workers: int, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.server.process.PATIENCE", 60.0)  # three processes that start on a busy machine
    admin = free_port()
    Path(policy).write_text(POLICY % (admin, workers))
    async with running(Path(policy).read_text(), tmp_path) as gateway, aiohttp.ClientSession() as session:
        await asked("pause", "email", policy)
        body = {"email": "grace@example.com", "name": "Grace"}
        async with session.post(f"http://127.0.0.1:{gateway.port}/leads", json=body) as response:
            assert response.status == 201
        capsys.readouterr()
        await asked("list", "--json", policy)
        [job] = json.loads(told(capsys))
        assert (job["type"], job["template"], job["state"]) == ("email", "welcome", "queued")
        await asked("resume", "email", policy)
        async with asyncio.timeout(30):
            while not list(tmp_path.glob("outbox/*.eml")):
                await asyncio.sleep(0.05)
        [mail] = tmp_path.glob("outbox/*.eml")
        assert b"To: grace@example.com\r\nSubject: Welcome, Grace\r\n" in mail.read_bytes()
        assert "grace@example.com" not in gateway.log


async def asked(*arguments: str) -> None:
    *rest, policy = arguments
    assert await asyncio.to_thread(main, ["jobs", *rest, "--policy", policy]) == 0


def test_tail_tells_what_comes_and_changes(policy: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Three looks; then Ctrl-C."""
    store(policy, new("one"))
    looks = 0

    def look(seconds: float) -> None:
        nonlocal looks
        looks += 1
        if looks == 3:
            raise KeyboardInterrupt
        if looks == 1:
            store(policy, new("two"))

    monkeypatch.setattr("gateway.cli.jobs.time.sleep", look)
    assert main(["jobs", "tail", "--policy", policy, "--json"]) == 0
    assert [json.loads(line)["id"] for line in told(capsys).splitlines()] == ["one", "two"]
