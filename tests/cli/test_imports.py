"""What commands import: all else would be waited for, at each start of one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
AFTER = """
import json, sys
from gateway.cli import main
code = main(sys.argv[1:])
sys.stderr.write(json.dumps([code, sorted(sys.modules)]))
"""
FOR_TRAFFIC = {
    "aiohttp", "aiosmtplib", "cryptography", "email_validator", "grpc", "hiredis", "joserfc", "jsonschema", "opentelemetry", "phonenumbers",
    "prometheus_client", "rich", "sentry_sdk", "urllib3", "uvloop", "yarl",
    "gateway.caching.redis", "gateway.jobs.redis", "gateway.ports", "gateway.rehearsal", "gateway.server", "gateway.session",
    "gateway.store.redis.store", "gateway.supervisor",
}  # fmt: skip
UNUSED = {"gateway.identity", "gateway.signing", "gateway_plugins.authenticate", "gateway_plugins.signature"}
"""No plugin of the shipped policy asks for these."""
OF_SOME_PLUGINS = {"gateway.content", "gateway.expressions", "jinja2", "jsonschema_rs", "nh3", "selectolax", "brotli"}


def imported(*arguments: str) -> set[str]:
    """The modules, and all that they are in, after a command in an interpreter of its own."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    done = subprocess.run([sys.executable, "-c", AFTER, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    code, modules = json.loads(done.stderr)
    assert code == 0, done.stdout
    return set(modules)


@pytest.mark.parametrize("command", ["check", "plan"])
def test_what_only_traffic_needs_is_not_imported(command: str) -> None:
    found = imported(command, "gateway.yaml")
    assert {"pydantic", "yaml", "gateway_plugins.rate_limit", "gateway.content", "gateway.caching"} <= found  # it has seen the policy
    assert found & (FOR_TRAFFIC | UNUSED) == set()


def test_a_policy_waits_for_its_own_plugins_alone(tmp_path: Path) -> None:
    policy = tmp_path / "gateway.yaml"
    policy.write_text("version: 1\nroutes: [{match: GET /, plugins: [{respond: 204}]}]\n")
    assert imported("check", str(policy)) & (FOR_TRAFFIC | UNUSED | OF_SOME_PLUGINS) == set()


def test_help_reads_no_policy() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "gateway", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    found = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "argparse" in found
    assert found & {"pydantic", "yaml", "asyncio", "gateway.plugin"} == set()
