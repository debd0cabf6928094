"""Fixtures of tests in several folders, and the turns that tests take."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway.content import engines
from gateway.content.engines import Engine, python, rust
from tests.turns import pytest_collection_modifyitems as pytest_collection_modifyitems
from tests.turns import pytest_runtest_protocol as pytest_runtest_protocol
from tests.turns import pytest_sessionstart as pytest_sessionstart


@pytest.fixture(scope="module", params=[rust, python], ids=lambda engine: engine.name)
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """Schemas are compiled by each of the two in turn."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engines, "chosen", request.param)
        yield request.param
