"""Mail: what is handed over, to a real server that takes, refuses, delays and drops; and what becomes of the job then."""

from __future__ import annotations

import asyncio
import email
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
import trustme
from pydantic import ValidationError

from gateway.jobs.contract import LATER, Dead, Park, PayloadRefused, Retry
from gateway.testing import Clock
from gateway.testing import host as made_host
from tests.jobs.senders.support import MailServer, job, sender, serving, welcome

PAYLOAD = {"to": "ada@example.com", "template": "welcome", "data": {"name": "Ada <3"}}


@asynccontextmanager
async def mailing(folder: Path, port: int, **settings: Any) -> AsyncIterator[Any]:
    """The sender, in front of a server on this machine."""
    welcome(folder)
    settings = {"url": f"smtp://127.0.0.1:{port}", "starttls": "never", **settings}
    made = sender("email", {"from": "Leads <no-reply@example.com>", "templates": "templates", **settings}, folder)
    try:
        yield made
    finally:
        await made.stop()


def taken(mail: MailServer) -> EmailMessage:
    content = mail.taken[-1].content
    assert isinstance(content, bytes)
    return email.message_from_bytes(content, policy=default)


async def test_a_mail_is_sent(tmp_path: Path) -> None:
    async with serving() as mail, mailing(tmp_path, mail.port, reply_to="sales@example.com") as handler:
        assert await handler.run(job(PAYLOAD)) == {"delivered": 1}
        message = taken(mail)
    assert {name: message[name] for name in ("From", "To", "Reply-To", "Subject", "Message-ID", "Date", "Auto-Submitted")} == {
        "From": "Leads <no-reply@example.com>",
        "To": "ada@example.com",
        "Reply-To": "sales@example.com",
        "Subject": "Welcome, Ada <3",
        "Message-ID": "<0af7651916cd43dd8448eb211c80319c@example.com>",
        "Date": "Mon, 21 Sep 2026 14:13:20 +0000",
        "Auto-Submitted": "auto-generated",
    }
    text, html = message.iter_parts()
    assert (text.get_content_type(), text.get_content().split("\r\n")) == ("text/plain", ["Hello Ada <3!", ""])
    assert (html.get_content_type(), html.get_content().split("\r\n")) == ("text/html", ["<p>Hello Ada &lt;3!</p>", ""])
    assert (mail.taken[0].mail_from, mail.taken[0].rcpt_tos) == ("no-reply@example.com", ["ada@example.com"])


@pytest.mark.parametrize("name", ["Ada\r\nBcc: eve@example.com", "Ada\nBcc: eve@example.com", "Ада 🚀", "a" * 2000])
async def test_a_subject_is_one_line_whatever_fills_it(tmp_path: Path, name: str) -> None:
    async with serving() as mail, mailing(tmp_path, mail.port) as handler:
        await handler.run(job({**PAYLOAD, "data": {"name": name}}))
        message = taken(mail)
    assert message["Subject"] == f"Welcome, {' '.join(name.split())}"
    assert message["Bcc"] is None and mail.taken[0].rcpt_tos == ["ada@example.com"]


@pytest.mark.parametrize("kind", ["txt", "html"])
async def test_a_template_of_one_kind(tmp_path: Path, kind: str) -> None:
    async with serving() as mail:
        folder = welcome(tmp_path)
        (folder / f"welcome.{'html' if kind == 'txt' else 'txt'}").unlink()
        settings = {"url": f"smtp://127.0.0.1:{mail.port}", "starttls": "never", "from": "no-reply@example.com", "templates": "templates"}
        handler = sender("email", settings, tmp_path)
        await handler.run(job(PAYLOAD))
        await handler.stop()
        assert taken(mail).get_content_type() == ("text/plain" if kind == "txt" else "text/html")


async def test_connections_are_kept_and_shared(tmp_path: Path) -> None:
    async with serving() as mail, mailing(tmp_path, mail.port) as handler:
        for n in range(3):
            await handler.run(job(PAYLOAD, id=f"job{n}"))
        assert (len(mail.taken), mail.connections) == (3, 1)
        await asyncio.gather(*(handler.run(job(PAYLOAD, id=f"more{n}")) for n in range(3)))
        assert len(mail.taken) == 6 and 1 <= mail.connections <= 3


async def test_a_connection_that_went_stale_is_replaced(tmp_path: Path) -> None:
    """The server has closed it: nobody is to notice."""
    async with serving() as mail, mailing(tmp_path, mail.port) as handler:
        await handler.run(job(PAYLOAD))
        [(client, _)] = handler._connections._kept
        client.transport.abort()
        assert await handler.run(job(PAYLOAD)) == {"delivered": 1}
        assert mail.connections == 2


async def test_an_old_connection_is_not_trusted(tmp_path: Path) -> None:
    clock = Clock()
    async with serving() as mail:
        welcome(tmp_path)
        settings = {"url": f"smtp://127.0.0.1:{mail.port}", "starttls": "never", "from": "no-reply@example.com", "templates": "templates"}
        handler = sender("email", settings, tmp_path, made_host(clock=clock))
        await handler.run(job(PAYLOAD))
        clock.advance(31)
        await handler.run(job(PAYLOAD))
        await handler.stop()
        assert mail.connections == 2


@pytest.mark.parametrize(
    ("what", "answer", "outcome", "reason"),
    [
        ("ada@example.com", "450 4.2.0 Greylisted", Retry, "1 refused, the first with 450 4.2.0 Greylisted"),
        ("ada@example.com", "550 5.1.1 <ada@example.com>: unknown", Dead, "1 refused, the first with 550 5.1.1 <[redacted]>: unknown"),
        ("MAIL", "451 4.3.0 Try later", Retry, "the server refused the mail: 451 4.3.0 Try later"),
        ("MAIL", "553 5.7.1 Not your sender", Dead, "the server refused the mail: 553 5.7.1 Not your sender"),
        ("DATA", "452 4.3.1 Full", Retry, "the server refused the mail: 452 4.3.1 Full"),
        ("DATA", "554 5.7.1 Spam", Dead, "the server refused the mail: 554 5.7.1 Spam"),
    ],
)
async def test_what_the_server_refuses(tmp_path: Path, what: str, answer: str, outcome: type[Exception], reason: str) -> None:
    """RFC 5321, section 4.2.1: 4yz may succeed later, 5yz never will. No recipient's address gets into a reason."""
    async with serving() as mail, mailing(tmp_path, mail.port) as handler:
        mail.answers[what] = answer
        with pytest.raises(outcome) as error:
            await handler.run(job(PAYLOAD))
        assert str(error.value) == reason
        mail.answers.clear()
        assert await handler.run(job(PAYLOAD)) == {"delivered": 1}


async def test_of_many_recipients_only_those_are_tried_again_for_whom_it_may_succeed(tmp_path: Path) -> None:
    to = [f"{name}@example.com" for name in "abcd"]
    async with serving() as mail, mailing(tmp_path, mail.port) as handler:
        mail.answers = {"b@example.com": "450 4.2.1 Busy", "c@example.com": "550 5.1.1 Unknown"}
        with pytest.raises(Retry) as first:
            await handler.run(job({**PAYLOAD, "to": to}))
        assert first.value.notes == {"delivered": [0, 3], "refused": [2]}
        assert mail.taken[0].rcpt_tos == ["a@example.com", "d@example.com"]
        mail.answers = {}
        with pytest.raises(Dead) as second:
            await handler.run(job({**PAYLOAD, "to": to}, attempt=2, notes=first.value.notes))
        assert second.value.notes == {"delivered": [0, 1, 3], "refused": [2]}
        assert mail.taken[1].rcpt_tos == ["b@example.com"]
        message = taken(mail)
        assert message["To"] == ", ".join(to)


async def test_an_operators_retry_is_for_those_who_were_refused(tmp_path: Path) -> None:
    """Its attempts are counted anew; who has the mail does not get it twice, and who is refused once more is not forgotten."""
    to = [f"{name}@example.com" for name in "abc"]
    async with serving() as mail, mailing(tmp_path, mail.port) as handler:
        mail.answers = {"b@example.com": "450 4.2.1 Busy"}
        with pytest.raises(Retry) as first:
            await handler.run(job({**PAYLOAD, "to": to}, attempt=1, notes={"delivered": [0], "refused": [1, 2]}))
        assert mail.taken[0].rcpt_tos == ["c@example.com"]
        assert first.value.notes == {"delivered": [0, 2], "refused": []}
        mail.answers = {}
        assert await handler.run(job({**PAYLOAD, "to": to}, attempt=2, notes=first.value.notes)) == {"delivered": 3}
        assert mail.taken[1].rcpt_tos == ["b@example.com"]


async def test_when_all_have_it_nothing_is_sent_again(tmp_path: Path) -> None:
    """The worker died between the last answer and its own word, and the notes were kept."""
    async with serving() as mail, mailing(tmp_path, mail.port) as handler:
        assert await handler.run(job(PAYLOAD, attempt=2, notes={"delivered": [0]})) == {"delivered": 1}
        assert mail.connections == 0


@pytest.mark.parametrize("what", ["MAIL", "ada@example.com", "DATA"])
async def test_a_server_that_drops_the_connection(tmp_path: Path, what: str) -> None:
    async with serving() as mail, mailing(tmp_path, mail.port) as handler:
        mail.drops.add(what)
        with pytest.raises(Retry):
            await handler.run(job(PAYLOAD))
        mail.drops.clear()
        assert await handler.run(job(PAYLOAD)) == {"delivered": 1}


@pytest.mark.alone
async def test_a_server_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.jobs.sending.smtp.TIMEOUT", 0.2)
    async with serving() as mail, mailing(tmp_path, mail.port) as handler:
        mail.delays["DATA"] = 1.0
        begun = time.monotonic()
        with pytest.raises(Retry, match=r"^127\.0\.0\.1"):
            await handler.run(job(PAYLOAD))
        assert time.monotonic() - begun < 0.9
        assert handler._connections._kept == []


async def test_a_worker_that_stops_leaves_no_connection_behind(tmp_path: Path) -> None:
    async with serving() as mail, mailing(tmp_path, mail.port) as handler:
        mail.delays["MAIL"] = 5.0
        running = asyncio.create_task(handler.run(job(PAYLOAD)))
        while not mail.connections:
            await asyncio.sleep(0.01)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert handler._connections._kept == []


async def test_garbage_is_tried_again(tmp_path: Path) -> None:
    async def garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(garbage, "127.0.0.1", 0)
    async with server, mailing(tmp_path, server.sockets[0].getsockname()[1]) as handler:
        with pytest.raises(Retry):
            await handler.run(job(PAYLOAD))


async def test_nobody_listens(tmp_path: Path) -> None:
    async with mailing(tmp_path, 1) as handler:
        with pytest.raises(Retry):
            await handler.run(job(PAYLOAD))


class TestTls:
    @staticmethod
    def context(folder: Path) -> ssl.SSLContext:
        ca = trustme.CA()
        ca.cert_pem.write_to_path(str(folder / "ca.pem"))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ca.issue_cert("127.0.0.1").configure_cert(context)
        return context

    @pytest.mark.parametrize("starttls", [True, False])
    async def test_with_tls_and_a_login(self, tmp_path: Path, starttls: bool) -> None:
        async with serving(self.context(tmp_path), starttls=starttls, auth=True) as mail:
            url = f"{'smtp' if starttls else 'smtps'}://leads:p%40ss@127.0.0.1:{mail.port}"
            async with mailing(tmp_path, mail.port, url=url, starttls="required", ca="ca.pem") as handler:
                assert await handler.run(job(PAYLOAD)) == {"delivered": 1}
            assert mail.logins == [(b"leads", b"p@ss")]

    async def test_a_certificate_that_nobody_vouches_for(self, tmp_path: Path) -> None:
        async with serving(self.context(tmp_path), starttls=True) as mail, mailing(tmp_path, mail.port, starttls="required") as handler:
            with pytest.raises(Retry, match=r"CERTIFICATE_VERIFY_FAILED|certificate verify failed"):
                await handler.run(job(PAYLOAD))
            assert mail.taken == []

    async def test_a_server_without_starttls_gets_nothing(self, tmp_path: Path) -> None:
        async with serving() as mail, mailing(tmp_path, mail.port, starttls="required") as handler:
            with pytest.raises((Park, Retry)):
                await handler.run(job(PAYLOAD))
            assert mail.taken == []

    async def test_unless_it_need_not_be(self, tmp_path: Path) -> None:
        async with serving() as mail, mailing(tmp_path, mail.port, starttls="if_offered") as handler:
            assert await handler.run(job(PAYLOAD)) == {"delivered": 1}

    async def test_a_wrong_password_waits_for_an_operator(self, tmp_path: Path) -> None:
        async with serving(self.context(tmp_path), auth=True) as mail:
            settings = {"url": f"smtps://127.0.0.1:{mail.port}", "username": "leads", "password": "wrong", "ca": "ca.pem"}
            async with mailing(tmp_path, mail.port, **settings) as handler:
                with pytest.raises(Park, match="the server does not let us in: 535"):
                    await handler.run(job(PAYLOAD))


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        ({"to": "ada@example.com\r\nBcc: eve@example.com"}, "to: expected one address"),
        ({"to": "ada@example.com\n"}, "to: expected one address"),
        ({"to": "ada@example.com,eve@example.com"}, "to: expected one address"),
        ({"to": "Ada <ada@example.com>"}, "to: expected one address"),
        ({"to": "ada"}, "to: expected one address"),
        ({"to": f"{'a' * 65}@example.com"}, "to: expected one address"),
        ({"to": f"a@{'a' * 260}.com"}, "to: expected one address"),
        ({"to": "a..b@example.com"}, "to: expected one address"),
        ({"to": 7}, "to: expected one address"),
        ({"to": ["ada@example.com", None]}, "to: expected one address"),
        ({"to": [f"a{n}@example.com" for n in range(51)]}, "to: 51 recipients; 50 at most"),
        ({"to": ""}, "to is missing"),
        ({"to": None}, "to is missing"),
        ({"template": "nothing"}, 'there is no template "nothing" for mail: nothing.subject.txt and nothing.txt or nothing.html'),
        ({"template": "../welcome"}, 'there is no template "../welcome" for mail'),
        ({"template": None}, 'there is no template "" for mail'),
        ({"template": 7}, "template is the name of one"),
        ({"data": {}}, "the template welcome needs name, which data does not have"),
        ({"data": []}, "the template welcome needs name"),
        ({"data": "x"}, "data is an object"),
        ({"subject": "Hello"}, "unknown key subject"),
    ],
)
async def test_what_is_refused_before_it_is_stored(tmp_path: Path, payload: dict[str, Any], why: str) -> None:
    async with mailing(tmp_path, 1) as handler:
        with pytest.raises(PayloadRefused) as error:
            handler.check({**PAYLOAD, **payload})
        assert str(error.value).startswith(why)
        with pytest.raises(Park):
            await handler.run(job({**PAYLOAD, **payload}))


async def test_what_only_requests_will_tell_is_not_refused(tmp_path: Path) -> None:
    async with mailing(tmp_path, 1) as handler:
        handler.check({"to": LATER, "template": "welcome", "data": {"name": LATER}})
        handler.check({"to": [LATER, "ada@example.com"], "template": "welcome", "data": {"name": LATER}})


async def test_a_template_that_fails_is_parked(tmp_path: Path) -> None:
    async with mailing(tmp_path, 1) as _:
        pass
    (tmp_path / "templates" / "welcome.txt").write_text("{{ name.first }}")
    settings = {"url": "outbox:out", "from": "no-reply@example.com", "templates": "templates"}
    handler = sender("email", settings, tmp_path)
    with pytest.raises(Park, match=r"welcome\.txt:1: 'str object' has no attribute 'first'"):
        await handler.run(job(PAYLOAD))
    await handler.stop()


class TestOutbox:
    async def test_a_mail_becomes_one_file(self, tmp_path: Path) -> None:
        """Also when it runs twice, for want of word that it ran once."""
        async with mailing(tmp_path, 1, url="outbox:var/outbox") as handler:
            found = [await handler.run(job(PAYLOAD)) for _ in range(2)]
        name = "20260921T141320Z-email-0af7651916cd43dd8448eb211c80319c.eml"
        assert found == [{"file": name}] * 2
        assert [file.name for file in (tmp_path / "var/outbox").iterdir()] == [name]
        message = email.message_from_bytes((tmp_path / "var/outbox" / name).read_bytes(), policy=default)
        assert (message["To"], message["Subject"]) == ("ada@example.com", "Welcome, Ada <3")

    @pytest.mark.parametrize("identity", ["../../etc/passwd", "a/b", "ü", "x" * 300, "", "a\0b"])
    async def test_an_id_leads_nowhere_else(self, tmp_path: Path, identity: str) -> None:
        async with mailing(tmp_path, 1, url="outbox:var/outbox") as handler:
            await handler.run(job(PAYLOAD, id=identity))
        assert len(list((tmp_path / "var/outbox").iterdir())) == 1

    async def test_a_full_disk_is_no_loss(self, tmp_path: Path) -> None:
        """Whatever is wrong with the folder: the job is tried again, and no half of a file is left."""
        (tmp_path / "var").write_text("a file where the folder should be")
        async with mailing(tmp_path, 1, url="outbox:var/outbox") as handler:
            with pytest.raises(NotADirectoryError):
                await handler.run(job(PAYLOAD))


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"url": "smtp://"}, "expected the URL of a mail server"),
        ({"url": "mail.example.com"}, "expected the URL of a mail server"),
        ({"url": "smtp://mail.example.com/path"}, "expected the URL of a mail server"),
        ({"url": "http://mail.example.com"}, "expected the URL of a mail server"),
        ({"url": "outbox:"}, "an outbox is a folder; write outbox:var/outbox"),
        ({"from": "Leads"}, '"Leads" is no mailbox; write Leads <no-reply@example.com>'),
        ({"from": "Leads <a@example.com>\r\nBcc: x@example.com"}, "is no mailbox"),
        ({"templates": "nowhere"}, 'no such folder: "nowhere"'),
        ({"starttls": "maybe"}, "Input should be 'required', 'if_offered' or 'never'"),
        ({"smtp": "x"}, "Extra inputs are not permitted"),
    ],
)
def test_mistakes_are_told_at_load(tmp_path: Path, settings: dict[str, str], why: str) -> None:
    welcome(tmp_path)
    with pytest.raises(ValidationError) as error:
        sender("email", {"url": "outbox:out", "from": "a@example.com", "templates": "templates", **settings}, tmp_path)
    assert why in str(error.value)
