"""Where the commands find a gateway, and what they say when what they find does not answer as one."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.cli import asking, main
from gateway.cli.asking import AdminPort, Refused, Unanswered, admin_port
from gateway.cli.status import span
from gateway.errors import ConfigError

ROUTES = "routes: [{match: /**, plugins: [answer]}]\n"


def written(folder: Path, text: str) -> str:
    (folder / "gateway.yaml").write_text(f"version: 1\n{text}\n{ROUTES}")
    return str(folder / "gateway.yaml")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", None),
        ("server: {listen: 127.0.0.1:1}", None),
        ("server: {admin: }", None),
        ("server: {admin: 127.0.0.1:9192}", AdminPort("127.0.0.1", 9192, None)),
        ("server: {admin: {address: 127.0.0.1:9192, token: abcdefghijklmnop}}", AdminPort("127.0.0.1", 9192, "abcdefghijklmnop")),
        ('server: {admin: {address: 0.0.0.0:9192, token: "${TOKEN}"}}', AdminPort("127.0.0.1", 9192, "sesame-open-yourself")),
        ('server: {admin: {address: "[::]:9192", token: abcdefghijklmnop}}', AdminPort("::1", 9192, "abcdefghijklmnop")),
        ("server: {admin: 127.0.0.1:9192, lsten: 1}\nunknown: 1", AdminPort("127.0.0.1", 9192, None)),  # whatever else is wrong
        ("server: {admin: 127.0.0.1:9192}\nupstreams: {a: {targets: '${MISSING}'}}", AdminPort("127.0.0.1", 9192, None)),
    ],
)
def test_the_policy_says_where(text: str, found: AdminPort | None, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "sesame-open-yourself")
    assert admin_port(written(folder, text)) == found


def test_a_token_from_an_env_file(folder: Path) -> None:
    (folder / "secrets.env").write_text("OTHER=sesame-open-yourself\n")
    policy = written(folder, 'server: {admin: {address: 127.0.0.1:9192, token: "${OTHER}"}}')
    assert admin_port(policy, [str(folder / "secrets.env")]) == AdminPort("127.0.0.1", 9192, "sesame-open-yourself")
    with pytest.raises(ConfigError, match=r"server\.admin\.token: the environment variable OTHER is not set"):
        admin_port(policy)


@pytest.mark.parametrize(
    "text", ["server: {admin: 9192}", "server: {admin: 0.0.0.0:9192}", "server: {admin: [", "server: {admin: {token: a}}"]
)
def test_a_policy_that_does_not_say_it(text: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    policy = written(folder, text)
    with pytest.raises(ConfigError):
        admin_port(policy)
    assert main(["status", policy]) == 1
    assert capsys.readouterr().err.startswith(f"{policy}:")


@contextmanager
def answering(data: bytes | None) -> Iterator[AdminPort]:
    """A server that answers one request with these bytes; with None it says nothing."""
    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                if data is None:
                    done.wait(10)
                else:
                    connection.sendall(data)

        thread = threading.Thread(target=serve)
        thread.start()
        yield AdminPort("127.0.0.1", server.getsockname()[1], "abcdefghijklmnop")
        done.set()
        thread.join()


def answer(status: str, body: str, server: str = "gateway") -> bytes:
    return f"HTTP/1.1 {status}\r\nServer: {server}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (answer("200 OK", "{}", "nginx"), "is no gateway's admin port"),
        (answer("200 OK", "<html>"), "is no gateway's admin port"),
        (b"HTTP/1.1 200 OK\r\n\r\n{}", "is no gateway's admin port"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "is no gateway's admin port"),
        (b"", "is no gateway's admin port"),
        (answer("401 Unauthorized", '{"status":401}'), "has another token than this policy"),
        (None, "does not answer"),
    ],
)
def test_what_is_no_gateway(data: bytes | None, why: str) -> None:
    with answering(data) as port, pytest.raises(Unanswered) as caught:
        port.ask("GET", "/status", patience=0.2)
    assert why in str(caught.value) and str(port) in str(caught.value)
    assert "abcdef" not in str(caught.value)


def test_a_refusal_is_told_as_the_gateway_tells_it() -> None:
    problem = '{"status":422,"detail":"not so","mistakes":["a"]}'
    with answering(answer("422 Unprocessable Content", problem)) as port, pytest.raises(Refused) as caught:
        port.ask("POST", "/reload")
    assert (str(caught.value), caught.value.status, caught.value.problem["mistakes"]) == ("not so", 422, ["a"])


@pytest.mark.parametrize("argv", [["status"], ["log-level"], ["log-level", "debug"]])
def test_commands_without_an_admin_port(argv: list[str], folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(folder, "")
    assert main(argv) == 1
    told = "gateway.yaml names no admin port; write server: {admin: 127.0.0.1:9192}, and restart the gateway\n"
    assert capsys.readouterr() == ("", f"gateway {argv[0]}: {told}")


def test_reload_says_what_it_tried(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as one:
        number = one.getsockname()[1]
    written(folder, f"server: {{admin: 127.0.0.1:{number}}}")
    assert main(["reload"]) == 1
    assert capsys.readouterr().err.startswith(f"gateway reload: nothing listens at 127.0.0.1:{number}")


def test_an_address_nobody_is_at_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "CONNECT", 0.1)
    with pytest.raises(Unanswered):
        AdminPort("192.0.2.1", 9192, None).ask("GET", "/status")


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0, "0s"), (59.9, "59s"), (60, "1m"), (750, "12m 30s"), (3600, "1h"), (3661, "1h 1m"), (273_600, "3d 4h"), (86_401, "1d 1s")],
)
def test_spans(seconds: float, told: str) -> None:
    assert span(seconds) == told
