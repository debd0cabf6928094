"""Rules about what is open that should be closed, and shown that should be hidden."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from gateway.audit.subject import Subject, settings
from gateway.config.address import address, is_loopback
from gateway.config.position import Path
from gateway.config.secrecy import is_secret_key, is_secret_text
from gateway.errors import Mistake, SecretMistake

KEEPING: tuple[Path, ...] = (
    ("server", "admin"),
    ("server", "debug"),
    ("store", "password"),
    ("store", "sentinel_password"),
    ("store", "url"),
    ("telemetry",),
    ("jobs",),
)
"""Where a policy holds secrets, beside its plugins. Keys below `tls` are names of files."""
_PASSWORD = re.compile(r"://[^/@\s]*:[^/@\s$]+@")
_DEFAULT = re.compile(r"\$\{\w+:-[^}]+\}")


def trusted_by_all(subject: Subject) -> Iterator[Mistake]:
    """Every address is a trusted proxy.

    Then every client says itself who it is, by X-Forwarded-For: limits by client hold nobody, and logs name whom it likes. Name the
    networks of your load balancers.

        server:
          trusted_proxies: [0.0.0.0/0]
    """
    for n, network in enumerate(subject.policy.server.trusted_proxies):
        if network.prefixlen == 0:
            why = "every client can claim any address, and gets round all limits by client"
            yield subject.at(("server", "trusted_proxies", n), why, "name the networks of your load balancers")


def public_observe(subject: Subject) -> Iterator[Mistake]:
    """Health in detail and metrics are open to the network.

    Whoever reaches the port reads what routes and upstreams there are, how they fare, and why a policy was refused. For a Prometheus or a
    kubelet elsewhere that is what you want: see that nobody else reaches it, and write `accept: [public-observe]`.

        server:
          observe: 0.0.0.0:9191
    """
    observe = subject.policy.server.observe
    if observe is not None and not is_loopback(address(observe.address)[0]):
        why = "whoever reaches this port reads health in detail and metrics"
        yield subject.at(("server", "observe"), why, "write 127.0.0.1, or let a firewall see to it and accept this")


def public_admin(subject: Subject) -> Iterator[Mistake]:
    """The admin port is open to the network.

    Its token is all that stands between whoever reaches the port and the gateway, and it travels in clear, for the port speaks no TLS.
    Listen on loopback, and come by `ssh -L` or `kubectl port-forward`.

        server:
          admin: {address: 0.0.0.0:9192, token: kPq8wN3vXzkPq8wN3vXz}
    """
    admin = subject.policy.server.admin
    if admin is not None and not is_loopback(address(admin.address)[0]):
        why = "the token for this port crosses the network in clear"
        yield subject.at(("server", "admin"), why, "write 127.0.0.1, and come by ssh -L or kubectl port-forward")


def any_origin(subject: Subject) -> Iterator[Mistake]:
    """Scripts of every website may read the replies.

    That is right for public data, and for nothing else: a page that a user opens inside your network reads what only your network should.
    List the origins of your own applications.

        plugins:
          - cors: "*"
    """
    for entry, _ in subject.entries():
        if entry.name == "cors" and "*" in settings(entry).origins:
            yield entry.position.mistake("scripts of every website may read the replies", "list the origins of your own applications")


def no_security_headers(subject: Subject) -> Iterator[Mistake]:
    """No route to an upstream has security_headers.

    Browsers then guess content types, frame pages and send referrers as they like, and replies name the software that made them.

        routes:
          - {name: leads, match: /leads, upstream: leads}
    """
    if subject.proxied and not any(lane.named("security_headers") for lane in subject.proxied):
        yield subject.at(("plugins",), "no route has security headers", "write security_headers near the top of the common list")


def secret_in_clear(subject: Subject) -> Iterator[Mistake]:
    """A secret stands in the file.

    Whoever may read the policy, its history and its backups included, has it. Take it from the environment, as `${API_TOKEN}`, without a
    default: a default is in the file too.

        plugins:
          - headers: {request: {set: {Authorization: Bearer kPq8wN3vXz}}}
    """
    shown: list[tuple[Any, Path]] = [(entry.shown, path) for entry, path in subject.entries()]
    shown += [(subject.policy.shown(path), path) for path in KEEPING]
    for value, path in shown:
        for place in _in_clear(value, path, str(path[-1])):
            mistake = subject.at(place, "a secret stands in the file", "write ${NAME}, and set it in the environment")
            yield SecretMistake(mistake.file, mistake.line, mistake.column, mistake.path, mistake.why, mistake.hint)


def _in_clear(value: Any, path: Path, key: str) -> Iterator[Path]:
    """Where texts stand, at and below `path`, whose key says that they are secret. What came from the environment reads ${...}."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _in_clear(inner, (*path, name), name)
    elif isinstance(value, list):
        for n, inner in enumerate(value):
            yield from _in_clear(inner, (*path, n), key)
    elif isinstance(value, str) and (
        (is_secret_key(key) and _is_secret(value) and not _names_a_cookie(key, value)) or _PASSWORD.search(value)
    ):
        yield path


def _names_a_cookie(key: str, text: str) -> bool:
    """`cookie: session` of a plugin, and not a header of that name: what is secret there is what follows the equals sign."""
    return key == "cookie" and "=" not in text


def _is_secret(text: str) -> bool:
    """Of what came from the environment a default is known, for it stands in the file."""
    if "${" in text:
        return _DEFAULT.search(text) is not None
    return is_secret_text(text)
