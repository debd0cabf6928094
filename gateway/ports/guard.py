"""Who may use a port: whoever has its token, and never a web page in the browser of somebody who could."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from gateway.authority import hostname, valid_host
from gateway.bearer import CHALLENGE, has_token
from gateway.config.address import is_loopback
from gateway.errors import BadRequest, Forbidden, Unauthorized


class Fields(Protocol):
    """The head of a request."""

    def getall(self, name: str, default: Sequence[str], /) -> Sequence[str]: ...


class Guard:
    """`check` a request by its header fields; raises a GatewayError when it is refused.

    Pages reach a loopback port in two ways. A script sends across origins what needs no preflight, a POST among it: then the browser
    says where it came from. Or the attacker's own name is made to resolve to 127.0.0.1 (DNS rebinding): then Host still has that name.
    """

    def __init__(self, host: str, token: Callable[[], str | None] | None = None) -> None:
        """`host` is where the port listens. `token` gives the one in force; None of a port that asks for none."""
        self._is_loopback = is_loopback(host)
        self._token = token

    def check(self, fields: Fields) -> None:
        hosts = fields.getall("Host", ())
        if len(hosts) != 1:
            raise BadRequest("A request has one Host field.")
        host = valid_host(hosts[0])
        if self._is_loopback and not is_loopback(hostname(host).strip("[]")):
            raise Forbidden("This port answers to localhost, 127.0.0.1 and [::1] alone.")
        if any(origin.lower() != f"http://{host}" for origin in fields.getall("Origin", ())) or any(
            site not in ("none", "same-origin") for site in fields.getall("Sec-Fetch-Site", ())
        ):
            raise Forbidden("Pages of other origins are not answered here.")
        if self._token is not None:
            self._check_token(self._token(), fields.getall("Authorization", ()))

    def _check_token(self, token: str | None, sent: Sequence[str]) -> None:
        if token is None:
            if not self._is_loopback:  # the policy would have been refused: then nobody is let in
                raise Unauthorized("This port has no token.")
            return
        if not has_token(sent, token):
            raise Unauthorized("Send the policy's server.admin.token as Authorization: Bearer TOKEN.", headers=[CHALLENGE])
