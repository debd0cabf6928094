"""The ring of recent exchanges: what it keeps, what it never keeps, and that it holds nothing alive."""

from __future__ import annotations

import gc
import weakref

import pytest
from multidict import CIMultiDict

from gateway.errors import BadRequest, ClientGone, UpstreamUnreachable
from gateway.exchange import Attempt, End, Exchange
from gateway.telemetry.recent import LONGEST, Recent
from gateway.testing import Clock, exchange

SECRETS = {"Authorization": "Bearer hunter2", "Cookie": "session=hunter2", "X-Api-Key": "hunter2"}


def ended(ex: Exchange, *attempts: Attempt, error: Exception | None = None, status: int | None = 200) -> End:
    return End(status, 0, 2, 0.5, attempts, error)


def asked(ex: Exchange, error: UpstreamUnreachable | None = None) -> Attempt:
    attempt = Attempt(1, "http://upstream.test", ex.headers)
    attempt.status, attempt.duration, attempt.error = (None if error else 200), 0.25, error
    return attempt


def named(name: str, target: str = "/leads?token=hunter2") -> Exchange:
    ex = exchange("GET", target, SECRETS, b"hunter2")
    ex.request_id = name
    return ex


def test_an_exchange_is_found_by_its_id() -> None:
    recent = Recent(4, Clock())
    ex = named("a")
    ex.note("cache", outcome="hit")
    recent.keep(ex, ("cors", "cache"), ended(ex, asked(ex)))
    (kept,) = recent.find("a")
    assert kept[:11] == ("a", 0.0, "GET", "/leads", {}, "gateway.test", "192.0.2.1", None, "test", 0, ("cors", "cache"))
    assert kept.notes == [("cache", {"outcome": "hit"})] and kept.failure is None
    assert [(one.target, one.status, one.duration) for one in kept.end.attempts] == [("http://upstream.test", 200, 0.25)]
    assert recent.find("b") == []


@pytest.mark.parametrize("size", [1, 2, 5])
def test_the_oldest_makes_room(size: int) -> None:
    clock = Clock()
    recent = Recent(size, clock)
    assert recent.oldest is None
    for n in range(12):
        ex = named(str(n))
        ex.started = float(n)
        recent.keep(ex, (), ended(ex))
        assert [bool(recent.find(str(m))) for m in range(n + 1)] == [m > n - size for m in range(n + 1)]
    assert recent.oldest == 12 - size


def test_one_id_of_several_the_newest_first() -> None:
    recent = Recent(8, Clock())
    for path in ("/one", "/two"):
        ex = named("a", path)
        recent.keep(ex, (), ended(ex))
    assert [kept.path for kept in recent.find("a")] == ["/two", "/one"]


@pytest.mark.parametrize("fails", [False, True])
def test_no_header_no_query_and_no_body_is_kept(fails: bool) -> None:
    recent = Recent(4, Clock())
    ex = named("a")
    error = UpstreamUnreachable(reason="no way") if fails else None
    recent.keep(ex, (), ended(ex, asked(ex, error), error=error))
    assert "hunter2" not in _everything(recent)


def _everything(recent: Recent) -> str:
    """The text of all that the ring leads to."""
    seen: set[int] = set()
    waiting: list[object] = [vars(type(recent))["_ring"].__get__(recent)]
    texts = []
    while waiting:
        found = waiting.pop()
        if id(found) in seen or isinstance(found, type):
            continue
        seen.add(id(found))
        texts.append(str(found) if isinstance(found, (str, bytes, CIMultiDict)) else "")
        waiting += gc.get_referents(found)
    return "\n".join(texts)


def test_what_failed_is_kept_in_words_and_holds_nothing_alive() -> None:
    recent = Recent(4, Clock())

    class Connection:
        pass

    def fails(connection: Connection) -> UpstreamUnreachable:
        try:
            try:
                raise OSError("no way")
            except OSError as error:
                raise UpstreamUnreachable(reason="no way") from error
        except UpstreamUnreachable as error:
            return error

    connection = Connection()
    ex = named("a")
    error = fails(connection)
    gone = weakref.ref(connection)
    recent.keep(ex, (), ended(ex, asked(ex, error), asked(ex), error=error, status=502))
    del connection, error, ex
    assert gone() is None
    (kept,) = recent.find("a")
    assert kept.failure == ("upstream-unreachable", "no way")
    assert [(tried.status, tried.failure) for tried in kept.tried] == [(None, ("upstream-unreachable", "no way")), (200, None)]


@pytest.mark.parametrize(
    ("error", "word"),
    [(ClientGone(), "client-gone"), (ValueError("x" * 9999), "ValueError"), (BadRequest("d", reason="r"), "bad-request")],
)
def test_the_word_for_a_failure(error: Exception, word: str) -> None:
    recent = Recent(4, Clock())
    ex = named("a")
    recent.keep(ex, (), ended(ex, error=error))
    failure = recent.find("a")[0].failure
    assert failure is not None and failure.error == word and len(failure.reason) <= LONGEST


def test_long_paths_are_cut() -> None:
    recent = Recent(4, Clock())
    ex = named("a", "/" + "x" * 5000)
    recent.keep(ex, (), ended(ex))
    assert len(recent.find("a")[0].path) == LONGEST


def test_a_refusal_is_kept_without_what_the_parser_quotes() -> None:
    clock = Clock()
    recent = Recent(4, clock)
    recent.refuse("a", "192.0.2.1", BadRequest(reason="Invalid header value char: b'Authorization: hunter2\\x00' ^"))
    (kept,) = recent.find("a")
    assert kept[1:7] == (clock.now, "", "", {}, "", "192.0.2.1")
    assert kept.end.status == 400 and kept.failure == ("bad-request", "Invalid header value char")


def test_nothing_is_left_to_the_collector() -> None:
    recent = Recent(16, Clock())
    gc.collect()
    gc.disable()
    try:
        for n in range(64):
            ex = named(str(n))
            ex.note("cache", outcome="hit")
            recent.keep(ex, (), ended(ex, asked(ex)))
        del ex
        assert gc.collect() == 0
    finally:
        gc.enable()
