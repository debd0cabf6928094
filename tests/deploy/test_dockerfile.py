"""The image's health check and ports agree with the policy that is in it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from gateway.config.policy import load
from tests.deploy.files import ROOT
from tests.deploy.serving import serving

TEXT = (ROOT / "Dockerfile").read_text().replace("\\\n", "")
(CHECK,) = (json.loads(found) for found in re.findall(r"^HEALTHCHECK .* CMD (\[.*\])$", TEXT, re.MULTILINE))
ENV = dict(pair.split("=", 1) for line in re.findall(r"^ENV (.*)$", TEXT, re.MULTILINE) for pair in line.split())
STATE = "/var/lib/gateway"
(COMMAND,) = (json.loads(found) for found in re.findall(r"^CMD (\[.*\])$", TEXT, re.MULTILINE))


def test_its_jobs_are_where_its_user_may_write() -> None:
    assert f"install -d -o 65532 -g 65532 -m 0700 {STATE} {STATE}/jobs" in TEXT
    assert set(ENV) == {"JOBS_FILE", "SMTP_URL", "WHATSAPP_API_URL"} and all(f"{STATE}/jobs/" in value for value in ENV.values())
    assert "COPY policy/templates /etc/gateway/policy/templates\n" in TEXT
    assert "!policy/templates\n" in (ROOT / ".dockerignore").read_text()


def test_the_ports_are_those_of_the_policy() -> None:
    server = load(ROOT / "gateway.yaml").server
    assert server.observe is not None
    ports = [str(server.listen[0].port), server.observe.address.rpartition(":")[2]]
    assert re.findall(r"^EXPOSE (.*)$", TEXT, re.MULTILINE) == [" ".join(ports)]
    assert f'"OBSERVE_PORT", "{ports[1]}"' in CHECK[2]


async def test_the_health_check_tells_a_gateway_from_none(tmp_path: Path) -> None:
    def code(port: int) -> int:
        return subprocess.run(
            [sys.executable, *CHECK[1:]], env={"OBSERVE_PORT": str(port)}, capture_output=True, timeout=30, check=False
        ).returncode

    folders = {"/etc/gateway": tmp_path / "policy", STATE: tmp_path / "state"}
    for folder in folders.values():
        folder.mkdir()
    async with serving(COMMAND, (ROOT / "gateway.yaml").read_text(), folders, ENV) as gateway:
        assert code(gateway.observe) == 0
        port = gateway.observe
    assert code(port) == 1


def test_all_that_the_policy_refers_to_is_in_the_image() -> None:
    """And nothing of the policy writes beside it, where the container may not."""
    copied = [source for source, _ in re.findall(r"^COPY (policy/\S+) /etc/gateway/(\S+)$", TEXT, re.MULTILINE)]
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    text = re.sub(r"#.*", "", (ROOT / "gateway.yaml").read_text())
    used = {Path(found).parts[1] for found in re.findall(r"policy/[a-z/._-]+", text)}
    assert {Path(source).parts[1] for source in copied} == used
    assert all(f"!{source}" in ignored for source in copied)
    names = re.findall(r"\$\{([A-Z_]+):-(?:outbox:)?var/", text)
    assert len(names) == text.count("var/")
    assert all(ENV[name].removeprefix("outbox:").startswith("/var/lib/gateway/") for name in names)
