"""docs/notifications.md, followed: the gateway it begins with runs, commands say what the pages say, and its Node.js example works."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.free_ports import free_port, free_ports
from tests.server.process import running
from tests.test_docs import BESIDE, BLOCKS, ROOT
from tests.test_tour import CONSOLE, STEP, pattern

PAGES = [(ROOT / f"docs/{name}.md").read_text() for name in ("notifications", "jobs")]
SHOWN = [block for block in BLOCKS if block.page.name == "notifications.md"]
ANNOTATION = re.compile(r"(?<=\w): (?:string|object)(?=[,)])|(?<=\)): Promise<string>")
"""What of TypeScript the example has beyond JavaScript."""


def beside(folder: Path) -> None:
    """The files that the page shows."""
    for block in SHOWN:
        if file := BESIDE.match(block.text):
            (folder / file[1]).parent.mkdir(parents=True, exist_ok=True)
            (folder / file[1]).write_text(block.text)


@asynccontextmanager
async def leads(port: int) -> AsyncIterator[None]:
    """The demo's service."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway", "demo", "--port", str(port), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(30):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    break
                except ConnectionRefusedError:
                    await asyncio.sleep(0.05)
        writer.close()
        await writer.wait_closed()
        yield
    finally:
        process.kill()
        await process.wait()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_what_the_page_says_is_what_happens(tmp_path: Path) -> None:
    listen, admin, upstream = free_ports(3)
    ports = {"8080": str(listen), "9192": str(admin), "3000": str(upstream)}
    policy = next(block.text for block in SHOWN if "version: 1" in block.text)
    beside(tmp_path)
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    steps = [step for page in PAGES for block in CONSOLE.findall(page) for step in STEP.findall(block)]
    assert len(steps) == 6
    async with leads(upstream), running(replaced(policy, ports), tmp_path) as gateway:
        for command, output in steps:
            ended = await asyncio.to_thread(
                subprocess.run,
                replaced(command, ports),
                shell=True,
                cwd=tmp_path,
                env=env,
                capture_output=True,
                text=True,
                timeout=30,
                check=False,
            )
            actual = (ended.stdout if ended.stdout.endswith("\n") else f"{ended.stdout}\n").replace("\r\n", "\n")
            assert re.fullmatch(pattern(output), actual), f"{command}\n{output}\n--- but was ---\n{actual}{ended.stderr}{gateway.log}"


def replaced(text: str, ports: dict[str, str]) -> str:
    return re.sub("|".join(ports), lambda found: ports[found[0]], text)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
async def test_the_example_for_nodejs_works(tmp_path: Path) -> None:
    """Its types taken off: this Node.js need not know them."""
    listen = free_port()
    beside(tmp_path)
    created = subprocess.run(
        [sys.executable, "-m", "gateway", "keys", "create", "crm", "--file", str(tmp_path / "policy/keys.yaml")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    code = next(block.text for block in SHOWN if block.info == "typescript")
    javascript = ANNOTATION.sub("", code)
    assert len(code.splitlines()) <= 20
    script = tmp_path / "example.mjs"
    script.write_text(f"{javascript}\n{USE}")
    policy = f"""
version: 1
server: {{listen: "127.0.0.1:{listen}"}}
routes:
  - match: /internal/jobs/{{job}}
    plugins:
      - authenticate: {{api_key: {{file: policy/keys.yaml}}}}
      - jobs_api: {{types: email}}
jobs:
  senders: {{email: {{url: outbox:outbox, from: a@example.com, templates: policy/templates}}}}
"""
    env = {**os.environ, "GATEWAY_URL": f"http://127.0.0.1:{listen}", "GATEWAY_KEY": created.stdout.strip()}
    async with running(policy, tmp_path):
        ended = await asyncio.to_thread(
            subprocess.run, ["node", str(script)], env=env, capture_output=True, text=True, timeout=30, check=False
        )
    assert (ended.stdout, ended.stderr) == ("same true\ndone\nrefused 422\nunknown\n", "")
    [mail] = tmp_path.glob("outbox/*.eml")
    assert b"Welcome, Ada" in mail.read_bytes()


USE = """
const payload = { to: "ada@example.com", template: "welcome", data: { name: "Ada" } };
const id = await enqueue("email", payload, "welcome:7");
console.log("same", id === await enqueue("email", payload, "welcome:7"));
let now = await state(id);
for (let n = 0; n < 100 && now !== "done"; n++) {
  await new Promise((next) => setTimeout(next, 50));
  now = await state(id);
}
console.log(now);
await enqueue("email", { to: "nobody" }, "other").catch((error) => console.log("refused", error.message.slice(0, 3)));
console.log(await state("nothing"));
"""
