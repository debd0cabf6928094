"""Servers that tests have for themselves, or share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.store.hosting import Hosted
from tests.store.servers import Server, started


@pytest.fixture
def server() -> Iterator[Server]:
    """A Valkey of the test's own, to be frozen and killed."""
    with started() as made:
        yield made


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[Server]:
    with started("valkey") as server:
        yield server


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Server]:
    with started("redis") as server:
        yield server


@pytest.fixture
def hosted() -> Iterator[Hosted]:
    with TemporaryDirectory() as folder:
        made = Hosted(Path(folder)).start()
        yield made
        made.close()
