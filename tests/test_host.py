"""What a policy's own plugin is given, as it is given it by a running gateway."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.http.client import raw
from tests.http.recording import RawUpstream, ok
from tests.support import gateway

ASKING = """
from gateway.plugin import File, Plugin, Reply, Settings


class AskingSettings(Settings):
    service: str
    file: File


class Asking(Plugin[AskingSettings]):
    def __init__(self, settings, host):
        super().__init__(settings, host)
        self.service, self.file = settings.service, settings.file
        self.content = b""

    async def start(self):
        self.host.watch(self.file, self.changed)

    def changed(self, content):
        self.content = content

    async def on_request(self, ex):
        if ex.query == "file":
            return Reply(200, body=self.content)
        if ex.query == "service":
            return await self.host.http("GET", self.service)
        return await self.host.fetch(ex, {"X-Again": "yes"})
"""
POLICY = """
version: 1
upstreams: {{leads: {{targets: ["{url}"]}}}}
routes:
  - match: /**
    upstream: leads
    plugins: [{{asking: {{service: "{url}/service", file: {file}}}}}]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins/asking.py").write_text(ASKING)
    (tmp_path / "watched").write_text("old")
    return tmp_path


async def test_it_asks_below_and_elsewhere_and_is_told_of_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.watch.follow.__defaults__", (0.005,))
    async with RawUpstream(lambda request: [ok(b" ".join([request.target, *request.all(b"X-Again")]))]) as upstream:
        policy = POLICY.format(url=f"http://127.0.0.1:{upstream.port}", file=folder / "watched")
        async with gateway(policy, path=folder / "gateway.yaml") as running:

            async def get(target: bytes) -> bytes:
                return (await raw(running.port, b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % target))[0].body

            assert await get(b"/a?b") == b"/a?b yes"
            assert await get(b"/a?service") == b"/service"
            (folder / "watched").write_text("newer")
            while (content := await get(b"/?file")) != b"newer":
                assert content == b""
