"""docs/deploy/grafana/gateway.json, as the tests read it."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

from tests.deploy.files import DEPLOY

DASHBOARD: dict[str, Any] = json.loads((DEPLOY / "grafana/gateway.json").read_text())
VARIABLE = re.compile(r"\$(\w+)")


class Query(NamedTuple):
    panel: str
    expression: str
    legend: str


QUERIES = [
    Query(panel["title"], target["expr"], target["legendFormat"]) for panel in DASHBOARD["panels"] for target in panel.get("targets", [])
]


def filled(expression: str, **values: str) -> str:
    """As Grafana sends it: everything chosen, unless `values` say otherwise."""
    every = {"job": "gateway", "instance": ".*", "route": ".*", "__rate_interval": "1m"} | values
    return VARIABLE.sub(lambda found: every[found[1]], expression)
