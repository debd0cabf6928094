"""The level of the log while the gateway runs: for all or for one logger, until the policy's is set again."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from gateway.telemetry.levels import follow, levels, set_level

PLUGIN = logging.getLogger("gateway.plugins.test_levels")
FOREIGN = logging.getLogger("test_levels.foreign")


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    level = logging.getLogger().level
    yield
    follow("info")
    logging.getLogger().setLevel(level)


def test_all() -> None:
    follow("info")
    assert levels() == {"level": "info"}
    set_level("debug")
    assert levels() == {"level": "debug"}
    assert PLUGIN.isEnabledFor(logging.DEBUG)
    follow("warning")
    assert not PLUGIN.isEnabledFor(logging.INFO)


def test_one_logger_and_those_below_it() -> None:
    follow("warning")
    set_level("debug", "gateway.plugins.test_levels")
    assert PLUGIN.isEnabledFor(logging.DEBUG)
    assert PLUGIN.getChild("child").isEnabledFor(logging.DEBUG)
    assert not logging.getLogger("gateway.server").isEnabledFor(logging.INFO)
    assert levels() == {"level": "warning", "loggers": {"gateway.plugins.test_levels": "debug"}}
    set_level("error")
    assert PLUGIN.isEnabledFor(logging.DEBUG)
    follow("warning")
    assert levels() == {"level": "warning"}


@pytest.mark.parametrize("name", ["gateway.no.such", "test_levels.foreign", "gatewayx", "asyncio"])
def test_only_loggers_that_there_are_and_only_our_own(name: str) -> None:
    with pytest.raises(LookupError, match="there is no logger"):
        set_level("debug", name)
    assert name not in logging.root.manager.loggerDict or name in ("test_levels.foreign", "asyncio")


def test_what_a_library_has_set_is_its_own() -> None:
    FOREIGN.setLevel(logging.ERROR)
    follow("debug")
    assert FOREIGN.level == logging.ERROR
    assert "loggers" not in levels()
