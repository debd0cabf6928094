from collections.abc import Mapping

import pytest

from gateway.conditions import header_is, host_is, path_is, query_has
from gateway.template import parse
from gateway.testing import exchange


@pytest.mark.parametrize(
    ("wanted", "host", "holds"),
    [
        ("api.example.com", "api.example.com", True),
        ("api.example.com", "api.example.com:8443", True),
        ("api.example.com", "api.example.com.", True),
        ("API.example.com.", "api.example.com", True),
        ("api.example.com", "xapi.example.com", False),
        ("api.example.com", "example.com", False),
        ("*.example.com", "api.example.com:80", True),
        ("*.example.com", "a.b.example.com", True),
        ("*.example.com", "example.com", False),
        ("*.example.com", "xexample.com", False),
        ("*.example.com", "example.com.evil.test", False),
        ("[::1]", "[::1]:8080", True),
        ("[::1]", "[::2]", False),
        ("localhost", "", False),
    ],
)
def test_host_is(wanted: str, host: str, holds: bool) -> None:
    assert host_is(wanted)(exchange(host=host)) is holds


@pytest.mark.parametrize("wanted", ["*", "*.", "", "a.*", "*a.test", "*.*.test", "a:80", "*.a:80", "http://a", "a/b", "u@a", "é.test"])
def test_what_is_no_host_is_refused(wanted: str) -> None:
    with pytest.raises(ValueError, match="is no host; write"):
        host_is(wanted)


@pytest.mark.parametrize(
    ("name", "value", "sent", "holds"),
    [
        ("X-Beta", "1", [("x-beta", "1")], True),
        ("X-Beta", "1", [("X-Beta", "0"), ("X-Beta", "1")], True),
        ("X-Beta", "1", [("X-Beta", "0,1")], False),
        ("X-Beta", "yes", [("X-Beta", "Yes")], False),
        ("X-Beta", "1", [], False),
        ("X-Beta", "*", [("X-Beta", "")], True),
        ("X-Beta", "*", [("X-Gamma", "*")], False),
    ],
)
def test_header_is(name: str, value: str, sent: list[tuple[str, str]], holds: bool) -> None:
    assert header_is(name, value)(exchange(headers=sent)) is holds


@pytest.mark.parametrize(
    ("wanted", "query", "holds"),
    [
        ({"v": "2"}, "v=2", True),
        ({"v": "2"}, "v=1&v=2", True),
        ({"v": "2"}, "v=22", False),
        ({"v": "2"}, "V=2", False),
        ({"v": "2"}, "", False),
        ({"v": "a b"}, "v=a+b", True),
        ({"v": "é"}, "%76=%C3%A9", True),
        ({"v": "*"}, "v", True),
        ({"v": "*"}, "w=v", False),
        ({"v": ""}, "v=", True),
        ({"v": "1;w=2"}, "v=1;w=2", True),
        ({"v": "1", "w": "*"}, "w=&v=1", True),
        ({"v": "1", "w": "*"}, "v=1", False),
    ],
)
def test_query_has(wanted: Mapping[str, str], query: str, holds: bool) -> None:
    assert query_has(wanted)(exchange(target=f"/?{query}")) is holds


@pytest.mark.parametrize(
    ("template", "path", "holds"),
    [
        ("/", "/", True),
        ("/a.b", "/a.b", True),
        ("/a.b", "/aXb", False),
        ("/a", "/A", False),
        ("/a", "/a/", False),
        ("/a/", "/a/", True),
        ("/a/{id}", "/a/5", True),
        ("/a/{id}", "/a/", False),
        ("/a/{id}", "/a/5/6", False),
        ("/a/**", "/a", True),
        ("/a/**", "/a/b/", True),
        ("/a/**", "/ab", False),
        ("/**", "/", True),
    ],
)
def test_path_is(template: str, path: str, holds: bool) -> None:
    assert path_is(parse(template, loose=False))(exchange(target=path)) is holds
