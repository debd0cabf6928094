"""What Sentry is told, what it is never told, and that nothing waits for it."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from gateway.config.policy import loads
from gateway.errors import ConfigError
from gateway.pii import Mask
from gateway.rehearsal.clock import Clock
from gateway.telemetry.sentry import RATE, SentryHandler, scrub
from tests.server.process import running
from tests.support import raw

SECRET = "hunter2-s3cret"


class Receiver:
    """The host of a DSN: keeps the events it is sent."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.keys: list[str] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                _, *items = body.split(b"\n")
                receiver.keys.append(self.headers["X-Sentry-Auth"])
                receiver.events += [json.loads(item) for head, item in zip(items[::2], items[1::2], strict=False) if b'"event"' in head]
                self.send_response(200)
                self.end_headers()

            def log_message(self, *arguments: object) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.dsn = f"http://key@127.0.0.1:{self._server.server_port}/42"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@contextmanager
def hanging() -> Iterator[str]:
    """The DSN of a host that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://key@127.0.0.1:{server.getsockname()[1]}/42"


class Failure(Exception):
    pass


def error_of(
    message: str, *, level: int = logging.ERROR, name: str = "gateway.test", arguments: tuple[object, ...] = ()
) -> logging.LogRecord:
    password = SECRET  # a local of a frame that is told

    def fail() -> None:
        raise Failure(f"{message}; {password}"[: len(message)])

    with pytest.raises(Failure) as caught:
        fail()
    error = caught.value
    return logging.LogRecord(name, logging.ERROR, __file__, 1, message, arguments, (type(error), error, error.__traceback__))


def test_an_exception_with_its_stack_and_where_it_happened(receiver: Receiver) -> None:
    handler = SentryHandler(receiver.dsn, "staging", Mask())
    handler.handle(error_of("it failed"))
    handler.stop()
    (event,) = receiver.events
    (exception,) = event["exception"]["values"]
    assert (exception["type"], exception["value"]) == ("Failure", "it failed")
    frames = exception["stacktrace"]["frames"]
    assert [frame["function"] for frame in frames][-1] == "fail"
    assert all("vars" not in frame for frame in frames)
    assert (event["environment"], event["level"], event["logger"]) == ("staging", "error", "gateway.test")
    assert event["release"].startswith("gateway@")
    assert "sentry_key=key" in receiver.keys[0]
    assert "request" not in event and "user" not in event and not event.get("breadcrumbs", {}).get("values")


def test_only_errors_and_nothing_of_the_way_there(receiver: Receiver) -> None:
    handler = SentryHandler(receiver.dsn, "", Mask())
    logger = logging.getLogger("gateway.test.sentry")
    logger.addHandler(handler)
    logger.warning("a warning")
    logger.error("an error of %s", "two")
    logger.critical("the end")
    logger.removeHandler(handler)
    handler.handle(error_of("urllib3 complains", name="urllib3.connectionpool"))
    handler.stop()
    assert [(event["level"], event["logentry"]["formatted"]) for event in receiver.events] == [
        ("error", "an error of two"),
        ("fatal", "the end"),
    ]
    assert receiver.events[0]["logentry"]["message"] == "an error of %s"  # what Sentry groups by
    assert receiver.events[0]["environment"] == "production"


@pytest.mark.parametrize(
    "text",
    [
        f"GET /login?token={SECRET}&next=/a failed",
        f"GET /search?q={SECRET}",
        f"http://user:{SECRET}@10.0.0.1:3000/ refused",
        f"Authorization: Bearer {SECRET}",
        f"authorization: {SECRET}",
        f"{{'Authorization': 'Basic {SECRET}', 'Accept': '*/*'}}",
        f"('Cookie', 'session={SECRET}; other={SECRET}')",
        f"Set-Cookie: a={SECRET}; Path=/",
        f"X-API-Key={SECRET}",
        f'{{"password": "{SECRET}", "a": 1}}',
        f"{{'password': '{SECRET}'}}",
        f"password={SECRET}",
        f"client_secret: {SECRET}",
        f'{{"Email": "{SECRET}"}}',
        f"user[email]={SECRET}&b=c",
        f"1 validation error for Lead\nname\n  Input should be text [type=string_type, input_value={{'x': '{SECRET}'}}, input_type=dict]",
        f"bearer {SECRET}",
    ],
)
def test_what_nobody_shall_read(text: str, receiver: Receiver) -> None:
    told = scrub(text, Mask(["email"]))
    assert SECRET not in told
    assert "[redacted]" in told
    handler = SentryHandler(receiver.dsn, "", Mask(["email"]))
    handler.handle(error_of(text))
    handler.handle(error_of("%s", arguments=(text,)))
    handler.stop()
    assert len(receiver.events) == 2
    assert SECRET not in json.dumps(receiver.events)


@pytest.mark.parametrize("text", ["a: on_request failed: route=b request_id=0123", "KeyError: 'name'", "10.0.0.1:3000 refused", ""])
def test_what_helps_is_left(text: str) -> None:
    assert scrub(text, Mask(["email"])) == text


def test_long_text_is_cut() -> None:
    assert len(scrub("a" * 5000, Mask())) == 1003


def test_a_flood_is_bounded_counted_and_told(receiver: Receiver) -> None:
    clock = Clock()
    handler = SentryHandler(receiver.dsn, "", Mask(), clock)
    for _ in range(RATE + 20):
        handler.handle(error_of("again"))
    assert handler.dropped == 20
    clock.advance(60 / RATE)
    handler.handle(error_of("later"))
    handler.handle(error_of("too early"))
    handler.stop(10)
    assert sum(event["extra"]["events dropped before this one"] for event in receiver.events if "extra" in event) in (20, 21)
    assert handler.dropped == 21
    assert len(receiver.events) == RATE + 1


@pytest.mark.alone
def test_a_sentry_that_hangs_makes_nobody_wait() -> None:
    with hanging() as dsn:
        handler = SentryHandler(dsn, "", Mask())
        begun = time.monotonic()
        for _ in range(50):
            handler.handle(error_of("it failed"))
        assert time.monotonic() - begun < 0.5
        begun = time.monotonic()
        handler.stop(0.5)
        assert time.monotonic() - begun < 1.5


@pytest.mark.alone
def test_a_sentry_that_is_not_there_ends_nothing() -> None:
    handler = SentryHandler("http://key@127.0.0.1:1/42", "", Mask())
    handler.handle(error_of("it failed"))
    begun = time.monotonic()
    handler.stop(1)
    assert time.monotonic() - begun < 2


def test_a_record_that_cannot_be_told_does_not_end_the_telling(receiver: Receiver) -> None:
    handler = SentryHandler(receiver.dsn, "", Mask())
    handler.handle(error_of("%d", arguments=("no number",)))
    handler.handle(error_of("next"))
    handler.stop()
    assert [event["logentry"]["formatted"] for event in receiver.events] == ["next"]
    assert handler.dropped == 1


# The policy


def policy(dsn: str, url: str = "http://127.0.0.1:1", plugins: str = "") -> str:
    return f"""version: 1
environment: test
server: {{listen: "127.0.0.1:0", timeouts: {{lame_duck: 0s, drain: 1s}}}}
telemetry: {{sentry_dsn: "{dsn}", pii: [email]}}
upstreams: {{a: {{targets: "{url}"}}}}
plugins: [{plugins}]
routes: [{{match: "/**", upstream: a}}]
"""


@pytest.mark.parametrize("dsn", ["x", "https://sentry.test/1", "https://key@sentry.test/", "https://key@sentry.test/project", "key@host/1"])
def test_what_is_no_dsn(dsn: str) -> None:
    with pytest.raises(ConfigError) as caught:
        loads(policy(dsn))
    assert "telemetry.sentry_dsn: this is no DSN of Sentry's" in str(caught.value)


def test_without_the_extra_a_dsn_is_a_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.config.server.find_spec", lambda name: None)
    with pytest.raises(ConfigError) as caught:
        loads(policy("https://key@sentry.test/1"))
    assert "telemetry.sentry_dsn: the extra for Sentry is not installed" in str(caught.value)
    assert "key@" not in str(caught.value)


def test_empty_is_off_and_needs_no_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.config.server.find_spec", lambda name: None)
    assert loads(policy("${SENTRY_DSN:-}"), env={}).telemetry.sentry_dsn == ""
    bare = policy("").replace('telemetry: {sentry_dsn: ""', "x-dsn: &dsn ${SENTRY_DSN:-}\ntelemetry: {sentry_dsn: *dsn")
    assert loads(bare, env={}).telemetry.sentry_dsn is None


BUG = """
from gateway.plugin import Plugin


class Bug(Plugin):
    def on_request(self, ex):
        token = ex.headers["Authorization"]
        raise KeyError(f"password={token}")
"""


def with_bug(folder: Path) -> None:
    (folder / "plugins").mkdir()
    (folder / "plugins" / "bug.py").write_text(BUG)


REQUEST = (
    f"GET /?q={SECRET} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {SECRET}\r\nCookie: a={SECRET}\r\nConnection: close\r\n\r\n".encode()
)


async def test_a_plugin_s_bug_reaches_sentry(tmp_path: Path, receiver: Receiver) -> None:
    with_bug(tmp_path)
    async with running(policy(receiver.dsn, plugins="bug"), tmp_path) as process:
        assert [answer.status for answer in await raw(process.port, REQUEST)] == [500]
        async with asyncio.timeout(30):
            while not receiver.events:
                await asyncio.sleep(0.01)
    (event,) = receiver.events
    assert event["environment"] == "test"
    frame = event["exception"]["values"][0]["stacktrace"]["frames"][-1]
    assert (Path(frame["abs_path"]).name, frame["function"]) == ("bug.py", "on_request")
    assert event["logentry"]["formatted"].startswith("bug: on_request failed")
    assert SECRET not in json.dumps(event)


@pytest.mark.alone
async def test_a_hanging_sentry_delays_neither_a_request_nor_the_end(tmp_path: Path) -> None:
    with_bug(tmp_path)
    with hanging() as dsn:
        async with running(policy(dsn, plugins="bug"), tmp_path) as process:
            for _ in range(5):
                begun = time.monotonic()
                assert [answer.status for answer in await raw(process.port, REQUEST)] == [500]
                assert time.monotonic() - begun < 1
            begun = time.monotonic()
            process.send_signal(signal.SIGTERM)
            assert await process.ended() == 0
            assert time.monotonic() - begun < 6
