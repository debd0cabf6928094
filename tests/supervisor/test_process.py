"""A gateway of many workers as processes: killed, stopped, blocked, reloaded and drained, under load."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.state.record import running as recorded
from tests.http.recording import ECHO, RawUpstream, Received, Step, ok
from tests.server.process import GatewayProcess, running, spawned
from tests.server.test_process import Load, upload
from tests.support import RawClient, raw

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
CLOSING = GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
UPGRADE = b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
PORTS = re.compile(r"observe port on http://127\.0\.0\.1:(\d+)")


def policy(url: str, workers: int | str = 2, *, timeouts: str = "lame_duck: 200ms, drain: 5s", server: str = "", plugins: str = "") -> str:
    return f"""version: 1
server: {{listen: "127.0.0.1:0", observe: "127.0.0.1:0", workers: {workers}, timeouts: {{{timeouts}}}{server}}}
upstreams: {{a: {{targets: "{url}"}}}}
plugins: [metrics, request_id, access_log{plugins}]
routes:
  - {{name: health, match: "GET /health/**", plugins: [health]}}
  - {{name: all, match: "/**", upstream: a}}
"""


def script(request: Received) -> list[Step]:
    match request.target:
        case b"/upload":
            return [ok(b"%d" % len(request.body))]
        case b"/slow":
            return [b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", 1.0, b"slow"]
        case b"/ws":
            return [b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", ECHO]
    return [0.002, ok(b"GET /")]


async def until(holds: Callable[[], object], seconds: float = 30.0) -> None:
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.02)


class Gateway:
    """A gateway with workers, and what it tells of them."""

    def __init__(self, process: GatewayProcess, folder: Path) -> None:
        self.process = process
        self.folder = folder

    @property
    def port(self) -> int:
        return self.process.port

    @property
    def log(self) -> str:
        return self.process.log

    @property
    def supervisor(self) -> int:
        state = recorded(self.folder / "var" / "gateway")
        assert state is not None
        return state.pid

    async def observe(self, path: str) -> Any:
        found = PORTS.search(self.log)
        assert found is not None, self.log
        (answer,) = await raw(int(found[1]), f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        return answer.json if b"json" in answer.get(b"Content-Type") else answer.body.decode()

    async def workers(self) -> list[Any]:
        return list(await self.observe("/health/workers"))

    async def pids(self) -> list[int]:
        return [worker["pid"] for worker in await self.workers() if worker["state"] == "running"]

    async def has(self, number: int) -> None:
        """Wait until so many workers serve."""
        async with asyncio.timeout(30):
            while len(await self.pids()) != number:
                await asyncio.sleep(0.05)

    async def counted(self, name: str) -> float:
        text = await self.observe("/metrics")
        return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith((f"{name} ", f"{name}{{")))


@asynccontextmanager
async def workers(text: str, folder: Path) -> AsyncIterator[Gateway]:
    async with running(text, folder) as process:
        yield Gateway(process, folder)


def is_alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def plugin(folder: Path, name: str, body: str, head: str = "") -> None:
    (folder / "plugins").mkdir(exist_ok=True)
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    (folder / "plugins" / f"{name}.py").write_text(
        f"{head}\nfrom gateway.plugin import NoSettings, Plugin\n\n\nclass It(Plugin[NoSettings]):\n{lines}\n"
    )


async def test_many_workers_are_one_gateway(tmp_path: Path) -> None:
    """One process to signal, one record, numbers that add up; more workers than cores are no matter."""
    size = (os.cpu_count() or 1) + 2
    async with RawUpstream(script) as upstream, workers(policy(upstream.url, size), tmp_path) as gateway:
        for _ in range(60):
            assert (await raw(gateway.port, CLOSING))[0].status == 200
        found = await gateway.workers()
        assert [worker["worker"] for worker in found] == list(range(size))
        assert len({worker["pid"] for worker in found} | {gateway.supervisor}) == size + 1
        assert await gateway.counted("http_server_request_duration_seconds_count") == 60
        async with asyncio.timeout(30):
            while await gateway.counted("gateway_workers") != size:  # nobody tells of it as it happens: it is looked at
                await asyncio.sleep(0.1)
        health = await gateway.observe("/health/readiness")
        assert (health["status"], health["ready"], health["policy"]["revision"]) == ("ok", True, 1)
        gateway.process.send_signal(signal.SIGTERM)
        assert await gateway.process.ended() == 0
        assert not [pid for pid in (worker["pid"] for worker in found) if is_alive(pid)]
        assert "Traceback" not in gateway.log


@pytest.mark.alone
@pytest.mark.slow
async def test_connections_are_shared_out(tmp_path: Path) -> None:
    async with RawUpstream(script) as upstream, workers(policy(upstream.url), tmp_path) as gateway:
        for number in (32, 256):
            clients = [RawClient(gateway.port) for _ in range(number)]
            await asyncio.gather(*(client.__aenter__() for client in clients))
            for client in clients:
                client.send(GET)
            assert all([len(await client.read(1)) == 1 for client in clients])
            await asyncio.sleep(1.2)  # a sign of life tells of them
            shares = sorted(worker["connections"] for worker in await gateway.workers())
            assert sum(shares) == number
            assert shares[0] > number * 0.2, shares  # without sharing out, it is often 0; a busy machine wakes the other one late
            await asyncio.gather(*(client.__aexit__(None, None, None) for client in clients))


@pytest.mark.slow
async def test_requests_of_the_workers_that_are_not_killed_all_succeed(tmp_path: Path) -> None:
    """Each connection lives in one worker: what fails is of a connection whose worker was killed, and never a new one."""
    async with RawUpstream(script) as upstream, workers(policy(upstream.url, 3), tmp_path) as gateway:
        enough = asyncio.Event()
        answered, cut, refused = 0, 0, 0

        async def ask() -> None:
            nonlocal answered, cut, refused
            while not enough.is_set():
                try:
                    async with RawClient(gateway.port) as client:
                        served = 0
                        while not enough.is_set():
                            client.data = b""
                            client.send(GET)
                            try:
                                (answer,) = await client.read(1)
                            except Exception:
                                cut += 1
                                break
                            assert answer.status == 200
                            served += 1
                            answered += 1
                except ConnectionError:
                    refused += 1

        clients = [asyncio.create_task(ask()) for _ in range(12)]
        kills = 0
        for _ in range(4):
            await asyncio.sleep(1.2)  # each has told how many connections it has
            busiest = max(await gateway.workers(), key=lambda worker: worker["connections"])
            os.kill(busiest["pid"], signal.SIGKILL)
            kills += 1
        await until(lambda: gateway.log.count("ended by SIGKILL") == kills)
        await gateway.has(3)
        enough.set()
        await asyncio.gather(*clients)
        assert refused == 0
        assert 0 < cut <= kills * 12
        assert answered > 300
        counted = await gateway.counted("http_server_request_duration_seconds_count")
        # A killed worker's numbers are not lost with it, but of those answered in its very last turn, which it had no time to count.
        assert answered - kills * 12 <= counted <= answered + cut
        async with asyncio.timeout(30):
            while await gateway.counted("gateway_worker_deaths_total") != kills:  # it is looked at
                await asyncio.sleep(0.1)
        assert "Traceback" not in gateway.log


@pytest.mark.slow
async def test_a_stopped_worker_is_named_killed_and_replaced(tmp_path: Path) -> None:
    async with RawUpstream(script) as upstream, workers(policy(upstream.url), tmp_path) as gateway:
        stopped, other = await gateway.pids()
        os.kill(stopped, signal.SIGSTOP)
        begun = time.monotonic()
        while not (found := "and is killed" in gateway.log) and time.monotonic() - begun < 15:
            (answer,) = await raw(gateway.port, CLOSING)  # the other one serves on, at once
            assert answer.status == 200
            await asyncio.sleep(0.05)
        assert found
        assert 1 < time.monotonic() - begun < 14  # on a busy machine the last sign of life may have been late
        assert f"worker 0 (process {stopped}) has not given a sign of life for 10 s, and is killed: the process is stopped" in gateway.log
        await until(lambda: not is_alive(stopped))
        await gateway.has(2)
        assert is_alive(other)


@pytest.mark.slow
async def test_a_plugin_that_blocks_is_named_by_its_file(tmp_path: Path) -> None:
    plugin(tmp_path, "sleepy", "def on_request(self, ex):\n    if ex.path == '/hang':\n        time.sleep(600)", "import time")
    async with (
        RawUpstream(script) as upstream,
        workers(policy(upstream.url, plugins=", sleepy"), tmp_path) as gateway,
        RawClient(gateway.port) as client,
    ):
        client.send(GET.replace(b"/ ", b"/hang "))
        await until(lambda: "and is killed" in gateway.log, 30)
        line = next(line for line in gateway.log.splitlines() if "and is killed" in line)
        assert f"blocked by a plugin, {tmp_path / 'plugins' / 'sleepy.py'}:8 in on_request" in line
        await until(lambda: "ended by SIGKILL" in gateway.log)
        assert (await raw(gateway.port, CLOSING))[0].status == 200


async def test_a_worker_that_crashes_says_where(tmp_path: Path) -> None:
    plugin(tmp_path, "crash", "def on_request(self, ex):\n    if ex.path == '/crash':\n        ctypes.string_at(0)", "import ctypes")
    async with RawUpstream(script) as upstream, workers(policy(upstream.url, plugins=", crash"), tmp_path) as gateway:
        async with RawClient(gateway.port) as client:
            client.send(GET.replace(b"/ ", b"/crash "))
            await until(lambda: "ended by SIGSEGV" in gateway.log)
        await until(lambda: f"{tmp_path / 'plugins' / 'crash.py'}:8 in on_request" in gateway.log)
        assert (await raw(gateway.port, CLOSING))[0].status == 200


# The supervisor's end


async def test_no_process_outlives_a_killed_supervisor_and_what_has_begun_ends_well(tmp_path: Path) -> None:
    async with RawUpstream(script) as upstream, workers(policy(upstream.url, 3), tmp_path) as gateway, RawClient(gateway.port) as client:
        pids = await gateway.pids()
        client.send(GET.replace(b"/ ", b"/slow "))
        await until(lambda: upstream.received)
        os.kill(gateway.supervisor, signal.SIGKILL)
        await until(lambda: gateway.log.count("the supervisor is gone") == 3)
        await until(lambda: is_free(gateway.port), 1)  # for who starts it again
        assert [answer.body for answer in await client.read(1)] == [b"slow"]
        await until(lambda: not any(map(is_alive, pids)))


@pytest.mark.slow
async def test_a_drain_of_four_workers_under_load_fails_nobody(tmp_path: Path) -> None:
    text = policy("URL", 4, timeouts="lame_duck: 2s, drain: 8s, body: 5s")
    async with RawUpstream(script) as upstream, workers(text.replace("URL", upstream.url), tmp_path) as gateway:
        load = Load(gateway.port)
        clients = [asyncio.create_task(load.keep_asking(keep_alive=n % 4 != 0)) for n in range(24)]
        uploads = [asyncio.create_task(upload(gateway.port)) for _ in range(4)]
        await until(lambda: load.answered > 50)
        before = load.answered
        gateway.process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.2)
        for _ in range(4):
            (answer,) = await raw(gateway.port, b"GET /health/readiness HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            assert answer.status == 503
        assert (await gateway.observe("/health"))["status"] == "draining"
        assert await asyncio.gather(*uploads) == [40000] * 4
        await asyncio.wait_for(asyncio.gather(*clients), 30)
        assert await gateway.process.ended() == 0
        assert load.failures == []
        assert load.answered > before
        assert "are cut" not in gateway.log and "Traceback" not in gateway.log
        assert upstream.violations == [] and upstream.unfinished == []


@pytest.mark.alone
async def test_a_second_signal_ends_all_at_once(tmp_path: Path) -> None:
    text = policy("URL", timeouts="lame_duck: 1m, drain: 1m")
    async with RawUpstream(script) as upstream, workers(text.replace("URL", upstream.url), tmp_path) as gateway:
        pids = await gateway.pids()
        gateway.process.send_signal(signal.SIGTERM)
        await until(lambda: "draining" in gateway.log)
        told = time.monotonic()
        gateway.process.send_signal(signal.SIGTERM)
        assert await gateway.process.ended() == 1
        assert time.monotonic() - told < 2
        await until(lambda: not any(map(is_alive, pids)), 2)


async def test_signals_that_all_processes_get_are_the_supervisor_s(tmp_path: Path) -> None:
    """As systemd sends them to a whole control group."""
    async with RawUpstream(script) as upstream, workers(policy(upstream.url), tmp_path) as gateway:
        pids = await gateway.pids()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            for pid in pids:
                os.kill(pid, number)
        await asyncio.sleep(0.2)
        assert (await raw(gateway.port, CLOSING))[0].status == 200
        assert await gateway.pids() == pids


# The start


async def test_a_port_in_use_is_told_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        process = await spawned(policy("http://127.0.0.1:1").replace('listen: "127.0.0.1:0"', f'listen: "{address}"'), tmp_path)
        assert await process.ended() == 1
        assert f"gateway: cannot listen on {address}: Address already in use\n" in process.log


async def test_a_plugin_that_cannot_start_ends_the_gateway(tmp_path: Path) -> None:
    plugin(tmp_path, "broken", "async def start(self):\n    raise RuntimeError('no database')")
    process = await spawned(policy("http://127.0.0.1:1", plugins=", broken"), tmp_path)
    assert await process.ended() == 1
    assert "worker 0: the policy cannot be started: plugin broken cannot be started: RuntimeError: no database" in process.log
    assert "Traceback" not in process.log and "listening" not in process.log


# Reloads


def versioned(url: str, version: int, extra: str = "") -> str:
    return policy(url, plugins=f", headers: {{response: {{set: {{X-Policy: '{version}'}}}}}}{extra}")


async def versions(gateway: Gateway, number: int = 12) -> set[bytes]:
    return {(await raw(gateway.port, CLOSING))[0].get(b"X-Policy") for _ in range(number)}


async def reload(gateway: Gateway, text: str) -> Any:
    await until(lambda: recorded(gateway.folder / "var" / "gateway") is not None)
    before = recorded(gateway.folder / "var" / "gateway")
    assert before is not None
    (gateway.folder / "gateway.yaml").write_text(text)
    gateway.process.send_signal(signal.SIGHUP)
    found = before

    def ended() -> bool:
        nonlocal found
        state = recorded(gateway.folder / "var" / "gateway")
        if state is not None:
            found = state
        return found.ended > before.ended

    await until(ended)
    return found


async def test_a_reload_takes_effect_in_all_workers_and_in_those_that_start_later(tmp_path: Path) -> None:
    async with RawUpstream(script) as upstream, workers(versioned(upstream.url, 1), tmp_path) as gateway:
        assert await versions(gateway) == {b"1"}
        state = await reload(gateway, versioned(upstream.url, 2))
        assert state.last.ok and state.revision == 2
        assert await versions(gateway) == {b"2"}
        os.kill((await gateway.pids())[0], signal.SIGKILL)
        await until(lambda: "ended by SIGKILL" in gateway.log)
        await gateway.has(2)
        assert await versions(gateway, 30) == {b"2"}


async def test_a_worker_that_starts_after_a_refused_reload_has_the_policy_in_force(tmp_path: Path) -> None:
    """Also the code of its plugins, which is broken on the disk by now, and what it includes, which is gone."""
    plugin(tmp_path, "mine", "pass")
    (tmp_path / "more.yaml").write_text("routes: [{name: more, match: /more, plugins: [respond: {status: 204}]}]\n")
    text = versioned("URL", 1, ", mine") + "include: more.yaml\n"
    async with RawUpstream(script) as upstream, workers(text.replace("URL", upstream.url), tmp_path) as gateway:
        plugin(tmp_path, "mine", "!!")
        (tmp_path / "more.yaml").unlink()
        state = await reload(gateway, "version: 1\nrouts: []\n")
        assert not state.last.ok and "did you mean" in "\n".join(state.last.mistakes)
        for pid in await gateway.pids():
            os.kill(pid, signal.SIGKILL)
        await until(lambda: gateway.log.count("ended by SIGKILL") == 2)
        await gateway.has(2)
        assert await versions(gateway) == {b"1"}
        assert {(await raw(gateway.port, CLOSING.replace(b"/ ", b"/more ")))[0].status for _ in range(10)} == {204}
        readiness = {
            (await raw(gateway.port, b"GET /health/readiness HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"))[0].body for _ in range(10)
        }
        assert {json.loads(body)["policy"] for body in readiness} == {"stale"}


@pytest.mark.slow
async def test_when_one_worker_cannot_take_a_policy_none_does(tmp_path: Path) -> None:
    """Under load: the plugin starts in the process that tries it first, and in no other."""
    plugin(
        tmp_path,
        "picky",
        f"async def start(self):\n    os.open({str(tmp_path / 'only-one')!r}, os.O_CREAT | os.O_EXCL)",
        "import os",
    )
    async with RawUpstream(script) as upstream, workers(versioned(upstream.url, 1), tmp_path) as gateway:
        load = Load(gateway.port)
        clients = [asyncio.create_task(load.keep_asking(keep_alive=n % 2 == 0)) for n in range(8)]
        state = await reload(gateway, versioned(upstream.url, 2, ", picky"))
        assert not state.last.ok and "FileExistsError" in state.last.mistakes[0]
        assert await versions(gateway, 20) == {b"1"}
        assert (await reload(gateway, versioned(upstream.url, 3))).last.ok
        assert await versions(gateway, 20) == {b"3"}
        gateway.process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(asyncio.gather(*clients), 30)
        assert load.failures == []
        assert await gateway.process.ended() == 0


async def test_a_policy_that_ends_the_process_that_tries_it_ends_one_of_them_and_is_refused(tmp_path: Path) -> None:
    plugin(tmp_path, "deadly", "async def start(self):\n    os._exit(3)", "import os")
    async with RawUpstream(script) as upstream, workers(versioned(upstream.url, 1), tmp_path) as gateway:
        pids = await gateway.pids()
        state = await reload(gateway, versioned(upstream.url, 2, ", deadly"))
        assert not state.last.ok
        assert re.fullmatch(r"worker 0 \(process \d+\) ended while it prepared the new policy", state.last.mistakes[0])
        assert await versions(gateway) == {b"1"}
        assert [pid for pid in pids if is_alive(pid)] == pids[1:]
        assert "worker 0" in gateway.log and "ended with exit code 3" in gateway.log


@pytest.mark.slow
async def test_reloads_all_the_time_while_workers_die_fail_no_new_connection(tmp_path: Path) -> None:
    async with RawUpstream(script) as upstream, workers(versioned(upstream.url, 0), tmp_path) as gateway:
        for n in range(1, 7):
            (tmp_path / "gateway.yaml").write_text(versioned(upstream.url, n))
            gateway.process.send_signal(signal.SIGHUP)
            os.kill((await gateway.pids())[n % 2], signal.SIGKILL)
            for _ in range(10):
                assert (await raw(gateway.port, CLOSING))[0].status == 200
            await gateway.has(2)
        state = await reload(gateway, versioned(upstream.url, 99))
        assert state.last.ok
        assert await versions(gateway, 20) == {b"99"}
        assert "Traceback" not in gateway.log


# Replacement


@pytest.mark.slow
async def test_an_old_worker_is_replaced_and_nothing_is_cut(tmp_path: Path) -> None:
    text = policy("URL", server=", recycle: {age: 2s}")
    async with RawUpstream(script) as upstream, workers(text.replace("URL", upstream.url), tmp_path) as gateway:
        load = Load(gateway.port)
        clients = [asyncio.create_task(load.keep_asking(keep_alive=n % 2 == 0)) for n in range(8)]
        async with RawClient(gateway.port) as websocket:
            websocket.send(UPGRADE)
            assert [answer.status for answer in await websocket.read(1)] == [101]
            before = await gateway.pids()
            async with asyncio.timeout(30):
                while set(before) & set(await gateway.pids()):
                    await asyncio.sleep(0.1)
            await until(lambda: "it was replaced" in gateway.log)
            assert gateway.log.count("is replaced: it is older than 2 s") == 2
            assert len(await gateway.pids()) == 2
            websocket.data = b""
            websocket.send(b"still here")
            await websocket.more()
            assert b"still here" in websocket.data
            assert "draining" in {worker["state"] for worker in await gateway.workers()}
        gateway.process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(asyncio.gather(*clients), 30)
        assert load.failures == []
        assert await gateway.process.ended() == 0
        assert "Traceback" not in gateway.log
