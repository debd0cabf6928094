"""`server.observe` and `server.admin`: where the gateway can be looked at, and acted on, apart from traffic."""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import Field, model_validator

from gateway.config.address import Address, address, is_loopback
from gateway.config.settings import Settings
from gateway.config.token import Token


class Observe(Settings):
    """The port to read from."""

    shorthand: ClassVar[str] = "address"

    address: Address = Field(description="Where to listen: `127.0.0.1:9191`, or `0.0.0.0:9191` for a Prometheus elsewhere.")


class Admin(Settings):
    """The port to act through."""

    shorthand: ClassVar[str] = "address"

    address: Address = Field(description="Where to listen: `127.0.0.1:9192`.")
    token: Token | None = Field(None, description="Who asks sends `Authorization: Bearer TOKEN`. Needed unless the address is loopback.")

    @model_validator(mode="after")
    def _is_guarded(self) -> Self:
        if self.token is None and not is_loopback(address(self.address)[0]):
            raise ValueError(
                f"whoever reaches {self.address} could act without a token; "
                f'write {{address: {self.address}, token: "${{ADMIN_TOKEN}}"}}, or a loopback address'
            )
        return self
