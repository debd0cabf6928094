"""docs/deploy/prometheus/rules.yaml, as the tests read it."""

from __future__ import annotations

from typing import Any

import yaml

from tests.deploy.files import DEPLOY

FILE = DEPLOY / "prometheus/rules.yaml"
RULES: list[dict[str, Any]] = [rule for group in yaml.safe_load(FILE.read_text())["groups"] for rule in group["rules"]]
ALERTS = sorted({rule["alert"] for rule in RULES if "alert" in rule})
