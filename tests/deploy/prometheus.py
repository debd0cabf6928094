"""A real Prometheus that scrapes a gateway by the second, with the rules of docs/deploy."""

from __future__ import annotations

import asyncio
import time
from asyncio.subprocess import DEVNULL, STDOUT
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from tests.deploy.rules import FILE
from tests.free_ports import free_port

PATIENCE = 30.0  # seconds until it answers, or has seen something


class Prometheus:
    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """The labels and the value of each series. Raises AssertionError with what is wrong with the expression."""
        answer = await self._get("/api/v1/query", query=expression)
        return [(one["metric"], float(one["value"][1])) for one in answer["result"]]

    async def rules(self) -> list[dict[str, Any]]:
        return [rule for group in (await self._get("/api/v1/rules"))["groups"] for rule in group["rules"]]

    async def looked(self) -> None:
        """Wait until it has scraped all that is so now."""
        now = time.time()
        async with asyncio.timeout(PATIENCE):
            while not await self.query(f'(timestamp(up{{job="gateway"}}) > {now:.3f}) and up{{job="gateway"}} == 1'):
                await asyncio.sleep(0.1)

    async def ready(self) -> None:
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    async with self._session.get("/-/ready") as answer:
                        if answer.status == 200:
                            return
                except aiohttp.ClientConnectionError:
                    pass
                await asyncio.sleep(0.1)

    async def _get(self, path: str, **parameters: str) -> Any:
        async with self._session.get(path, params=parameters) as answer:
            told = await answer.json()
        assert told["status"] == "success", f"{parameters}: {told}"
        return told["data"]


@asynccontextmanager
async def prometheus(folder: Path, observe: int) -> AsyncIterator[Prometheus]:
    """One that scrapes the observe port `observe`, keeps what it sees in `folder`, and is killed at the end."""
    port = free_port()
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(FILE)],
        "scrape_configs": [{"job_name": "gateway", "static_configs": [{"targets": [f"127.0.0.1:{observe}"]}]}],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    command = ("prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data")
    with (folder / "prometheus.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *command, f"--web.listen-address=127.0.0.1:{port}", stdin=DEVNULL, stdout=log, stderr=STDOUT
        )
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
            server = Prometheus(session)
            await server.ready()
            yield server
    finally:
        process.kill()
        await process.wait()
