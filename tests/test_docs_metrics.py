"""docs/metrics.md lists every metric there is, in the code's own words, and shows a plugin that counts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from gateway import plugin as contract
from gateway.cli.metrics import HEAD, table
from gateway.testing import Measured, exchange, host

PAGE = (Path(__file__).parents[1] / "docs/metrics.md").read_text()


def test_the_table_is_what_the_code_says() -> None:
    shown = PAGE[PAGE.index(HEAD) :]
    assert shown[: shown.index("\n\n") + 1] == table(), "print it with: python -m gateway.cli.metrics"


def test_the_plugin_that_is_shown_counts() -> None:
    code = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[0]
    names: dict[str, Any] = {**vars(contract), "MaintenanceSettings": contract.NoSettings}
    exec(code, names)
    measured = Measured()
    plugin = names["Maintenance"](contract.NoSettings(), host(metrics=measured))
    plugin.on_request(exchange())
    assert measured.value("maintenance.clients", let_in=False) == measured.value("maintenance.clients") == 1
