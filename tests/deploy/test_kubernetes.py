"""The manifests are what Kubernetes takes, hang together, and say of the gateway what is so."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from gateway.cli import main
from gateway.config.policy import load
from tests.deploy.files import DEPLOY, MARGIN, ROOT
from tests.deploy.serving import moved, serving

OBJECTS: list[dict[str, Any]] = list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()))
KINDS = {one["kind"]: one for one in OBJECTS}
POD = KINDS["Deployment"]["spec"]["template"]
(CONTAINER,) = POD["spec"]["containers"]
PORTS = {one["name"]: one["containerPort"] for one in CONTAINER["ports"]}
MOUNTS = {one["name"]: one for one in CONTAINER["volumeMounts"]}
VOLUMES = {one["name"]: one for one in POD["spec"]["volumes"]}
POLICY = KINDS["ConfigMap"]["data"]["gateway.yaml"]
PROBES = {name: CONTAINER[name] for name in ("startupProbe", "livenessProbe", "readinessProbe")}
MONITOR: dict[str, Any] = yaml.safe_load((DEPLOY / "prometheus/podmonitor.yaml").read_text())


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    """For each mount a folder, with the secret in its place."""
    found = {one["mountPath"]: tmp_path / name for name, one in MOUNTS.items()}
    for folder in found.values():
        folder.mkdir()
    for item in VOLUMES["secrets"]["secret"]["items"]:
        (found[MOUNTS["secrets"]["mountPath"]] / item["path"]).write_text(KINDS["Secret"]["stringData"][item["key"]])
    return found


@pytest.fixture
def env() -> dict[str, str]:
    secrets = KINDS["Secret"]["stringData"]
    return {one["name"]: secrets[one["valueFrom"]["secretKeyRef"]["key"]] for one in CONTAINER["env"]}


@pytest.fixture
def policy(folders: dict[str, Path], env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    path = folders[MOUNTS["policy"]["mountPath"]] / "gateway.yaml"
    path.write_text(moved(POLICY, folders))
    return path


def test_check_finds_nothing_to_say_of_the_policy(policy: Path) -> None:
    assert main(["check", "--strict", str(policy)]) == 0


def test_ports(policy: Path) -> None:
    server = load(policy).server
    assert server.observe is not None and server.observe.address == f"0.0.0.0:{PORTS['observe']}"
    assert [one.address for one in server.listen] == [f"0.0.0.0:{PORTS['http']}"]
    assert [one["targetPort"] for one in KINDS["Service"]["spec"]["ports"]] == ["http"]
    assert [port["port"] for rule in KINDS["NetworkPolicy"]["spec"]["ingress"] for port in rule["ports"]] == ["http", "observe"]
    assert [(one["port"], one["path"]) for one in MONITOR["spec"]["podMetricsEndpoints"]] == [("observe", "/metrics")]
    assert POD["metadata"]["annotations"]["prometheus.io/port"] == str(PORTS["observe"])


def test_the_pods_are_those_that_are_meant() -> None:
    labels = POD["metadata"]["labels"]
    deployment = KINDS["Deployment"]["spec"]
    selectors = [
        deployment["selector"]["matchLabels"],
        POD["spec"]["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"],
        KINDS["Service"]["spec"]["selector"],
        KINDS["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        KINDS["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
        MONITOR["spec"]["selector"]["matchLabels"],
    ]
    assert all(selector == labels for selector in selectors)
    assert labels[MONITOR["spec"]["jobLabel"]] == "gateway"  # the job that the rules look for
    assert KINDS["PodDisruptionBudget"]["spec"]["maxUnavailable"] < deployment["replicas"]


def test_there_is_time_to_end(policy: Path) -> None:
    timeouts = load(policy).server.timeouts
    assert POD["spec"]["terminationGracePeriodSeconds"] >= timeouts.lame_duck + timeouts.drain + MARGIN


def test_what_is_mounted() -> None:
    assert set(MOUNTS) == set(VOLUMES)
    assert not any("subPath" in one for one in MOUNTS.values())
    arguments = CONTAINER["args"]
    assert arguments[-1] == f"{MOUNTS['policy']['mountPath']}/gateway.yaml" and VOLUMES["policy"]["configMap"]["name"] == "gateway"
    assert arguments[arguments.index("--state") + 1] == MOUNTS["state"]["mountPath"] and "emptyDir" in VOLUMES["state"]
    assert [name for name, one in MOUNTS.items() if not one.get("readOnly")] == ["state"]
    files = {f"{MOUNTS['secrets']['mountPath']}/{item['path']}" for item in VOLUMES["secrets"]["secret"]["items"]}
    assert set(re.findall(r"\$\{file:([^}]+)\}", POLICY)) == files


def test_it_is_nobody_s_root() -> None:
    user = re.findall(r"^USER (\d+):(\d+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    context = POD["spec"]["securityContext"]
    assert user == [(str(context["runAsUser"]), str(context["runAsGroup"]))] and context["runAsNonRoot"]
    assert VOLUMES["secrets"]["secret"]["defaultMode"] == 0o440 and context["fsGroup"] == context["runAsGroup"]
    assert CONTAINER["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


async def test_what_the_probes_ask_is_answered(folders: dict[str, Path], env: dict[str, str]) -> None:
    paths = [MONITOR["spec"]["podMetricsEndpoints"][0]["path"], POD["metadata"]["annotations"]["prometheus.io/path"]]
    for probe in PROBES.values():
        assert probe["httpGet"]["port"] == "observe"
        paths.append(probe["httpGet"]["path"])
    async with serving(CONTAINER["args"], POLICY, folders, env) as gateway:
        for path in paths:
            assert (await status(gateway.observe, path)) == 200, path


async def status(port: int, path: str) -> int:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}{path}") as answer:
        return answer.status
