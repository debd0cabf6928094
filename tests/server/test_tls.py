"""HTTPS on both sides: the certificate shown, renewed on disk, broken on disk; and whom the gateway trusts and shows itself to."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme

from gateway.config.policy import loads
from gateway.server.front import Front
from gateway.server.listener import Certificate
from tests.http.recording import RawUpstream, Script, echo, read_request
from tests.support import gateway, raw

GET = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
HERE = 'version: 1\nroutes: [{name: all, match: "/**", plugins: [respond: {status: 200, body: "made here"}]}]\n'


class Files:
    """A certificate and its key on disk, issued by an authority of their own."""

    def __init__(self, folder: Path) -> None:
        self.authority = trustme.CA()
        self.folder = folder
        self.cert, self.key = folder / "cert.pem", folder / "key.pem"
        self.renew()

    def renew(self) -> None:
        issued = self.authority.issue_cert("localhost", "127.0.0.1")
        issued.private_key_pem.write_to_path(str(self.key))
        self.cert.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))

    def certificate(self, min_version: str = "1.2") -> Certificate:
        return Certificate(str(self.cert), str(self.key), min_version)

    def trusting(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        return context


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


class Https:
    """One connection of a client that verifies."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @property
    def serial(self) -> str:
        """Of the certificate that was shown."""
        return str(self._writer.get_extra_info("peercert")["serialNumber"])

    @property
    def version(self) -> str:
        return str(self._writer.get_extra_info("ssl_object").version())

    async def get(self, head: bytes = GET) -> bytes:
        self._writer.write(head)
        return await asyncio.wait_for(self._reader.read(-1), 30)


@asynccontextmanager
async def https(port: int, context: ssl.SSLContext) -> AsyncIterator[Https]:
    reader, writer = await asyncio.wait_for(asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="localhost"), 30)
    try:
        yield Https(reader, writer)
    finally:
        writer.transport.abort()


def refresh(front: Front) -> None:
    """What the sweep does every two seconds."""
    for listener in front.listeners:
        assert listener.certificate is not None
        listener.certificate.refresh()


async def test_a_listener_speaks_https_and_says_so(files: Files) -> None:
    async with gateway(HERE, certificate=files.certificate()) as running, https(running.port, files.trusting()) as client:
        data = await client.get()
        assert data.startswith(b"HTTP/1.1 200 OK\r\n")
        assert data.endswith(b"made here")
        assert client.version == "TLSv1.3"
        assert running.exchanges[0].scheme == "https"
        assert running.exchanges[0].headers["X-Forwarded-Proto"] == "https"


async def test_plain_http_on_a_tls_port_harms_nobody(files: Files) -> None:
    async with gateway(HERE, certificate=files.certificate()) as running:
        assert await raw(running.port, GET) == []
        async with https(running.port, files.trusting()) as client:
            assert (await client.get()).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(("least", "spoken"), [("1.2", True), ("1.3", False)])
async def test_the_least_version(least: str, spoken: bool, files: Files) -> None:
    old = files.trusting()
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    async with gateway(HERE, certificate=files.certificate(least)) as running:
        if spoken:
            async with https(running.port, old) as client:
                assert client.version == "TLSv1.2"
        else:
            with pytest.raises((ssl.SSLError, ConnectionError)):
                async with https(running.port, old):
                    pass


async def test_a_renewed_certificate_is_shown_to_new_handshakes(files: Files) -> None:
    async with gateway(HERE, certificate=files.certificate()) as running, https(running.port, files.trusting()) as before:
        files.renew()
        refresh(running.front)
        async with https(running.port, files.trusting()) as after:
            assert after.serial != before.serial
            assert (await after.get()).startswith(b"HTTP/1.1 200")
        assert (await before.get()).startswith(b"HTTP/1.1 200")  # the old connection lives on


@pytest.mark.parametrize(
    "spoil",
    [
        lambda files: files.cert.write_text("not a certificate"),
        lambda files: files.key.write_text(""),
        lambda files: files.cert.unlink(),
        lambda files: Files(files.folder).key.write_bytes(trustme.CA().issue_cert("other").private_key_pem.bytes()),  # they do not match
    ],
    ids=["cert", "key", "gone", "pair"],
)
async def test_a_broken_file_keeps_the_old_certificate_until_it_is_whole_again(
    spoil: Callable[[Files], object], files: Files, caplog: pytest.LogCaptureFixture
) -> None:
    async with gateway(HERE, certificate=files.certificate()) as running:
        async with https(running.port, files.trusting()) as client:
            before = client.serial
        spoil(files)
        with caplog.at_level(logging.ERROR):
            refresh(running.front)
        assert "cannot be used, the old one is kept" in caplog.text
        async with https(running.port, files.trusting()) as client:
            assert client.serial == before
        files.renew()
        refresh(running.front)
        async with https(running.port, files.trusting()) as client:
            assert client.serial != before


def test_certificates_are_looked_at_only_when_their_files_have_changed(files: Files, caplog: pytest.LogCaptureFixture) -> None:
    certificate = files.certificate()
    current = certificate._current
    certificate.refresh()
    assert certificate._current is current
    files.cert.write_text("not a certificate")
    with caplog.at_level(logging.ERROR):
        certificate.refresh()
        certificate.refresh()
    assert len(caplog.records) == 1  # told once, not at every look
    assert certificate._current is current


# Upstreams


class TlsUpstream(RawUpstream):
    """Speaks TLS; `asks_for` is the authority whose certificate its clients must show."""

    def __init__(self, files: Files, *, name: str = "localhost", asks_for: trustme.CA | None = None, script: Script = echo) -> None:
        super().__init__(script)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        files.authority.issue_cert(name).configure_cert(self._context)
        if asks_for is not None:
            self._context.verify_mode = ssl.CERT_REQUIRED
            asks_for.configure_trust(self._context)
        self.names: list[str | None] = []
        self._context.sni_callback = lambda connection, name, context: self.names.append(name)

    async def __aenter__(self) -> TlsUpstream:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._context)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        nth = 0
        while True:
            nth += 1
            self.received.append(await read_request(reader, number, nth))
            for step in self._script(self.received[-1]):
                assert isinstance(step, bytes)
                writer.write(step)


def proxying(port: int, tls: str, host: str = "localhost") -> str:
    return f"""version: 1
upstreams: {{a: {{targets: "https://{host}:{port}", tls: {tls}}}}}
routes: [{{name: all, match: "/**", upstream: a}}]
"""


def write_client_files(folder: Path, files: Files, client: trustme.CA) -> None:
    files.authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    trustme.CA().cert_pem.write_to_path(str(folder / "other.pem"))
    issued = client.issue_cert("gateway")
    issued.cert_chain_pems[0].write_to_path(str(folder / "client.pem"))
    issued.private_key_pem.write_to_path(str(folder / "client.key"))


CASES = [
    ("{ca: ca.pem}", "localhost", False, 200),
    ("{ca: other.pem}", "localhost", False, 502),  # another authority
    ("{}", "localhost", False, 502),  # the system's authorities do not know it
    ("{ca: ca.pem}", "service.test", False, 502),  # a certificate for another name
    ("{ca: ca.pem, server_name: service.test}", "service.test", False, 200),
    ("{verify: false}", "service.test", False, 200),
    ("{ca: ca.pem, cert: client.pem, key: client.key}", "localhost", True, 200),
    ("{ca: ca.pem}", "localhost", True, 502),  # it must show itself, and does not
]


@pytest.mark.parametrize(("tls", "name", "mutual", "status"), CASES)
async def test_whom_the_gateway_trusts_and_shows_itself_to(
    tls: str, name: str, mutual: bool, status: int, files: Files, tmp_path: Path
) -> None:
    client = trustme.CA()
    write_client_files(tmp_path, files, client)
    async with TlsUpstream(files, name=name, asks_for=client if mutual else None) as upstream:
        async with gateway(proxying(upstream.port, tls), path=tmp_path / "gateway.yaml") as running:
            for _ in range(2):
                (answer,) = await raw(running.port, GET)
                assert answer.status == status
                if status == 502:
                    assert answer.json["type"] == "urn:gateway:problem:upstream-unreachable"
        if status == 200:
            assert upstream.connections == 1  # one handshake served both
            assert upstream.names == [name if "server_name" in tls else "localhost"]
        else:
            assert upstream.received == []


def test_a_policy_names_its_certificates(tmp_path: Path, files: Files) -> None:
    text = HERE.replace(
        "version: 1", 'version: 1\nserver: {listen: {address: "127.0.0.1:0", tls: {cert: cert.pem, key: key.pem, min_version: "1.3"}}}'
    )
    (listener,) = loads(text, path=tmp_path / "gateway.yaml").server.listen
    assert listener.tls is not None
    assert (listener.tls.cert, listener.tls.key, listener.tls.min_version) == (files.cert, files.key, "1.3")


async def test_who_still_sends_can_read_why_it_was_refused(files: Files) -> None:
    """TLS cannot end one side alone, and closing under what still comes would reset the connection, the answer with it."""
    policy = HERE.replace("plugins: [", "plugins: [body_limit: 1KiB, ")
    async with gateway(policy, certificate=files.certificate()) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port, ssl=files.trusting(), server_hostname="localhost")
        writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 20000000\r\n\r\n")
        for _ in range(305):
            writer.write(b"a" * 65536)
            await writer.drain()
        assert (await asyncio.wait_for(reader.readuntil(b"\r\n"), 30)).startswith(b"HTTP/1.1 413 ")
        writer.transport.abort()


async def test_who_never_shakes_hands_takes_no_more_than_there_is_room_for(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.server.listener.AT_ONCE", 2)
    async with gateway(HERE + "server: {limits: {connections: 4}}\n", certificate=files.certificate()) as running:
        mute = [await asyncio.open_connection("127.0.0.1", running.port) for _ in range(20)]
        async with asyncio.timeout(30):
            while sum(reader.at_eof() for reader, _ in mute) < 20 - 5:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        assert sum(reader.at_eof() for reader, _ in mute) == 20 - 5
        for _, writer in mute:
            writer.transport.abort()
        await asyncio.sleep(0.1)
        async with https(running.port, files.trusting()) as client:
            assert (await client.get()).startswith(b"HTTP/1.1 200")
