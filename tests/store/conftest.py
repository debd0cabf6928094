"""Servers that the tests of a module share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.store.hosting import Hosted
from tests.store.servers import Server


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[Server]:
    with TemporaryDirectory() as folder:
        server = Server(Path(folder), "valkey").start()
        yield server
        server.kill()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Server]:
    with TemporaryDirectory() as folder:
        server = Server(Path(folder), "redis").start()
        yield server
        server.kill()


@pytest.fixture
def hosted() -> Iterator[Hosted]:
    with TemporaryDirectory() as folder:
        made = Hosted(Path(folder)).start()
        yield made
        made.close()
