"""docs/deploy/README.md lists what is there, and its numbers are those of the files."""

from __future__ import annotations

import re

from tests.deploy.files import DEPLOY, MARGIN
from tests.deploy.test_compose import GATEWAY
from tests.deploy.test_kubernetes import KINDS, POD
from tests.deploy.test_service import value

PAGE = (DEPLOY / "README.md").read_text()


def test_every_file_is_listed() -> None:
    files = {str(file.relative_to(DEPLOY)) for file in DEPLOY.rglob("*") if file.is_file()}
    files = {name for name in files if name != "README.md" and "/provisioning/" not in name}
    assert files == set(re.findall(r"\]\(((?:\w+/)?[\w.-]+)\)", PAGE))


def test_the_times_are_those_of_the_files() -> None:
    shown = re.findall(r"^\| (.*) \| (\d+) s \+ (\d+) s \+ (\d+) s = (\d+) s \| `(.*)` \|$", PAGE, re.MULTILINE)
    kept = {
        "terminationGracePeriodSeconds": str(POD["spec"]["terminationGracePeriodSeconds"]),
        "stop_grace_period": GATEWAY["stop_grace_period"].removesuffix("s"),
        "TimeoutStopSec": value("TimeoutStopSec"),
    }
    assert {key: total for *_, total, key in shown} == kept
    for _, lame_duck, drain, margin, total, _ in shown:
        assert int(lame_duck) + int(drain) + int(margin) == int(total) and int(margin) == MARGIN
    assert f"lame_duck: {shown[0][1]}s, drain: {shown[0][2]}s" in KINDS["ConfigMap"]["data"]["gateway.yaml"]
