"""The `store` block of a policy: where counters are kept."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic.json_schema import WithJsonSchema
from pydantic_core import InitErrorDetails, PydanticCustomError

from gateway.config.settings import File, Many, Settings, kind
from gateway.store.redis import address

MEMORY = "memory://"
PATTERN = r"^(memory://$|rediss?://|unix:///|rediss?\+sentinel://|\$\{)"
"""Of a url, for editors."""
APART = ("host", "port", "sentinels", "master", "username", "password", "db", "tls", "ca")


class StoreSettings(Settings):
    """Where counters are kept."""

    shorthand: ClassVar[str] = "url"

    url: Annotated[str, WithJsonSchema({"type": "string", "pattern": PATTERN})] = Field(
        MEMORY,
        repr=False,
        description="`memory://`: in this process, lost when it ends. Redis or Valkey: `redis://user:password@host:6379/0`, with TLS "
        "`rediss://`, on a socket `unix:///run/redis.sock`, found by sentinels `redis+sentinel://host1,host2/mymaster`.",
    )
    host: str | None = Field(None, min_length=1, description="The host of a Redis, in place of `url`.")
    port: int = Field(address.PORT, ge=1, le=65535, description="Its port.")
    sentinels: Many[str] = Field((), description="Sentinels, as `host` or `host:port`, in place of `host`: they are asked for `master`.")
    master: str = Field("", description="The name by which the sentinels know it.")
    sentinel_password: str | None = Field(None, repr=False, description="What the sentinels want, if anything, beside a `url`, too.")
    username: str | None = Field(None, description="The user to log in as, where the server has several.")
    password: str | None = Field(None, repr=False, description="The password; write `${NAME}` or `${file:path}`, never itself.")
    db: int = Field(0, ge=0, le=65535, description="The number of its database.")
    tls: bool = Field(False, description="Speak TLS to it.")
    ca: File | None = Field(None, description="A PEM file of the authorities that may vouch for it; without it, the system's.")
    on_failure: Literal["local", "open", "closed"] = Field(
        "local",
        description="What limits do while it is away: local goes on from the last count with a fair share, open admits all, closed "
        "answers 503. A limit may say otherwise.",
    )

    @model_validator(mode="before")
    @classmethod
    def _is_one_place(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        given = [key for key in APART if value.get(key) is not None]
        wrong: list[tuple[str, str]] = []
        if value.get("url") is not None:
            wrong = [(key, "the url says where the store is; write one of the two") for key in given]
        elif given and not value.get("host") and not value.get("sentinels"):
            wrong = [(given[0], "this belongs to a Redis, and none is named; write host, or sentinels and master")]
        elif value.get("sentinels"):
            wrong = [(key, "sentinels tell where the store is; write one of the two") for key in given if key in ("host", "port")]
            wrong += [] if value.get("master") else [("sentinels", "the name that they know it by is missing; write master")]
        elif value.get("master") is not None:
            wrong = [("master", "only sentinels know it by a name; write sentinels in place of host")]
        sentinels = value.get("sentinels") or "+sentinel://" in str(value.get("url"))
        if value.get("sentinel_password") is not None and not sentinels and not wrong:
            wrong = [("sentinel_password", "there are no sentinels to tell it; write password for the store's own")]
        if not value.get("tls") and value.get("ca") is not None and not wrong:
            wrong = [("ca", "without TLS nobody is vouched for; write tls: true")]
        if wrong:
            errors = [InitErrorDetails(type=PydanticCustomError("store", why), loc=(key,), input=None) for key, why in wrong]
            raise ValidationError.from_exception_data("store", errors)
        return value

    @field_validator("password", "sentinel_password", mode="before")
    @classmethod
    def _is_text(cls, value: Any) -> Any:
        if isinstance(value, bool | int | float):
            raise ValueError("a password is text; write it in quotes")  # and not what it is
        return value

    @field_validator("url")
    @classmethod
    def _is_url(cls, value: str) -> str:
        if value != MEMORY:
            address.parse(value)
        return value

    @field_validator("host")
    @classmethod
    def _is_host(cls, value: str) -> str:
        if "/" in value or "@" in value or (":" in value and "[" not in value and value.count(":") == 1):
            raise ValueError(f"expected a host's name or address, got {kind(value)}; a port is written as port, a URL as url")
        return value

    @field_validator("sentinels")
    @classmethod
    def _are_hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for host in value:
            address.host_and_port(host, address.SENTINEL_PORT)
        return value

    @property
    def redis(self) -> address.Address | None:
        """None: in memory."""
        if self.host is None and not self.sentinels:
            found = None if self.url == MEMORY else address.parse(self.url)
            return found if found is None or not self.sentinel_password else replace(found, sentinel_password=self.sentinel_password)
        return address.Address(
            host=self.host or "",
            port=self.port,
            username=self.username or "",
            password=self.password or "",
            db=self.db,
            tls=self.tls,
            ca=str(self.ca or ""),
            sentinels=tuple(address.host_and_port(host, address.SENTINEL_PORT) for host in self.sentinels),
            master=self.master,
            sentinel_password=self.sentinel_password or "",
        )
