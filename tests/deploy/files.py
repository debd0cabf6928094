"""The folder docs/deploy, and the tools of others that look at what is in it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "docs/deploy"
MARGIN = 5
"""Seconds from the end of the drain to that of the process, at most: what kills a gateway waits for as long."""


def needs(tool: str) -> pytest.MarkDecorator:
    """Leaves a test out, and says so, where the tool is not installed."""
    return pytest.mark.skipif(shutil.which(tool) is None, reason=f"{tool} is not installed")
