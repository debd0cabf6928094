"""Policies without a mistake: what they become, and which plugins a route ends up with."""

from __future__ import annotations

import json
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.app import App
from gateway.config.policy import EntrySettings, Policy, load, loads
from gateway.errors import ConfigError
from gateway.registry import Registry
from tests.support import write_certificate

HERE = Path(__file__).parent
REGISTRY = Registry(HERE)
TOP = "version: 1\nupstreams: {leads: {targets: http://127.0.0.1:3000}}\n"
ROUTE = "routes: [{name: all, match: /**, upstream: leads}]\n"


def policy(text: str, **env: str) -> Policy:
    return loads(text, REGISTRY, env)


def mistakes(text: str, **env: str) -> str:
    with pytest.raises(ConfigError) as caught:
        policy(text, **env)
    return str(caught.value)


def test_defaults() -> None:
    found = policy(TOP + ROUTE)
    assert [(one.host, one.port, one.tls) for one in found.server.listen] == [("0.0.0.0", 8080, None)]
    assert found.server.limits.model_dump() == {"head": 16384, "target": 8192, "headers": 128, "body": 1048576, "connections": 10000}
    assert found.server.timeouts.model_dump() == {"head": 10.0, "body": 30.0, "idle": 15.0, "drain": 30.0, "lame_duck": 5.0}
    assert (found.server.workers, found.server.trusted_proxies, found.store.url) == (1, (), "memory://")
    assert (found.telemetry.log.level, found.telemetry.log.format) == ("info", "text")
    leads = found.upstreams["leads"]
    assert (leads.targets, leads.paths, leads.balance) == (("http://127.0.0.1:3000",), "loose", "round_robin")
    assert leads.keepalive.model_dump() == {"idle": 4.0, "max": 100}
    assert leads.timeouts.model_dump() == {"connect": 1.0, "head": 10.0, "idle": 30.0}
    assert leads.tls.model_dump() == {"ca": None, "cert": None, "key": None, "server_name": "", "verify": True}


def test_a_server_in_full(tmp_path: Path) -> None:
    write_certificate(tmp_path)
    text = (
        TOP
        + ROUTE
        + """\
server:
  listen:
    - 127.0.0.1:${PORT:-8080}
    - "[::1]:8080"
    - {address: "localhost:8443", tls: {cert: cert.pem, key: key.pem, min_version: "1.3"}}
  trusted_proxies: [10.0.0.0/8, "fd00::/8", 192.0.2.7]
  limits: {head: 32KiB, headers: "${HEADERS:-64}"}
  timeouts: {drain: 0s}
"""
    )
    file = tmp_path / "gateway.yaml"
    file.write_text(text)
    found = load(str(file), env={"PORT": "81"})
    assert (found.path, found.folder) == (file, tmp_path)
    assert [(one.address, one.host, one.port) for one in found.server.listen] == [
        ("127.0.0.1:81", "127.0.0.1", 81),
        ("[::1]:8080", "::1", 8080),
        ("localhost:8443", "localhost", 8443),
    ]
    tls = found.server.listen[2].tls
    assert tls is not None
    assert (tls.cert, tls.key, tls.min_version) == (tmp_path / "cert.pem", tmp_path / "key.pem", "1.3")
    assert found.server.trusted_proxies == tuple(map(ip_network, ("10.0.0.0/8", "fd00::/8", "192.0.2.7")))
    assert (found.server.limits.head, found.server.limits.headers, found.server.timeouts.drain) == (32768, 64, 0.0)


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        ("GET /a/{id}", ("GET /a/{id}", ("GET",), "/a/{id}", "")),
        ("/**", ("/**", (), "/**", "")),
        ("{methods: GET}", ("GET /**", ("GET",), "/**", "")),
        (
            '{methods: [PUT, PURGE], path: /a, host: "*.Example.com"}',
            ("PUT,PURGE *.example.com/a", ("PUT", "PURGE"), "/a", "*.example.com"),
        ),
        ('{path: /a, headers: {X-A: b}, query: {c: "*"}}', ("/a [X-A: b, ?c=*]", (), "/a", "")),
    ],
)
def test_matches(match: str, expected: tuple[object, ...]) -> None:
    (route,) = (
        policy(f"{TOP}routes: [{{match: {match}, upstream: leads}}]").routes
        if "{" in match[:1]
        else policy(f'{TOP}routes: [{{match: "{match}", upstream: leads}}]').routes
    )
    assert (route.name, route.match.methods, route.match.path, route.match.host) == expected


def test_names_are_made_apart() -> None:
    routes = "".join(f"  - {{match: {{path: /a, methods: [GET], query: {{q: '{n}'}}}}, upstream: leads}}\n" for n in range(2))
    routes += "  - {name: 'GET /b', match: /c, upstream: leads}\n  - {match: GET /b, upstream: leads}\n"
    assert [route.name for route in policy(f"{TOP}routes:\n{routes}").routes] == ["GET /a [?q=0]", "GET /a [?q=1]", "GET /b", "GET /b (2)"]


def test_paths_are_strict_where_the_upstream_is() -> None:
    text = "version: 1\nupstreams: {a: {targets: 'https://A.example:8443/', paths: strict}}\nroutes: [{match: /a;b, upstream: a}]\n"
    found = policy(text)
    assert (found.routes[0].match.path, found.upstreams["a"].targets) == ("/a;b", ("https://a.example:8443",))


# The common list, the route's own keys, and the names (with `value`, where it was the route's) that result.
EFFECTIVE = [
    ("[quota, stamp]", "", ["quota", "stamp"]),
    ("[quota, stamp]", "without: [quota]", ["stamp"]),
    ("[quota, stamp]", "without: stamp", ["quota"]),
    ("[quota, stamp]", "plugins: [quota]", ["quota", "stamp", "quota"]),  # limits add up
    ("[quota, stamp, whole]", "plugins: [{stamp: {value: own}}]", ["quota", "stamp=own", "whole"]),  # once: in the place of the common one
    ("[quota, stamp]", "plugins: [answer, {stamp: {value: own}}]", ["quota", "stamp=own", "answer"]),
    ("[quota]", "plugins: [{stamp: {value: own}}, answer]", ["quota", "stamp=own", "answer"]),  # nothing to replace
    ("[stamp, quota]", "{without: [stamp], plugins: [answer, {stamp: {value: own}}]}", ["quota", "answer", "stamp=own"]),
    ("[stamp]", "plugins: [{stamp: {value: own}, mode: off}]", ["stamp=own/off"]),
    ("[{quota: {}, mode: observe}]", "", ["quota/observe"]),
]


@pytest.mark.parametrize(("common", "own", "expected"), EFFECTIVE)
def test_the_plugins_of_a_route(common: str, own: str, expected: list[str]) -> None:
    own = own.strip("{}") if own.startswith("{") else own
    keys = "".join(f", {own}" if own else "")
    found = policy(f"{TOP}plugins: {common}\nroutes: [{{match: /**, upstream: leads{keys}}}]\n")

    def told(entry: EntrySettings) -> str:
        value: str = getattr(entry.settings, "value", "")
        return entry.name + (f"={value}" if value else "") + (f"/{entry.mode}" if entry.mode != "enforce" else "")

    assert [told(entry) for entry in found.entries_for(found.routes[0])] == expected


def test_a_common_entry_is_one_object_in_all_routes() -> None:
    routes = "routes:\n  - {match: /a, upstream: leads, plugins: [quota]}\n  - {match: /b, upstream: leads, plugins: [quota]}\n"
    found = policy(TOP + "plugins: [quota]\n" + routes)
    first, second = map(found.entries_for, found.routes)
    assert first[0] is second[0] is found.plugins[0]
    assert first[1] is not second[1] and first[1] is found.routes[0].plugins[0]


def test_an_entry_knows_where_it_stands_and_what_may_be_shown() -> None:
    found = policy(TOP + ROUTE + "plugins:\n  - quota: {by: '${KEY}', limit: 5}\n", KEY="s3cret")
    (entry,) = found.plugins
    assert (entry.position.line, entry.position.column, entry.position.path) == (5, 5, "plugins[0].quota")
    assert entry.settings.model_dump(include={"by", "limit"}) == {"by": "s3cret", "limit": 5}
    assert entry.shown == {"by": "${KEY}", "limit": 5}
    assert str(entry.mistake(ValueError("s3cret is no key; write another"))) == (
        "gateway.yaml:5:5: plugins[0].quota: ${KEY} is no key; write another"
    )
    assert "s3cret" not in repr(entry)


def test_what_only_a_constructor_sees_is_told_with_its_place() -> None:
    found = policy(TOP + ROUTE + "plugins:\n  - quota: {tags: '${TAG}'}\n", TAG="late")
    with pytest.raises(ConfigError) as caught:
        App(found, lambda line: None)
    assert str(caught.value) == "gateway.yaml:5:5: plugins[0].quota: the tag ${TAG} is refused ${TAG}; write early"


def test_a_mistake_found_later_points_into_the_file() -> None:
    found = policy(TOP + ROUTE)
    assert str(found.mistake(("upstreams", "leads", "tls"), "no")) == "gateway.yaml:2:13: upstreams.leads.tls: no"


@pytest.mark.parametrize(
    ("written", "limit"),
    [('"${LIMIT:-7}"', 7), ('"${LIMIT}"', 9), ("5", 5)],
)
def test_a_quoted_reference_is_a_number_where_one_is_wanted(written: str, limit: int) -> None:
    env = {} if ":-" in written else {"LIMIT": "9"}
    found = policy(f"{TOP}{ROUTE}x-q: &q {{limit: {written}, by: {written if written != '5' else 'a'}}}\nplugins: [quota: *q]\n", **env)
    settings: Any = found.plugins[0].settings
    assert settings.limit == limit
    assert isinstance(settings.by, str)  # and text where text is


def test_free_keys_hold_what_the_rest_refers_to() -> None:
    text = (
        "x-limits: {anything: [1, {two: 3}]}\nx-strict: &strict {limit: 3}\n"
        + TOP
        + ROUTE
        + "plugins: [quota: {<<: *strict, window: 2s}]\n"
    )
    settings: Any = policy(text).plugins[0].settings
    assert (settings.limit, settings.window) == (3, 2.0)


def test_words_of_yaml_1_1_are_text() -> None:
    found = policy(TOP + ROUTE + "plugins:\n  - stamp: {value: no}\n    mode: off\n  - quota: {by: on}\n")
    assert [entry.mode for entry in found.plugins] == ["off", "enforce"]
    assert [found.plugins[0].settings.model_dump()["value"], found.plugins[1].settings.model_dump()["by"]] == ["no", "on"]


def test_a_policy_is_frozen() -> None:
    found: Any = policy(TOP + ROUTE)
    for target, name in ((found, "routes"), (found.routes[0], "name"), (found.server, "workers")):
        with pytest.raises(Exception, match=r"frozen|cannot assign"):
            setattr(target, name, None)
    with pytest.raises(TypeError):
        found.upstreams["other"] = None


def test_plugins_beside_the_policy(tmp_path: Path) -> None:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "mine_alone.py").write_text((HERE / "plugins/answer.py").read_text())
    (tmp_path / "gateway.yaml").write_text("version: 1\nroutes: [{match: /**, plugins: [mine_alone]}]\n")
    found = load(tmp_path / "gateway.yaml")
    assert [entry.name for entry in found.entries_for(found.routes[0])] == ["mine_alone"]


KEYS = [
    "version", "server", "listen", "limits", "upstreams", "leads", "targets", "plugins", "routes", "match", "path", "upstream", "tls",
    "without", "quota", "stamp", "mode", "limit", "window", "by", "keys", "name", "upgrades", "x-a", "store", "url", "balance",
]  # fmt: skip
WORDS = ["leads", "quota", "stamp", "/a", "GET /b", "http://h", "off", "5s", "memory://", "websocket", "s3cret-value", ""]
values = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 5) | st.floats() | st.sampled_from(WORDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=25,
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(KEYS), values, max_size=8))
def test_any_shape_is_told_or_loads(content: dict[str, Any]) -> None:
    """Whatever is written where, there is a policy or a list of mistakes: nothing else ever comes out, and no secret does."""
    text = json.dumps(content).replace("NaN", ".nan").replace("Infinity", ".inf").replace('"s3cret-value"', '"${KEY}"')
    told = ""
    try:
        policy(text, KEY="s3cret-value")
    except ConfigError as error:
        told = str(error)
    else:
        assert {"version", "routes"} <= content.keys()
    assert "s3cret-value" not in told


def test_a_plugin_that_nothing_is_like() -> None:
    with pytest.raises(ConfigError, match=r'unknown plugin "\.\./\.\./etc/passwd"; known here: access_log, .*cors, '):
        loads("version: 1\nplugins: [../../etc/passwd]\nroutes: [{match: /a, plugins: [respond: {status: 204}]}]\n", env={})
