"""The services of compose.yaml find each other, and the gateway among them runs as it is told to."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.config.policy import load
from tests.deploy.dashboard import DASHBOARD
from tests.deploy.files import DEPLOY, MARGIN, ROOT, needs
from tests.deploy.serving import serving
from tests.deploy.test_dockerfile import ENV

FILE = DEPLOY / "compose.yaml"
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(FILE.read_text())["services"]
GATEWAY = SERVICES["gateway"]
POLICY = (ROOT / "gateway.yaml").read_text()


def read(name: str) -> Any:
    return yaml.safe_load((DEPLOY / name).read_text())


def mounted(service: str) -> dict[str, Path]:
    """What of this folder a service sees, and where."""
    mounts = [mount.split(":") for mount in SERVICES[service]["volumes"]]
    return {inside: DEPLOY / outside for outside, inside, *_ in mounts if outside.startswith(".")}


def test_what_is_built_is_here() -> None:
    for service in ("gateway", "leads"):
        assert (DEPLOY / SERVICES[service]["build"] / "Dockerfile").samefile(ROOT / "Dockerfile")


def test_the_policy_of_the_image_finds_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in GATEWAY["environment"].items():
        monkeypatch.setenv(name, value)
    policy = load(ROOT / "gateway.yaml")
    leads = SERVICES["leads"]["command"]
    assert policy.upstreams["leads"].targets == (f"http://leads:{leads[leads.index('--port') + 1]}",)
    assert policy.server.observe is not None
    (target,) = read("prometheus/prometheus.yaml")["scrape_configs"][0]["static_configs"][0]["targets"]
    assert target == policy.server.observe.address.replace("0.0.0.0", "gateway")
    assert GATEWAY["ports"] == [f"8080:{policy.server.listen[0].port}"]
    assert GATEWAY["stop_grace_period"] == f"{policy.server.timeouts.lame_duck + policy.server.timeouts.drain + MARGIN:g}s"


def test_prometheus_finds_its_rules() -> None:
    config = read("prometheus/prometheus.yaml")
    assert config["rule_files"] == ["rules.yaml"] and config["scrape_configs"][0]["job_name"] == "gateway"
    ((inside, outside),) = mounted("prometheus").items()
    assert (outside / "rules.yaml").exists()
    assert f"--config.file={inside}/prometheus.yaml" in SERVICES["prometheus"]["command"]


@needs("promtool")
def test_prometheus_takes_its_configuration() -> None:
    command = ("promtool", "check", "config", str(DEPLOY / "prometheus/prometheus.yaml"))
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_grafana_finds_prometheus_and_the_dashboard() -> None:
    mounts = mounted("grafana")
    (source,) = read("grafana/provisioning/datasources/prometheus.yaml")["datasources"]
    assert source["url"] == "http://prometheus:9090" and source["type"] == "prometheus"
    (provider,) = read("grafana/provisioning/dashboards/gateway.yaml")["providers"]
    shown = mounts[f"{provider['options']['path']}/gateway.json"]
    assert json.loads(shown.read_text()) == DASHBOARD
    assert mounts["/etc/grafana/provisioning"].is_dir()


async def test_the_gateway_runs_as_it_is_told_to(tmp_path: Path) -> None:
    (state,) = (one.partition(":")[0] for one in GATEWAY["tmpfs"])
    (volume,) = (one.partition(":")[2] for one in GATEWAY["volumes"])
    folders = {"/etc/gateway": tmp_path / "policy", state: tmp_path / "state", volume: tmp_path / "jobs"}
    for folder in folders.values():
        folder.mkdir()
    async with serving(GATEWAY["command"], POLICY, folders, ENV | GATEWAY["environment"]) as gateway:
        assert gateway.process.port and (folders[state] / "metrics").exists()
        assert (folders[volume] / "jobs.db").exists()
