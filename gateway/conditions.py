"""What a route asks of a request beyond its path and method, each as a test made once and called for each request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import parse_qsl

from gateway.authority import hostname, valid_host
from gateway.errors import BadRequest
from gateway.exchange import Exchange
from gateway.template import Template

ANY = "*"
"""As the value of a header or query condition: present, whatever it says."""

Test = Callable[[Exchange], bool]


def path_is(template: Template) -> Test:
    """The path as it is written, case and trailing slash included."""
    matches = template.exact().fullmatch
    return lambda ex: matches(ex.path) is not None


def host_is(host: str) -> Test:
    """A host, or with `*.` all names under it. The port and the root's dot are not compared. Raises ValueError when it is no host."""
    name = host.removeprefix("*.")
    try:
        bare = hostname(valid_host(name))
    except BadRequest:
        bare = ""
    if not bare or bare != name.lower().removesuffix("."):
        raise ValueError(f'"{host}" is no host; write a name without scheme, port and path, as in api.example.com or *.example.com')
    if name != host:
        under = "." + bare
        return lambda ex: hostname(ex.host).endswith(under)
    return lambda ex: hostname(ex.host) == bare


def header_is(name: str, value: str) -> Test:
    """One of the field's lines is exactly `value`."""
    if value == ANY:
        return lambda ex: name in ex.headers
    return lambda ex: value in ex.headers.getall(name, ())


def query_has(wanted: Mapping[str, str]) -> Test:
    """For each name one of its decoded values is exactly the one wanted."""
    conditions = tuple(wanted.items())

    def test(ex: Exchange) -> bool:
        pairs = parse_qsl(ex.query, keep_blank_values=True)
        names = {name for name, _ in pairs}
        return all(name in names if value == ANY else (name, value) in pairs for name, value in conditions)

    return test
