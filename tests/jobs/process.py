"""A policy whose jobs are written to a file, one line each, as the test's own sender and plugin do; and its processes."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.server.process import GatewayProcess

SENDER = '''
"""Writes the id and the attempt of each job to a file."""
import asyncio, os
from gateway.plugin import Dead, Field, File, Job, JobHandler, Retry, SenderSettings

class NoteSettings(SenderSettings):
    path: str = Field(description="Where to.")
    takes: float = Field(0.0, description="Seconds.")

class Note(JobHandler[NoteSettings]):
    async def run(self, job: Job) -> object:
        with open(self.settings.path, "ab", buffering=0) as file:
            file.write(f"{job.id} {job.attempt} {os.getpid()} begun\\n".encode())
        await asyncio.sleep(self.settings.takes)
        if job.payload == "die":
            os._exit(9)
        with open(self.settings.path, "ab", buffering=0) as file:
            file.write(f"{job.id} {job.attempt} {os.getpid()} done\\n".encode())
        return {"attempt": job.attempt}
'''
PLUGIN = '''
"""Answers POST /fire/ID when the job is stored, and GET /jobs/ID with what is known of it."""
from gateway.plugin import Exchange, JobsAway, NoSettings, Plugin, Reply

class Fire(Plugin[NoSettings]):
    async def on_request(self, ex: Exchange) -> Reply:
        id = ex.path.rpartition("/")[2]
        if ex.method == "GET":
            job = await self.host.jobs.ask(id)
            return Reply.json(200, {} if job is None else {"state": job.state, "attempt": job.attempt, "result": job.result})
        try:
            enqueued = await self.host.jobs.enqueue("note", ex.query, id=id, request_id=ex.request_id)
        except JobsAway as error:
            return Reply.json(503, {"why": str(error)})
        return Reply.json(202, {"id": enqueued.id, "new": enqueued.is_new})
'''
POLICY = """
version: 1
server: {{listen: 127.0.0.1:0, workers: {processes}, timeouts: {{lame_duck: 0s, drain: {drain}}}}}
jobs:
  path: jobs.db
  url: "{url}"
  workers: {workers}
  concurrency: 8
  lease: {lease}
  senders:
    note: {{path: "{notes}", takes: {takes}}}
routes:
  - {{name: health, match: GET /health/**, plugins: [health]}}
  - {{name: all, match: /**, plugins: [fire]}}
"""


def write(folder: Path, *, url: str = "", workers: str = "in_process", lease: str = "2s", takes: float = 0.0, processes: int = 1,
          drain: str = "5s") -> str:  # fmt: skip
    for kind, name, source in (("senders", "note", SENDER), ("plugins", "fire", PLUGIN)):
        (folder / kind).mkdir(exist_ok=True)
        (folder / kind / f"{name}.py").write_text(source)
    values = {"url": url, "workers": workers, "lease": lease, "takes": takes, "processes": processes, "drain": drain}
    text = POLICY.format(notes=folder / "notes", **values)
    (folder / "gateway.yaml").write_text(text)
    return text


def noted(folder: Path, word: str = "done") -> list[str]:
    """The ids of the jobs that were begun, or done, in order."""
    notes = folder / "notes"
    lines = notes.read_text().splitlines() if notes.exists() else []
    return [line.split()[0] for line in lines if line.endswith(word)]


async def spawned(command: str, folder: Path, *options: str) -> GatewayProcess:
    arguments = (sys.executable, "-m", "gateway", command, *options, str(folder / "gateway.yaml"))
    return GatewayProcess(await asyncio.create_subprocess_exec(*arguments, stdout=DEVNULL, stderr=PIPE, env={**os.environ, "LC_ALL": "C"}))


@asynccontextmanager
async def worker(folder: Path, *options: str) -> AsyncIterator[GatewayProcess]:
    """Killed at the end if it still runs."""
    process = await spawned("worker", folder, *options)
    try:
        async with asyncio.timeout(30):
            while "working for" not in process.log:
                await asyncio.sleep(0.01)
        yield process
    finally:
        await process.kill()
