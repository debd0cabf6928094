"""The contract's tests run on each store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.jobs.stores import Subject, subject
from tests.store.servers import Server


@pytest.fixture(scope="session")
def valkey() -> Iterator[Server]:
    with TemporaryDirectory() as folder:
        server = Server(Path(folder), "valkey").start()
        yield server
        server.kill()


@pytest.fixture(scope="session")
def redis() -> Iterator[Server]:
    with TemporaryDirectory() as folder:
        server = Server(Path(folder), "redis").start()
        yield server
        server.kill()


@pytest.fixture(params=["memory", "sqlite", "valkey", "redis"])
async def jobs(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Subject]:
    async with subject(request.param, tmp_path, partial(request.getfixturevalue, request.param)) as made:
        yield made
