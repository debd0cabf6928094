"""`balance` of an upstream: how one of its targets is chosen."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from gateway.by import Identities, reads_body
from gateway.config.settings import Settings


def _without_body(by: Identities) -> Identities:
    if reads_body(by):
        raise ValueError("no body is read to choose a target; write client, consumer, or {header: NAME}")
    return by


class Hash(Settings):
    """Whose requests go to one target."""

    by: Annotated[Identities, AfterValidator(_without_body)] = Field(
        min_length=1, description="As the `by` of limits, without bodies: `client`, `consumer`, `{header: NAME}`, or a list of these."
    )


class HashBalance(Settings):
    """The same target for the same client, as long as it is there."""

    example: ClassVar[str] = "hash: {by: client}"

    hash: Hash = Field(description="Whose requests go to one target.")


Balance = Literal["least_request", "round_robin"] | HashBalance
