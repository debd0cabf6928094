"""The manifest of the workers: it goes by the gateway's policy with what the page adds to it, and its probes are answered."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from asyncio.subprocess import DEVNULL, PIPE
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml

from gateway.cli import main
from gateway.config.policy import load
from tests.deploy.files import DEPLOY, MARGIN
from tests.deploy.serving import moved
from tests.deploy.test_kubernetes import KINDS as GATEWAY
from tests.deploy.test_kubernetes import POLICY, status
from tests.server.process import GatewayProcess
from tests.store.servers import Server

KINDS: dict[str, Any] = {one["kind"]: one for one in yaml.safe_load_all((DEPLOY / "kubernetes-workers.yaml").read_text())}
POD = KINDS["Deployment"]["spec"]["template"]
(CONTAINER,) = POD["spec"]["containers"]
MOUNTS = {one["name"]: one for one in CONTAINER["volumeMounts"]}
PROBES = {name: CONTAINER[name] for name in ("startupProbe", "livenessProbe", "readinessProbe")}
MONITOR: dict[str, Any] = yaml.safe_load((DEPLOY / "prometheus/podmonitor-workers.yaml").read_text())
(ADDED,) = re.findall(r"```yaml\n(store: .*?)```", (DEPLOY / "README.md").read_text(), re.DOTALL)


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    found = {one["mountPath"]: tmp_path / name for name, one in MOUNTS.items()}
    for folder in found.values():
        folder.mkdir()
    (found[MOUNTS["secrets"]["mountPath"]] / "leads_token").write_text("a-token")
    return found


@pytest.fixture
def policy(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ADMIN_TOKEN", "change-me-change-me")
    path = folders[MOUNTS["policy"]["mountPath"]] / "gateway.yaml"
    path.write_text(moved(POLICY + ADDED, folders))
    return path


def test_check_finds_nothing_to_say_of_the_policy(policy: Path) -> None:
    assert main(["check", "--strict", str(policy)]) == 0


def test_what_is_added_to_the_policy_is_what_workers_of_other_machines_need(policy: Path, folders: dict[str, Path]) -> None:
    loaded = load(policy)
    assert loaded.jobs is not None and loaded.store.redis is not None
    assert loaded.jobs.workers == "separate"
    assert loaded.jobs.path.parent == folders[MOUNTS["spool"]["mountPath"]]
    assert POD["spec"]["terminationGracePeriodSeconds"] >= loaded.server.timeouts.drain + MARGIN


def test_it_is_the_gateway_s_policy_and_its_secrets() -> None:
    of_gateway = GATEWAY["Deployment"]["spec"]["template"]["spec"]
    volumes = {one["name"]: one for one in POD["spec"]["volumes"]}
    theirs = {one["name"]: one for one in of_gateway["volumes"]}
    assert (volumes["policy"], volumes["secrets"]) == (theirs["policy"], theirs["secrets"])
    assert CONTAINER["env"] == of_gateway["containers"][0]["env"] and CONTAINER["image"] == of_gateway["containers"][0]["image"]
    for name in ("securityContext", "enableServiceLinks", "automountServiceAccountToken"):
        assert POD["spec"][name] == of_gateway[name]
    assert CONTAINER["securityContext"] == of_gateway["containers"][0]["securityContext"]
    assert set(MOUNTS) == set(volumes)


def test_they_are_no_gateways() -> None:
    """No Service sends them requests, and no rule about gateways takes them for one."""
    labels = POD["metadata"]["labels"]
    selectors = [
        KINDS["Deployment"]["spec"]["selector"]["matchLabels"],
        KINDS["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
        MONITOR["spec"]["selector"]["matchLabels"],
    ]
    assert all(selector == labels for selector in selectors)
    assert labels[MONITOR["spec"]["jobLabel"]] == "gateway-workers"
    assert GATEWAY["Service"]["spec"]["selector"] != labels


async def test_what_the_probes_ask_is_answered(policy: Path, folders: dict[str, Path]) -> None:
    arguments = [moved(one, folders).replace("0.0.0.0:9191", "127.0.0.1:0") for one in CONTAINER["args"]]
    assert arguments != CONTAINER["args"] and CONTAINER["ports"] == [{"name": "observe", "containerPort": 9191}]
    with TemporaryDirectory() as folder:
        server = Server(Path(folder), "valkey").start()
        policy.write_text(policy.read_text().replace("redis://redis:6379/0", server.url))
        command = (sys.executable, "-m", "gateway", *arguments)
        started = await asyncio.create_subprocess_exec(*command, stdout=DEVNULL, stderr=PIPE, env={**os.environ, "LC_ALL": "C"})
        process = GatewayProcess(started)
        try:
            async with asyncio.timeout(30):
                while (found := re.search(r"observe port on http://127\.0\.0\.1:(\d+)", process.log)) is None:
                    assert started.returncode is None, process.log
                    await asyncio.sleep(0.02)
            for probe in (*PROBES.values(), {"httpGet": MONITOR["spec"]["podMetricsEndpoints"][0]}):
                assert probe["httpGet"]["port"] == "observe"
                assert await status(int(found[1]), probe["httpGet"]["path"]) == 200
        finally:
            await process.kill()
            server.kill()
