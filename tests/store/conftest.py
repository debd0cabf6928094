"""Servers that tests have for themselves, or share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.store.hosting import Hosted
from tests.store.servers import Server


@pytest.fixture
def server() -> Iterator[Server]:
    """A Valkey of the test's own, to be frozen and killed."""
    with TemporaryDirectory() as folder:
        made = Server(Path(folder)).start()
        yield made
        made.kill()


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
