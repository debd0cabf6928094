"""Fixtures of tests in several folders, the turns that tests take, and what holds for all property tests."""

from __future__ import annotations

from collections.abc import Iterator

import hypothesis
import pytest

from gateway.content import engines
from gateway.content.engines import Engine, python, rust
from tests.turns import pytest_collection_modifyitems as pytest_collection_modifyitems
from tests.turns import pytest_runtest_protocol as pytest_runtest_protocol
from tests.turns import pytest_sessionstart as pytest_sessionstart

# How long an example takes is no claim of any property, and on a busy machine chance.
hypothesis.settings.register_profile("gateway", deadline=None)
hypothesis.settings.load_profile("gateway")


@pytest.fixture(scope="module", params=[rust, python], ids=lambda engine: engine.name)
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """Schemas are compiled by each of the two in turn."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engines, "chosen", request.param)
        yield request.param
