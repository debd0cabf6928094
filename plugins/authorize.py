"""Who of those that are known may pass: by consumer, group and claim. `authenticate` above finds out who asks.

Several entries add up: a request must pass all of them. Nobody is told 401, for credentials would help; somebody else 403.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import model_validator

from gateway.plugin import CHALLENGE, Exchange, Field, Forbidden, Host, Many, OneOrMany, Plugin, Settings, Unauthorized, identity

CONDITIONS = ("groups", "claims", "consumers")


class ConditionSettings(Settings):
    """What is asked of who asks. All that is given must hold."""

    shorthand: ClassVar[str] = "groups"

    groups: OneOrMany[str] = Field((), description="Groups of which the consumer must be in one.")
    claims: dict[str, OneOrMany[str | int | bool]] = Field(
        {}, description="Claims that must have this value, or one of these; of an API key its labels are meant. `a.b` is b in a."
    )
    consumers: OneOrMany[str] = Field((), description="Consumers of which it must be one.")

    @model_validator(mode="after")
    def _asks_something(self) -> ConditionSettings:
        if not self.model_fields_set or not any(getattr(self, name) for name in self.model_fields_set):
            raise ValueError(f"nothing is asked; write {', '.join(CONDITIONS)}")
        return self

    def requirement(self) -> identity.Requirement:
        return identity.Requirement(self.groups, self.claims, self.consumers)


class AuthorizeSettings(ConditionSettings):
    all: Many[ConditionSettings] = Field((), description="More conditions that all must hold, as to be in two groups.")
    any: Many[ConditionSettings] = Field((), description="Conditions of which one must hold.")
    none: OneOrMany[ConditionSettings] = Field(
        (), alias="not", description="A condition, or several, of which none may hold, as to be in the group suspended."
    )


class Authorize(Plugin[AuthorizeSettings]):
    def __init__(self, settings: AuthorizeSettings, host: Host) -> None:
        super().__init__(settings, host)
        own = [settings.requirement()] if any(getattr(settings, name) for name in CONDITIONS) else []
        self._all = (*own, *(one.requirement() for one in settings.all))
        self._any = tuple(one.requirement() for one in settings.any)
        self._none = tuple(one.requirement() for one in settings.none)

    def on_request(self, ex: Exchange) -> None:
        if ex.consumer is None:
            raise Unauthorized("Who you are must be known here.", reason="nobody has authenticated", headers=[CHALLENGE])
        for one in self._all:
            if (unmet := one.unmet(ex)) is not None:
                raise Forbidden(f"This needs {unmet.needs}.", reason=unmet.reason, fields=unmet.fields)
        if self._any:
            self._need_one(ex)
        for one in self._none:
            if one.unmet(ex) is None:
                raise Forbidden("This is not for you.", reason=f"{ex.consumer} is whom `not` excludes")

    def _need_one(self, ex: Exchange) -> None:
        missing: list[identity.Unmet] = []
        for one in self._any:
            unmet = one.unmet(ex)
            if unmet is None:
                return
            missing.append(unmet)
        needs = ", or ".join(dict.fromkeys(unmet.needs for unmet in missing))
        groups = sorted({group for unmet in missing for group in unmet.fields.get("groups", ())})
        raise Forbidden(f"This needs {needs}.", reason=missing[0].reason, fields={"groups": groups} if groups else {})

    def explain(self, ex: Exchange) -> str:
        self.on_request(ex)
        return f"{ex.consumer} may pass"
