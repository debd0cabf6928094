"""Fixtures of tests in several folders, and the turns that they take."""

from __future__ import annotations

from tests.turns import pytest_runtest_protocol as pytest_runtest_protocol
from tests.turns import pytest_sessionstart as pytest_sessionstart
