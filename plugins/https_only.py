"""Nothing is served in clear: who comes by http is sent to https, or refused.

A request came by https when its connection speaks TLS, or when one of `server.trusted_proxies` says so in X-Forwarded-Proto; what others
say there does not count.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from gateway.plugin import Answers, BadRequest, Exchange, Field, GatewayError, Headers, Host, Plugin, Reply, Settings


class HttpsRequired(GatewayError):
    status, slug, title = 403, "https-required", "This is served over https alone"


class HttpsOnlySettings(Settings):
    shorthand: ClassVar[str] = "action"

    action: Literal["redirect", "refuse"] = Field(
        "redirect",
        description="redirect: to the same address with https, for browsers. refuse: with 403, for programs: one that is redirected sends "
        "its credentials in clear each time, and nobody notices.",
    )
    status: Literal[301, 308] = Field(308, description="Of the redirect. 308 keeps method and body, 301 is what very old clients know.")
    port: int = Field(443, ge=1, le=65535, description="Where https is served, as clients see it.")


class HttpsOnly(Plugin[HttpsOnlySettings]):
    def __init__(self, settings: HttpsOnlySettings, host: Host) -> None:
        super().__init__(settings, host)
        self._redirects = settings.action == "redirect"
        self._status = settings.status
        self._port = "" if settings.port == 443 else f":{settings.port}"

    def on_request(self, ex: Exchange) -> Reply | None:
        if ex.scheme == "https":
            return None
        if not self._redirects or ex.upgrade:
            raise HttpsRequired("Use https: what was sent has crossed the network in clear.")
        if not ex.host:
            raise BadRequest("There is no Host to be redirected to.")
        name = ex.host if ex.host.endswith("]") else ex.host.rpartition(":")[0] or ex.host
        return Reply(self._status, Headers([("Location", f"https://{name}{self._port}{ex.target}")]))

    def explain(self, ex: Exchange) -> str:
        reply = self.on_request(ex)
        return "came by https: passes" if reply is None else Answers(f"answers {reply.status}, to {reply.headers['Location']}")
