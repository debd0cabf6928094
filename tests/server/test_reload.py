"""What a reload changes, what it leaves alone, and that one which fails leaves everything alone. Processes: test_reload_process.py."""

from __future__ import annotations

import asyncio
import gc
import logging
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from gateway.app import App
from gateway.config.policy import load
from gateway.plugin import Plugin
from gateway.server.compile import Compiler
from gateway.server.reading import bound
from gateway.server.reload import Reloader, reloader
from gateway.server.succession import Succession
from gateway.state.record import Reload, running
from tests.http.recording import SILENCE, RawUpstream, Received, Step
from tests.support import Answer, RawClient, Running, gateway, raw

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


class Reloading:
    """A gateway in this process, and the file of its policy."""

    def __init__(self, path: Path, running: Running, reloader: Reloader) -> None:
        self.path = path
        self.running = running
        self.reloader = reloader

    async def to(self, policy: str) -> Reload:
        self.path.write_text(policy)
        return await self.reloader.reload()

    async def ask(self, request: bytes = GET) -> Answer:
        (answer,) = await raw(self.running.port, request)
        return answer


@asynccontextmanager
async def reloading(policy: str, folder: Path) -> AsyncIterator[Reloading]:
    path = folder / "gateway.yaml"
    path.write_text(policy)
    async with gateway(policy, path=path) as found:
        compiler = Compiler(partial(load, path), found.app.policy, found.lines.append)
        succession = Succession(found.front, compiler, bound(found.app.policy))
        made = reloader(succession, path, folder / "state", watch=False)
        task = asyncio.create_task(made.run())
        try:
            await until(lambda: running(folder / "state") is not None)
            yield Reloading(path, found, made)
        finally:
            task.cancel()
            await asyncio.wait([task])
            made.stop()
            await succession.stop()


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not holds():
            await asyncio.sleep(0.005)


def policy(url: str = "http://127.0.0.1:1", *, server: str = "{}", plugins: str = "[]", extra: str = "") -> str:
    return f"""version: 1
server: {server}
upstreams: {{a: {{targets: "{url}"}}}}
plugins: {plugins}
routes: [{{name: all, match: "/**", upstream: a}}{extra}]
"""


def responding(body: str) -> str:
    return f"version: 1\nroutes: [{{name: all, match: /**, plugins: [respond: {{status: 200, body: {body}}}]}}]\n"


async def test_the_next_request_on_the_same_connection_is_the_new_policy_s(tmp_path: Path) -> None:
    async with reloading(responding("old"), tmp_path) as found, RawClient(found.running.port) as client:
        for body in (b"old", b"new"):
            client.data = b""
            client.send(GET)
            assert [answer.body for answer in await client.read(1)] == [body]
            assert (await found.to(responding("new"))).ok


async def test_connections_to_an_upstream_that_is_the_same_live_on(tmp_path: Path) -> None:
    async with RawUpstream() as upstream, reloading(policy(upstream.url), tmp_path) as found:
        for plugins in ("[]", "[request_id]", "[security_headers]"):
            assert (await found.to(policy(upstream.url, plugins=plugins))).ok
            assert (await found.ask()).status == 200
        assert upstream.connections == 1
        changed = policy(upstream.url).replace(f'"{upstream.url}"', f'"{upstream.url}", timeouts: {{head: 3s}}')
        assert (await found.to(changed)).ok
        assert (await found.ask()).status == 200
        assert upstream.connections == 2
        await until(lambda: upstream.closed == 1)  # what is gone is closed


LIMITED = "[rate_limit: {limit: 3, window: 1h}]"


@pytest.mark.parametrize(
    ("after", "left"),
    [
        (LIMITED, [b"2", b"1", b"0", b"0"]),
        ("[request_id, rate_limit: {limit: 3, window: 1h}]", [b"2", b"1", b"0", b"0"]),
        ("[rate_limit: {limit: 4, window: 1h}]", [b"2", b"1", b"3", b"2"]),
    ],
    ids=["unchanged", "another beside it", "another limit"],
)
async def test_counters_live_on_while_their_limit_is_the_same(tmp_path: Path, after: str, left: list[bytes]) -> None:
    """Four requests, a reload after the second; by what each of them leaves."""
    async with RawUpstream() as upstream, reloading(policy(upstream.url, plugins=LIMITED), tmp_path) as found:
        remaining = []
        for n in range(4):
            if n == 2:
                assert (await found.to(policy(upstream.url, plugins=after))).ok
            told = (await found.ask()).get(b"RateLimit")
            remaining.append(told.partition(b"r=")[2].partition(b";")[0])
        assert remaining == left


async def test_settings_of_server_apply_to_connections_that_are_open(tmp_path: Path) -> None:
    """Also to a client whose headers were read before, and are the same again."""
    long = b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.9\r\nX-Long: " + b"x" * 900 + b"\r\n\r\n"
    async with RawUpstream() as upstream, reloading(policy(upstream.url), tmp_path) as found, RawClient(found.running.port) as client:
        for server, forwarded in (("{}", b"127.0.0.1"), ("{trusted_proxies: [127.0.0.1]}", b"203.0.113.9, 127.0.0.1")):
            assert (await found.to(policy(upstream.url, server=server))).ok
            client.data = b""
            client.send(long)
            assert (await client.read(1))[0].status == 200
            assert upstream.received[-1].all(b"X-Forwarded-For") == [forwarded]
        assert (await found.to(policy(upstream.url, server="{limits: {head: 512B}, timeouts: {idle: 1s}}"))).ok
        assert found.running.front.timeouts.idle == 1.0
        client.data = b""
        client.send(long)
        assert (await client.read(1))[0].status == 431


async def test_what_needs_a_restart_is_refused_by_name_and_the_rest_applies(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with reloading(policy(), tmp_path) as found:
        reload = await found.to(policy(server="{listen: 127.0.0.1:1, timeouts: {idle: 3s}}"))
        told = f"{found.path}:2:18: server.listen: only a restart changes this; the old value stays, all else was applied"
        assert (reload.ok, reload.refused) == (True, (told,))
        assert found.running.front.timeouts.idle == 3.0
        assert (await found.ask()).status == 502
        assert told in caplog.messages
        assert (await found.to(policy())).refused == ()  # compared with what is bound, not with what was written last


BROKEN = {
    "no YAML": ("a: [", "this list is not closed"),
    "a mistake": (policy(plugins="[rat_limit]"), 'did you mean "rate_limit"?'),
    "what only a plugin sees": (policy(plugins="[failing: {at: init}]"), "plugins[0].failing: it cannot be"),
    "a plugin that does not start": (
        policy(plugins="[failing: {at: start}]"),
        "plugin failing cannot be started: RuntimeError: no database",
    ),
    "a plugin that ends the process": (policy(plugins="[failing: {at: exit}]"), "SystemExit: 3"),
    "a plugin whose file ends the process": (policy(plugins="[ending]"), "SystemExit: 4"),
}
FAILING = """
from gateway.plugin import Plugin, Settings

SEEN = []


class FailingSettings(Settings):
    at: str


class Failing(Plugin[FailingSettings]):
    def __init__(self, settings, host):
        super().__init__(settings, host)
        self.at = settings.at
        if self.at == "init":
            raise ValueError("it cannot be")

    async def start(self):
        SEEN.append("start")
        if self.at == "start":
            raise RuntimeError("no database")
        if self.at == "exit":
            raise SystemExit(3)

    async def stop(self):
        SEEN.append("stop")
"""


@pytest.mark.parametrize(("broken", "told"), BROKEN.values(), ids=BROKEN)
async def test_a_policy_that_fails_changes_nothing_and_says_so(
    broken: str, told: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "failing.py").write_text(FAILING)
    (tmp_path / "plugins" / "ending.py").write_text("raise SystemExit(4)\n")
    health = ', {name: health, match: "GET /health/**", plugins: [health]}'
    readiness = b"GET /health/readiness HTTP/1.1\r\nHost: a\r\n\r\n"
    async with RawUpstream() as upstream, reloading(policy(upstream.url, extra=health), tmp_path) as found:
        app = found.running.front.app
        assert (await found.ask()).status == 200
        reload = await found.to(broken)
        assert not reload.ok
        assert told in "\n".join(reload.mistakes)
        assert [record.message for record in caplog.records if record.levelno == logging.ERROR][1:] == list(reload.mistakes)
        assert found.running.front.app is app
        assert (await found.ask()).status == 200
        assert upstream.connections == 1
        assert (await found.ask(readiness)).json == {"status": "ok", "policy": "stale"}
        state = running(tmp_path / "state")
        assert state is not None and (state.ended, state.failed, state.last) == (1, 1, reload)
        assert (await found.to(policy(upstream.url, extra=health))).ok
        assert (await found.ask(readiness)).json == {"status": "ok"}
        state = running(tmp_path / "state")
        assert state is not None and (state.ended, state.failed) == (2, 1)


async def test_a_plugin_is_stopped_when_the_last_exchange_of_its_policy_has_ended(tmp_path: Path) -> None:
    def script(request: Received) -> list[Step]:
        return [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n", SILENCE]

    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "failing.py").write_text(FAILING)
    with_plugin = "[failing: {at: nothing}]"
    async with RawUpstream(script) as upstream, reloading(policy(upstream.url, plugins=with_plugin), tmp_path) as found:
        seen = found.running.app.policy.plugins[0].plugin.start.__globals__["SEEN"]
        async with RawClient(found.running.port) as client:
            client.send(GET)
            while b"1\r\na\r\n" not in client.data:
                await client.more()
            assert (await found.to(responding("new"))).ok
            assert (await found.ask()).body == b"new"
            await asyncio.sleep(0.3)  # longer than the look for a last exchange takes
            assert seen == ["start"]
            assert upstream.closed == 0
        await until(lambda: seen == ["start", "stop"])
        assert upstream.closed == 1


async def test_nothing_of_a_replaced_policy_stays_though_the_collector_never_looks(tmp_path: Path) -> None:
    """What is loaded is out of its sight: one circle, and each reload would cost the memory of a policy."""
    everything = """[request_id, access_log, problem_details, security_headers, cors: {origins: ["https://a.test"]}, body_limit: 1KiB,
      headers: {request: {set: {A: b}}}, rewrite: {path: /x}, rate_limit: [{limit: 3, window: 1h}, {limit: 9, window: 1d}]]"""
    async with RawUpstream() as upstream, reloading(policy(upstream.url), tmp_path) as found:
        assert (await found.to(policy(upstream.url, plugins=everything))).ok
        gone: list[weakref.ref[object]] = []
        gc.disable()
        try:
            for _ in range(3):
                app = found.running.front.app
                gone += [weakref.ref(app), weakref.ref(app.running)]
                gone += [weakref.ref(plugin) for plugin in app.running.plugins]
                del app
                assert (await found.ask()).status == 200
                assert (await found.to(policy(upstream.url, plugins=everything))).ok
            await until(lambda: not [one for one in gone if one() is not None])
        finally:
            gc.enable()


async def test_a_hundred_reloads_leave_nothing(tmp_path: Path) -> None:
    """Neither objects, which nobody would ever collect, nor tasks."""

    def is_over() -> bool:
        return not any("Succession._end" in repr(task) or "_dropped" in repr(task) for task in asyncio.all_tasks())

    several = """[request_id, access_log, tracing, metrics, rate_limit: {limit: 3000, window: 1h}, concurrency: {limit: 9},
      authenticate: {optional: true, jwt: {algorithms: RS256, jwks_url: "http://127.0.0.1:1/keys"}}]"""
    checks = "checks: {gone: {tcp: 127.0.0.1:1}}\n"
    async with RawUpstream() as upstream, reloading(policy(upstream.url), tmp_path) as found:

        async def reload(times: int) -> tuple[int, int]:
            for _ in range(times):
                assert (await found.to(policy(upstream.url, plugins=several) + checks)).ok
            await until(is_over)
            gc.collect()
            return len(gc.get_objects()) + gc.get_freeze_count(), len(asyncio.all_tasks())

        objects, tasks = await reload(20)
        after, tasks_after = await reload(100)
        assert (after - objects) / 100 < 10
        assert tasks_after <= tasks + 1


async def test_code_of_plugins_is_read_again_when_it_has_changed_and_only_then(tmp_path: Path) -> None:
    (tmp_path / "plugins").mkdir()
    code = tmp_path / "plugins" / "failing.py"
    code.write_text(FAILING)
    text = policy(plugins="[failing: {at: nothing}]")

    def cls(app: App) -> type:
        return app.policy.plugins[0].plugin

    async with reloading(text, tmp_path) as found:
        await found.to(text)
        first = cls(found.running.front.app)
        await found.to(text)
        assert cls(found.running.front.app) is first
        code.write_text(FAILING + "\n# changed\n")
        await found.to(text)
        assert cls(found.running.front.app) is not first


async def test_a_folder_that_cannot_be_written_costs_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text(responding("old"))
    (tmp_path / "state").write_text("a file where the folder should be")
    async with gateway(responding("old"), path=path) as found:
        compiler = Compiler(partial(load, path), found.app.policy, found.lines.append)
        succession = Succession(found.front, compiler, bound(found.app.policy))
        made = reloader(succession, path, tmp_path / "state", watch=False)
        task = asyncio.create_task(made.run())
        for body in ("new", "newer"):
            path.write_text(responding(body))
            assert (await made.reload()).ok
            assert (await raw(found.port, GET))[0].body == body.encode()
        task.cancel()
        await asyncio.wait([task])
        made.stop()
        await succession.stop()
    warnings = [record.message for record in caplog.records if record.levelno == logging.WARNING and "cannot be" in record.message]
    assert len(warnings) == 2  # the state, and the revisions


async def test_a_client_that_leaves_between_the_making_of_a_task_and_its_first_step(tmp_path: Path) -> None:
    """The task runs nothing then, not even its end; one exchange counted too many would keep its policy for ever."""
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "slow.py").write_text(
        "from gateway.plugin import NoSettings, Plugin\n\n\nclass Slow(Plugin[NoSettings]):\n"
        "    async def on_request(self, ex):\n        pass\n"
    )
    async with (
        RawUpstream([SILENCE]) as upstream,
        gateway(policy(upstream.url, plugins="[slow]"), path=tmp_path / "g.yaml") as found,
        RawClient(found.port) as client,
    ):
        await until(lambda: found.front._connections)
        (connection,) = found.front._connections
        connection.data_received(GET)
        turn = connection._turn
        assert turn is not None
        asyncio.get_running_loop().call_soon(turn.client_left)  # right behind what makes the task
        assert found.app.running.exchanges == 1
        await until(lambda: found.app.running.exchanges == 0)
        client.leave()


def references(plugins: list[Plugin[Any]]) -> dict[str, weakref.ref[Plugin[Any]]]:
    return {type(plugin).__name__: weakref.ref(plugin) for plugin in plugins}


def alive(plugins: dict[str, weakref.ref[Plugin[Any]]]) -> set[str]:
    """The names of those that are still referred to."""
    return {name for name, plugin in plugins.items() if plugin() is not None}


async def test_a_stream_that_lives_on_keeps_its_own_plugins_and_no_others(tmp_path: Path) -> None:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "failing.py").write_text(FAILING)
    other = ", {name: other, match: /other, upstream: a, plugins: [body_limit: 1KiB, failing: {at: nothing}]}"
    chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n"
    async with RawUpstream([chunks, SILENCE]) as upstream, reloading(policy(upstream.url), tmp_path) as found:
        assert (await found.to(policy(upstream.url, plugins="[request_id]", extra=other))).ok
        plugins = references(found.running.front.app.running.plugins)
        async with RawClient(found.running.port) as client:
            client.send(GET)
            while b"1\r\na\r\n" not in client.data:
                await client.more()
            assert (await found.to(policy(upstream.url))).ok
            await until(lambda: plugins["BodyLimit"]() is None)
            assert alive(plugins) == {"RequestId", "Failing"}  # that has to be stopped
        await until(lambda: gc.collect() >= 0 and not alive(plugins))  # Python 3.12 leaves a cut stream's frames to the collector
