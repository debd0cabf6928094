"""Who is calling: by a token, an API key, or name and password. Sets consumer, groups and claims, for what stands below and behind.

It answers OPTIONS like any other method: a preflight carries no credentials, so `cors` stands above and answers it.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, ClassVar

from pydantic import model_validator

from gateway.plugin import CallFailed, Exchange, Field, Forbidden, Host, Many, OneOrMany, Plugin, Settings, Unauthorized, identity

METHODS = ("jwt", "api_key", "basic")
RETRY_AFTER = ("Retry-After", "5")
"""Seconds. A key or a free place will be there by then, or not for long."""


class MethodSettings(Settings):
    """One way to authenticate."""

    jwt: identity.JwtSettings | None = Field(None, description="Signed tokens.")
    api_key: identity.ApiKeySettings | None = Field(None, description="API keys.")
    basic: identity.BasicSettings | None = Field(None, description="Names and passwords.")

    @model_validator(mode="after")
    def _says_one_thing(self) -> MethodSettings:
        if len(self.given()) != 1:
            raise ValueError(f"a method is one of {', '.join(METHODS)}; write each with a dash of its own")
        return self

    def given(self) -> list[str]:
        return [name for name in METHODS if getattr(self, name) is not None]

    def made(self, host: Host) -> identity.Method:
        """Raises ValueError when its keys are not right."""
        if self.jwt is not None:
            return identity.Jwt(self.jwt, host)
        if self.api_key is not None:
            return identity.ApiKey(self.api_key, host)
        assert self.basic is not None
        return identity.Basic(self.basic, host)


class AuthenticateSettings(MethodSettings):
    example: ClassVar[str] = 'jwt: {algorithms: RS256, jwks_url: "https://issuer.example.com/jwks.json"}'

    any: Many[MethodSettings] = Field((), description="Several methods, of which one suffices: the first whose credentials are good.")
    all: Many[MethodSettings] = Field((), description="Several methods that all must succeed. The consumer is that of the first.")
    optional: bool = Field(False, description="Let requests without credentials pass, as nobody. Wrong ones are refused all the same.")
    groups: OneOrMany[str] = Field((), description="Groups of which the consumer must be in one; else 403.")
    claims: dict[str, OneOrMany[str | int | bool]] = Field(
        {}, description="Claims that must have this value, or one of these; of an API key its labels are meant. Else 403."
    )
    forward: identity.Forward = Field(identity.Forward(), description="Headers that tell the upstream who asks; a client cannot send them.")

    @model_validator(mode="after")
    def _says_one_thing(self) -> AuthenticateSettings:
        given = self.given() + [name for name in ("any", "all") if getattr(self, name)]
        if len(given) != 1:
            keep = f"keep one of {', '.join(given)}" if given else "write one"
            raise ValueError(f"who asks is told by one of {', '.join(METHODS)}, any and all; {keep}")
        if self.optional and (self.groups or self.claims):
            raise ValueError("nobody is in no group: optional lets pass whom groups and claims refuse; remove one of them")
        return self


class Authenticate(Plugin[AuthenticateSettings]):
    """In `mode: observe` nobody is refused, and what goes upstream is what came, credentials and headers that tell who asks among it.

    Who asks is found out all the same, for the plugins below.
    """

    once = True

    def __init__(self, settings: AuthenticateSettings, host: Host) -> None:
        super().__init__(settings, host)
        ways = settings.any or settings.all or (settings,)
        self._methods = tuple(way.made(host) for way in ways)
        # Each step must succeed, by one of its methods.
        self._steps = tuple((method,) for method in self._methods) if settings.all else (self._methods,)
        self._optional = settings.optional
        self._requirement = identity.Requirement(settings.groups, settings.claims)
        self._needs = bool(settings.groups or settings.claims)
        self._forwarding = identity.Forwarding(settings.forward)
        self._challenges = _headers(method.challenge for method in self._methods)

    async def start(self) -> None:
        for method in self._methods:
            await method.start()

    def on_request(self, ex: Exchange) -> Coroutine[Any, Any, None] | None:
        self._forwarding.clean(ex)
        proved = [self._step(ex, step) for step in self._steps]
        if any(isinstance(outcome, identity.Method) for outcome in proved):
            return self._later(ex)
        self._admit(ex, proved)
        return None

    async def _later(self, ex: Exchange) -> None:
        self._admit(ex, [await self._step_later(ex, step) for step in self._steps])

    def explain(self, ex: Exchange) -> str:
        self._forwarding.clean(ex)
        proved = [self._step(ex, step) for step in self._steps]
        for outcome in proved:
            if isinstance(outcome, identity.Method):
                return outcome.later
        self._admit(ex, proved)
        if ex.consumer is None:
            return "no credentials: passes as nobody"
        return f"is {ex.consumer}" + (f", in {', '.join(ex.groups)}" if ex.groups else "")

    def _step(self, ex: Exchange, methods: tuple[identity.Method, ...]) -> Any:
        """The Identity that one of the methods proves; else the first Refusal; None when there are no credentials.

        The Method itself when it must wait to say.
        """
        refusal = None
        for method in methods:
            credential = method.find(ex)
            if credential is not None:
                outcome = method.check(credential)
                if outcome is None:
                    return method
                if isinstance(outcome, identity.Identity):
                    return outcome
                refusal = refusal or outcome
        return refusal

    async def _step_later(self, ex: Exchange, methods: tuple[identity.Method, ...]) -> Any:
        """The same, but it waits."""
        refusal = None
        for method in methods:
            credential = method.find(ex)
            if credential is not None:
                outcome = method.check(credential) or await method.check_later(credential)
                if isinstance(outcome, identity.Identity):
                    return outcome
                refusal = refusal or outcome
        return refusal

    def _admit(self, ex: Exchange, proved: list[Any]) -> None:
        """Go on as whom was proved. Raises Unauthorized, Forbidden and CallFailed."""
        who = None
        for outcome in proved:
            if not isinstance(outcome, identity.Identity):
                return self._refuse(ex, proved)
            who = outcome if who is None else _both(who, outcome)
        assert who is not None
        if self._needs:
            self._require(who)
        ex.consumer, ex.groups, ex.claims = who.consumer, who.groups, who.claims
        for method in self._methods:
            method.strip(ex)
        if self._forwarding.names:
            self._forwarding.tell(ex, who)
        return None

    def _refuse(self, ex: Exchange, proved: list[Any]) -> None:
        refusals = [outcome for outcome in proved if isinstance(outcome, identity.Refusal)]
        if not refusals:
            if self._optional and proved.count(None) == len(proved):
                return
            raise Unauthorized("Credentials are needed here.", reason="no credentials", headers=self._challenges)
        if refusals[0].is_outage:
            raise CallFailed("Who asks cannot be found out now.", reason=refusals[0].reason, headers=[RETRY_AFTER])
        sent = (method.challenge if method.find(ex) is None else method.challenge_again for method in self._methods)
        raise Unauthorized("The credentials are not valid here.", reason=refusals[0].reason, headers=_headers(sent))

    def _require(self, who: identity.Identity) -> None:
        unmet = self._requirement.unmet(who)
        if unmet is not None:
            headers = _headers(method.challenge_scope for method in self._methods)
            raise Forbidden(f"This needs {unmet.needs}.", reason=unmet.reason, headers=headers, fields=unmet.fields)


def _headers(challenges: Any) -> list[tuple[str, str]]:
    """Each challenge once, in a field of its own: there are clients that read only the first of one line."""
    return [("WWW-Authenticate", challenge) for challenge in dict.fromkeys(challenges) if challenge]


def _both(first: identity.Identity, second: identity.Identity) -> identity.Identity:
    """The consumer of the first, with the groups and claims of both; where they disagree the first is right."""
    groups = (*first.groups, *(group for group in second.groups if group not in first.groups))
    return identity.Identity(first.consumer, groups, {**second.claims, **first.claims})
