"""A policy compiled: mistakes found by plugins, instances shared, lifecycles in order, and a 404 that is a reply like any other."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest
import trustme

from gateway.app import App
from gateway.config.policy import Policy, loads
from gateway.errors import ConfigError
from gateway.exchange import End, Exchange, Reply
from gateway.testing import exchange

LIFE = """
from gateway.plugin import Host, Plugin, Reply, Settings

SEEN = []


class LifeSettings(Settings):
    name: str
    fails: str = ""
    refuses: str = ""


class Life(Plugin[LifeSettings]):
    def __init__(self, settings, host):
        super().__init__(settings, host)
        self.name, self.fails = settings.name, settings.fails
        if settings.refuses:
            raise ValueError(settings.refuses)

    async def start(self):
        SEEN.append(f"{self.name} start")
        if self.fails == "start":
            raise RuntimeError("cannot start")
        self.host.spawn(self.forever(), "forever")

    async def forever(self):
        import asyncio
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            SEEN.append(f"{self.name} cancelled")
            raise

    async def stop(self):
        SEEN.append(f"{self.name} stop")
        if self.fails == "stop":
            raise RuntimeError("cannot stop")

    def on_request(self, ex):
        SEEN.append(f"{self.name} request")
        return Reply(204) if self.name == "answer" else None
"""


class Life:
    """A folder with a plugin `life` beside its policy; `seen` is what its instances did."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "plugins").mkdir()
        (folder / "plugins" / "life.py").write_text(LIFE)

    def policy(self, text: str) -> Policy:
        policy = loads("version: 1\n" + text, path=self.folder / "gateway.yaml")
        entries = [*policy.plugins, *(entry for route in policy.routes for entry in route.plugins)]
        self.seen: list[str] = next(entry.plugin for entry in entries).on_request.__globals__["SEEN"]
        return policy


@pytest.fixture
def life(tmp_path: Path) -> Life:
    return Life(tmp_path)


def app(policy: Policy) -> App:
    return App(policy, lambda line: None)


async def answered(app: App, ex: Exchange) -> Reply:
    pipeline = app.find(ex)
    reply = await pipeline.answer(ex)
    pipeline.end(ex, End(reply.status))
    return reply


ROUTE = "routes: [{name: r, match: /, plugins: [respond: {status: 200}]}]\n"
TWO = """
plugins:
  - life: {name: common}
routes:
  - {name: a, match: GET /a, plugins: [life: {name: answer}]}
  - {name: b, match: GET /b, plugins: [life: {name: answer}]}
"""


async def test_a_common_entry_is_one_instance_for_all_routes_and_a_routes_entry_its_own(life: Life) -> None:
    found = app(life.policy(TWO))
    of_a, of_b = ([entry.plugin for entry in route.pipeline.entries] for route in found.routes)
    assert of_a[0] is of_b[0]
    assert of_a[1] is not of_b[1]
    assert [plugin.host.route for plugin in (*of_a, *of_b)] == ["", "a", "", "b"]


async def test_a_plugin_is_started_once_and_stopped_last_first_its_tasks_with_it(life: Life) -> None:
    found = app(life.policy(TWO))
    await found.start()
    assert life.seen == ["common start", "answer start", "answer start"]
    assert (await answered(found, exchange("GET", "/a"))).status == 204
    await asyncio.sleep(0)  # the tasks have begun
    life.seen.clear()
    await found.stop()
    assert life.seen == [f"{name} {what}" for name in ("answer", "answer", "common") for what in ("cancelled", "stop")]
    await found.stop()  # again: nothing is left to stop
    assert sum("stop" in line for line in life.seen) == 3


async def test_a_failed_start_stops_what_was_started(life: Life) -> None:
    """The failing one included, for it may have opened something; none behind it."""
    found = app(life.policy("plugins: [life: {name: a}, life: {name: b, fails: start}, life: {name: c}]\n" + ROUTE))
    with pytest.raises(RuntimeError, match="cannot start"):
        await found.start()
    assert [line for line in life.seen if "cancelled" not in line] == ["a start", "b start", "b stop", "a stop"]


async def test_a_failed_stop_keeps_none_of_the_others_from_it(life: Life, caplog: pytest.LogCaptureFixture) -> None:
    found = app(life.policy("plugins: [life: {name: a}, life: {name: b, fails: stop}]\n" + ROUTE))
    await found.start()
    with caplog.at_level(logging.ERROR):
        await found.stop()
    assert [line for line in life.seen if "stop" in line] == ["b stop", "a stop"]
    assert "Life did not stop" in caplog.text


def test_what_a_constructor_refuses_is_a_mistake_at_its_entry_and_all_are_told(life: Life) -> None:
    policy = life.policy(
        """plugins:
  - life: {name: a}
  - life: {name: b, refuses: "it is wrong; write it right"}
routes:
  - name: r
    match: /
    plugins:
      - life: {name: c, refuses: this too}
        mode: enforce
  - {name: other, match: /other, plugins: [respond: {status: 200}]}
"""
    )
    with pytest.raises(ConfigError) as refused:
        app(policy)
    assert [(mistake.line, mistake.column, mistake.path, mistake.why, mistake.hint) for mistake in refused.value.mistakes] == [
        (4, 5, "plugins[1].life", "it is wrong", "write it right"),
        (9, 9, "routes[0].plugins[0].life", "this too", ""),
    ]


async def test_an_entry_that_is_off_is_not_even_made(life: Life) -> None:
    text = (
        'plugins:\n  - life: {name: a, refuses: never}\n    mode: "off"\nroutes: [{name: r, match: /, plugins: [life: {name: answer}]}]\n'
    )
    found = app(life.policy(text))
    assert (await answered(found, exchange())).status == 204


COMMON = """
version: 1
plugins:
  - request_id
  - access_log
  - problem_details
  - security_headers
  - cors: {origins: [https://app.test]}
routes:
  - {name: a, match: GET /a, plugins: [respond: {status: 200}]}
"""


@pytest.mark.parametrize(("method", "target", "status"), [("GET", "/a", 200), ("GET", "/nowhere", 404), ("DELETE", "/a", 405)])
async def test_a_404_and_a_405_pass_the_common_plugins(method: str, target: str, status: int) -> None:
    lines: list[bytes] = []
    found = App(loads(COMMON), lines.append)
    ex = exchange(method, target, {"Origin": "https://app.test", "X-Request-Id": "mine"})
    reply = await answered(found, ex)
    assert reply.status == status
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert reply.headers["Access-Control-Allow-Origin"] == "https://app.test"
    assert reply.headers["X-Request-Id"] == "mine"
    assert len(lines) == 1
    if status == 405:
        assert "GET" in reply.headers["Allow"]
    if status != 200:
        assert reply.headers["Content-Type"] == "application/problem+json"


async def test_an_upgrade_is_taken_up_only_where_the_route_says_so() -> None:
    text = """
version: 1
upstreams: {a: {targets: "http://127.0.0.1:1"}}
routes:
  - {name: takes, match: GET /yes, upstream: a}
  - {name: leaves, match: GET /no, upstream: a, upgrades: []}
"""
    found = app(loads(text))
    for target, kept in (("/yes", "websocket"), ("/no", "")):
        ex = exchange("GET", target)
        ex.upgrade = "websocket"
        found.find(ex)
        assert ex.upgrade == kept


def certificates(folder: Path, *, broken: str = "") -> dict[str, str]:
    authority = trustme.CA()
    pair = authority.issue_cert("gateway.test")
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    pair.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))
    pair.private_key_pem.write_to_path(str(folder / "key.pem"))
    if broken:
        (folder / f"{broken}.pem").write_text("not a certificate")
    return {"ca": "ca.pem", "cert": "cert.pem", "key": "key.pem"}


@pytest.mark.parametrize("broken", ["", "ca", "cert", "key"])
def test_certificate_files_that_cannot_be_used_are_a_mistake(broken: str, tmp_path: Path) -> None:
    tls = certificates(tmp_path, broken=broken)
    text = f"""version: 1
upstreams:
  a:
    targets: https://127.0.0.1:1
    tls: {{ca: {tls["ca"]}, cert: {tls["cert"]}, key: {tls["key"]}}}
routes: [{{name: r, match: /, upstream: a}}]
"""
    if not broken:
        app(loads(text, path=tmp_path / "gateway.yaml"))
        return
    with pytest.raises(ConfigError) as refused:
        loads(text, path=tmp_path / "gateway.yaml")
    (mistake,) = refused.value.mistakes
    assert (mistake.path, mistake.line) == (f"upstreams.a.tls.{broken}", 5)
    assert mistake.why in ("no certificate is in this file", "no private key is in this file")


async def test_certificate_files_that_break_after_the_policy_is_loaded_are_a_mistake(tmp_path: Path) -> None:
    tls = certificates(tmp_path, broken="")
    text = f"""version: 1
upstreams: {{a: {{targets: "https://127.0.0.1:1", tls: {{ca: {tls["ca"]}}}}}}}
routes: [{{name: r, match: /, upstream: a}}]
"""
    policy = loads(text, path=tmp_path / "gateway.yaml")
    (tmp_path / tls["ca"]).write_text("")
    with pytest.raises(ConfigError, match="the certificate files cannot be used: "):
        app(policy)


async def test_readiness_is_what_plugins_hear_of_a_drain(life: Life) -> None:
    found = app(life.policy(TWO))
    plugin = found.routes[0].pipeline.entries[0].plugin
    assert plugin.host.is_ready()
    found.running.draining = True
    assert not plugin.host.is_ready()
