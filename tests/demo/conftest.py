"""The real leads service on a free port, with a database of its own in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from gateway.demo.service import application


@pytest.fixture
async def leads() -> AsyncIterator[TestClient[Any, Any]]:
    async with TestClient(TestServer(application())) as client:
        yield client
