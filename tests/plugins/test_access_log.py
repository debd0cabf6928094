"""What the line of an exchange says, what it never says, and that there always is one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway import errors
from gateway.config.policy import loads
from gateway.exchange import Attempt, End, Exchange, Headers
from gateway.testing import Clock, FakeUpstream, exchange, host, load, pipeline, run

MOMENT = 1_700_000_000.25  # 2023-11-14T22:13:20.250Z


class Bench:
    """An access_log whose lines are kept, at a time of day moved by hand."""

    def __init__(self, settings: object = None, now: float = MOMENT) -> None:
        self.lines: list[bytes] = []
        self.plugin = load("access_log", settings, host=host(lines=self.lines))
        self.time = Clock(now)
        vars(self.plugin)["now"] = self.time

    def log(self, ex: Exchange, end: End) -> dict[str, Any]:
        self.plugin.on_end(ex, end)
        assert self.lines[-1].endswith(b"\n")
        assert self.lines[-1].count(b"\n") == 1
        found: dict[str, Any] = orjson.loads(self.lines[-1])
        return found


def log(ex: Exchange, end: End, settings: object = None) -> dict[str, Any]:
    return Bench(settings).log(ex, end)


def named(ex: Exchange) -> Exchange:
    ex.request_id = "0123"
    return ex


def test_a_whole_line() -> None:
    ex = named(exchange("POST", "/api/v1/leads?token=secret", {"User-Agent": "curl/8"}, client="198.51.100.7", route="create-lead"))
    ex.consumer = "sales"
    attempts = (Attempt(1, "http://10.0.0.1:3000", Headers()), Attempt(2, "http://10.0.0.2:3000", Headers()))
    line = log(ex, End(201, bytes_in=120, bytes_out=45, duration=0.0123456, attempts=attempts))
    assert list(line.items()) == [
        ("time", "2023-11-14T22:13:20.250Z"),
        ("level", "info"),
        ("method", "POST"),
        ("path", "/api/v1/leads"),
        ("status", 201),
        ("duration_ms", 12.346),
        ("bytes_in", 120),
        ("bytes_out", 45),
        ("client", "198.51.100.7"),
        ("request_id", "0123"),
        ("route", "create-lead"),
        ("upstream", "http://10.0.0.2:3000"),
        ("attempts", 2),
        ("user_agent", "curl/8"),
        ("consumer", "sales"),
    ]


def test_one_line_for_each_exchange() -> None:
    bench = Bench()
    steps = pipeline(bench.plugin, upstream=FakeUpstream())
    for _ in range(3):
        run(steps, exchange())
    assert [orjson.loads(line)["status"] for line in bench.lines] == [200] * 3


CUT = errors.BadGateway(reason="the body ended 12 bytes early")


@pytest.mark.parametrize(
    ("end", "told"),
    [
        (End(200), {"status": 200, "level": "info"}),
        (End(404, error=errors.NotFound()), {"status": 404, "level": "info", "error": "not-found"}),
        (End(500), {"status": 500, "level": "error"}),  # the upstream's own
        (
            End(502, error=errors.UpstreamUnreachable("Hello.", reason="10.0.0.1:3000 refused")),
            {"status": 502, "level": "error", "error": "upstream-unreachable", "reason": "10.0.0.1:3000 refused"},
        ),
        (
            End(500, error=errors.PluginError(reason="cache.on_request: KeyError: 'a'")),
            {"status": 500, "level": "error", "error": "internal-error", "reason": "cache.on_request: KeyError: 'a'"},
        ),
        (End(None), {"level": "info", "error": "client-gone"}),
        (End(None, error=errors.ClientGone()), {"level": "info", "error": "client-gone"}),
        (End(200, error=errors.ClientGone(), truncated=True), {"status": 200, "level": "info", "error": "client-gone"}),
        (End(200, truncated=True), {"status": 200, "level": "info", "error": "client-gone"}),
        (
            End(200, error=CUT, truncated=True),
            {"status": 200, "level": "error", "error": "truncated", "reason": "the body ended 12 bytes early"},
        ),
        (End(200, error=OSError("broken pipe")), {"status": 200, "level": "info", "error": "OSError", "reason": "broken pipe"}),
    ],
)
def test_how_it_ended(end: End, told: dict[str, Any]) -> None:
    assert log(exchange(), end, {"fields": ["status", "level", "error", "reason"]}) == told


@pytest.mark.parametrize(
    ("now", "text"),
    [
        (0.0, "1970-01-01T00:00:00.000Z"),
        (951_782_400.0, "2000-02-29T00:00:00.000Z"),
        (1_700_000_000.5, "2023-11-14T22:13:20.500Z"),
        (1_700_000_000.9999, "2023-11-14T22:13:20.999Z"),  # never rounded into a second that has not come
        (1_700_000_001.0, "2023-11-14T22:13:21.000Z"),
    ],
)
def test_time(now: float, text: str) -> None:
    assert Bench({"fields": ["time"]}, now).log(exchange(), End(200)) == {"time": text}


def test_time_goes_on() -> None:
    """Also backwards, when somebody sets the clock."""
    bench = Bench({"fields": ["time"]})
    seen = []
    for seconds in (0, 0.5, 0.5, -1, 3600):
        bench.time.advance(seconds)
        seen.append(bench.log(exchange(), End(200))["time"][11:])
    assert seen == ["22:13:20.250Z", "22:13:20.750Z", "22:13:21.250Z", "22:13:20.250Z", "23:13:20.250Z"]


def test_fields_in_the_order_chosen() -> None:
    ex = exchange("GET", "/a?b=c&d", host="api.test", scheme="https", route="r")
    fields = ["status", "query", "host", "scheme", "path"]
    assert list(log(ex, End(204), {"fields": fields}).items()) == [
        ("status", 204),
        ("query", "b=c&d"),
        ("host", "api.test"),
        ("scheme", "https"),
        ("path", "/a"),
    ]


def test_what_is_not_known_is_left_out() -> None:
    line = log(named(exchange("GET", "/a", route="")), End(404, duration=0.001))
    assert line.keys() == {
        "time",
        "level",
        "method",
        "path",
        "status",
        "duration_ms",
        "bytes_in",
        "bytes_out",
        "client",
        "request_id",
        "attempts",
    }
    assert log(exchange("GET", "/a"), End(200), {"fields": ["query", "upstream", "status"]}) == {"status": 200}


SECRET = "s3cret-value"


@pytest.mark.parametrize("name", ["Authorization", "proxy-authorization", "COOKIE", "Set-Cookie", "X-API-Key"])
def test_credentials_are_never_written(name: str) -> None:
    bench = Bench({"headers": [name]})
    assert bench.log(exchange(headers={name: SECRET}), End(200))["headers"] == {name.lower(): "[redacted]"}
    assert SECRET.encode() not in bench.lines[0]


def test_no_secret_is_written_unasked() -> None:
    headers = dict.fromkeys(("Authorization", "Cookie", "X-Api-Key", "X-Session", "Referer"), SECRET)
    bench = Bench()
    bench.log(exchange("GET", f"/login?password={SECRET}", headers), End(200))
    assert SECRET.encode() not in bench.lines[0]


def test_chosen_headers() -> None:
    ex = exchange(headers=[("Accept", "text/html"), ("X-Tag", "a"), ("x-tag", "b"), ("Referer", "http://a.test/"), ("Empty", "")])
    line = log(ex, End(200), {"fields": ["status"], "headers": ["X-Tag", "referer", "Empty", "Absent"]})
    assert line == {"status": 200, "headers": {"x-tag": "a, b", "referer": "http://a.test/", "empty": ""}}
    assert log(exchange(), End(200), {"fields": ["status"], "headers": ["X-Tag"]}) == {"status": 200}


def test_long_values_are_cut() -> None:
    ex = exchange("GET", "/" + "p" * 5000 + "?" + "q" * 5000, {"User-Agent": "u" * 5000, "X-Tag": "t" * 5000})
    end = End(502, error=errors.BadGateway(reason="r" * 5000))
    line = log(ex, end, {"fields": ["path", "query", "user_agent", "reason"], "headers": ["X-Tag"]})
    values = [line["path"], line["query"], line["user_agent"], line["reason"], line["headers"]["x-tag"]]
    assert [len(value) for value in values] == [1024 + len("...")] * 5
    assert log(exchange(headers={"User-Agent": "u" * 1024}), End(200))["user_agent"] == "u" * 1024


@pytest.mark.parametrize(
    ("sent", "written"),
    [
        ("a\nb\r\x1b[31m", "a\nb\r\x1b[31m"),  # one line, whatever is in it: JSON escapes it
        ('"}', '"}'),
        ("caf\u00e9 \u2028", "caf\u00e9 \u2028"),
        ("caf\udce9", "caf\\udce9"),  # a byte that is no UTF-8 (surrogateescape, PEP 383)
        ("\ud800\udfff", "\\ud800\\udfff"),
    ],
)
def test_strange_text(sent: str, written: str) -> None:
    line = log(exchange(headers={"User-Agent": sent}), End(200), {"fields": ["user_agent"], "headers": ["User-Agent"]})
    assert line == {"user_agent": written, "headers": {"user-agent": written}}


def test_notes() -> None:
    ex = exchange()
    ex.note("rate_limit", policies=["login"], outcome="rejected")
    ex.note("cache", outcome="miss", key=("a", 1))
    assert log(ex, End(429), {"fields": ["status"]}) == {
        "status": 429,
        "notes": [
            {"kind": "rate_limit", "policies": ["login"], "outcome": "rejected"},
            {"kind": "cache", "outcome": "miss", "key": ["a", 1]},
        ],
    }


class Silent:
    def __str__(self) -> str:
        raise RuntimeError


LOOP: list[object] = []
LOOP.append(LOOP)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (errors.NotFound("gone"), "gone"),
        (Silent(), "<Silent>"),
        ({1: "a", None: "b"}, {"1": "a", "None": "b"}),
        (1 << 64, float(1 << 64)),  # as who reads it has it; it is written whole
        (float("nan"), None),
        ({"a": ["\udcff"]}, {"a": ["\\udcff"]}),
        (LOOP, [[[[[[[["[redacted]"]]]]]]]]),
        ({"deep": {"er": {"est": {"of": {"all": "\udcff"}}}}}, {"deep": {"er": {"est": "<dict>"}}}),
    ],
)
def test_any_note_can_be_written(value: object, written: object) -> None:
    ex = exchange()
    ex.note("odd", value=value)
    assert log(ex, End(200), {"fields": ["status"]}) == {"status": 200, "notes": [{"kind": "odd", "value": written}]}


# Sampling


def writes(end: End, settings: object, draw: float) -> dict[str, Any] | None:
    bench = Bench({"fields": ["status"], **settings} if isinstance(settings, dict) else settings)
    vars(bench.plugin)["random"] = lambda: draw
    bench.plugin.on_end(exchange(), end)
    return orjson.loads(bench.lines[0]) if bench.lines else None


ORDINARY = [
    End(200),
    End(204),
    End(206, duration=0.999),
    End(301),
    End(304),
    End(404),  # the upstream's own
    End(404, error=errors.NotFound()),
    End(429, error=errors.QuotaExceeded()),
]
ALWAYS = [
    End(101),
    End(200, duration=1.0),  # slow
    End(404, duration=1.0),
    End(200, truncated=True),
    End(200, error=CUT, truncated=True),
    End(200, error=OSError("broken pipe")),
    End(None),  # the client had left
    End(None, error=errors.ClientGone()),
    End(400, error=errors.BadRequest()),
    End(401, error=errors.Unauthorized()),
    End(403),
    End(408),
    End(413, error=errors.PayloadTooLarge(1)),
    End(418),
    End(500),
    End(502, error=errors.BadGateway()),
    End(503, error=errors.Unavailable()),
]


def ended(end: End) -> str:
    return f"{end.status}-{type(end.error).__name__}-{end.duration:g}-{'cut' if end.truncated else 'whole'}"


@pytest.mark.parametrize("end", ORDINARY, ids=ended)
def test_a_share_of_what_is_ordinary_which_its_lines_tell(end: End) -> None:
    assert writes(end, {"sample": "10%"}, 0.0999) == {"status": end.status, "sample": 0.1}
    assert writes(end, {"sample": "10%"}, 0.1) is None
    assert writes(end, {"sample": "0%"}, 0.0) is None
    assert writes(end, {}, 0.999999) == {"status": end.status}


@pytest.mark.parametrize("end", ALWAYS, ids=ended)
def test_what_is_slow_or_has_failed_is_always_written(end: End) -> None:
    for sample in ("0%", "10%", "100%"):
        line = writes(end, {"sample": sample}, 0.999999)
        assert line == ({} if end.status is None else {"status": end.status})


def test_how_slow_is_slow() -> None:
    assert writes(End(200, duration=0.25), {"sample": "0%", "slow": "250ms"}, 0.5) == {"status": 200}
    assert writes(End(200, duration=0.2499), {"sample": "0%", "slow": "250ms"}, 0.5) is None


def test_counts_can_be_corrected() -> None:
    bench = Bench({"fields": ["status"], "sample": "5%"})
    for _ in range(20_000):
        bench.plugin.on_end(exchange(), End(200))
    counted = sum(1 / orjson.loads(line)["sample"] for line in bench.lines)
    assert 17_000 < counted < 23_000  # 3,000 are six of its standard deviations and a half


# Files


def test_several_with_files_of_their_own(tmp_path: Path) -> None:
    logs: dict[Path, list[bytes]] = {}
    lines: list[bytes] = []
    given = host(lines=lines, logs=logs)
    settings: list[dict[str, object]] = [
        {"fields": ["status"]},
        {"fields": ["path"], "file": str(tmp_path / "a.log")},
        {"fields": ["method"], "file": str(tmp_path / "b.log")},
        {"fields": ["client"], "file": str(tmp_path / "b.log")},
    ]
    run(pipeline(*(load("access_log", one, host=given) for one in settings)), exchange("GET", "/a"))
    assert lines == [b'{"status":404}\n']
    assert logs == {tmp_path / "a.log": [b'{"path":"/a"}\n'], tmp_path / "b.log": [b'{"client":"192.0.2.1"}\n', b'{"method":"GET"}\n']}


def test_a_list_may_hold_several_and_a_route_s_own_replace_them() -> None:
    text = """
version: 1
upstreams: {a: {targets: "http://127.0.0.1:1"}}
plugins: [request_id, access_log, access_log: {file: all.log}, security_headers]
routes:
  - {name: common, match: /a, upstream: a}
  - {name: own, match: /b, upstream: a, plugins: [access_log: {file: b.log}, access_log: {file: c.log}]}
  - {name: none, match: /c, upstream: a, without: access_log}
"""
    policy = loads(text.replace("access_log: {file", "{access_log: {file").replace(".log}", ".log}}"), path="/policy/gateway.yaml")
    found = {}
    for route in policy.routes:
        found[route.name] = [
            getattr(entry.settings, "file", None) and entry.settings.file.name if entry.name == "access_log" else entry.name  # type: ignore[attr-defined]
            for entry in policy.entries_for(route)
        ]
    assert found == {
        "common": ["request_id", None, "all.log", "security_headers"],
        "own": ["request_id", "b.log", "c.log", "security_headers"],
        "none": ["request_id", "security_headers"],
    }


text = st.text(st.characters(exclude_categories=[]), max_size=50)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | text | st.binary() | st.builds(object) | st.complex_numbers(),
    lambda inner: st.lists(inner) | st.dictionaries(text | st.integers() | st.binary(), inner) | st.tuples(inner, inner),
)


@given(agent=text, path=text, reason=text, note=anything)
def test_there_always_is_a_line(agent: str, path: str, reason: str, note: object) -> None:
    ex = Exchange("GET", path, path, path, Headers({"User-Agent": agent}))
    ex.note("n", value=note)
    line = log(
        ex, End(502, error=errors.BadGateway(reason=reason)), {"fields": ["path", "query", "status", "reason"], "headers": ["User-Agent"]}
    )
    assert line["status"] == 502


def test_a_route_replaces_the_common_log() -> None:
    assert type(load("access_log")).once


@pytest.mark.parametrize(
    "settings",
    [
        {"fields": []},
        {"fields": ["statuss"]},
        {"fields": ["status", "status"]},
        {"headers": ["a b"]},
        {"headers": [""]},
        {"feilds": ["status"]},
    ],
)
def test_refused_at_load(settings: object) -> None:
    with pytest.raises(ValidationError):
        load("access_log", settings)
