"""Whose requests count together: the `by:` of limits, and the key that a request counts under.

A request that does not say who it is (no such header, nobody authenticated, a body that is not JSON) counts by its client's address: never
in one bucket of strangers, where one could use up what belongs to all of them. No value that a client sent is kept: keys hold digests.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from hashlib import blake2b
from ipaddress import IPv6Address
from operator import attrgetter
from typing import Annotated, Any, Literal, TypeAlias
from unicodedata import normalize
from urllib.parse import parse_qsl

import orjson
from pydantic import Field, GetJsonSchemaHandler, PlainValidator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from gateway.config.header import HeaderName
from gateway.config.settings import OneOrMany, Settings, kind
from gateway.errors import InvalidJson, TooComplex
from gateway.exchange import Exchange

IPV6_PREFIX = 56
"""A site has a network of this length (RFC 6177), so that an address, or a /64, costs it nothing."""
ADDRESSES = 4096
"""IPv6 addresses whose network is remembered: parsing one takes ten times as long as a decision."""
LONGEST = 1000
"""Characters of a value that tell it apart. No name of an account has more, and a body may."""
BODY = "body."

Key: TypeAlias = Callable[[Exchange], str]


class Header(Settings):
    """The value of a request header. Nobody has verified it: a client that changes it starts anew, so never let it be the only limit."""

    header: HeaderName = Field(description="The header's name. A request without it, or with two of it, is counted by its client.")


class Claim(Settings):
    """A claim of the token that an `authenticate` above has verified."""

    claim: str = Field(min_length=1, description="The claim's name. A request without it is counted by its client.")


class Param(Settings):
    """A parameter of the route's path."""

    param: str = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", description="The parameter's name, as in the path /leads/{id}.")


class Query(Settings):
    """A parameter of the query, which nobody has verified."""

    query: str = Field(min_length=1, description="The parameter's name. A request without it, or with two of it, is counted by its client.")


class Body(Settings):
    """A field of the request's JSON body: written `body.email`, or `body.user.email` for one inside another."""

    body: str = Field(
        pattern=r"^[^.]+(\.[^.]+)*$",
        description="The field's name. A request without it, or whose body is not JSON, is counted by its client.",
    )


FORMS: dict[str, type[Header | Claim | Param | Query | Body]] = {
    "header": Header, "claim": Claim, "param": Param, "query": Query, "body": Body,
}  # fmt: skip
WORDS = ("client", "consumer", "route")
CLIENT = ("ip", "address", "remote_addr", "client_ip", "remote_ip", "ip_address")
CONSUMER = ("user", "account", "username", "sub", "credential")
"""What people write for them."""
_PARTED = re.compile(r"(header|claim|param|query|body)s?[.:$=]\s?(.+)", re.IGNORECASE)
_HEADER = re.compile(r"[a-z0-9]+(-[a-z0-9]+)+|authorization")
Identity = Literal["client", "consumer", "route"] | Header | Claim | Param | Query | Body


def identity(value: Any) -> Identity:
    """Raises ValueError with what may be written."""
    if isinstance(value, str) and value in WORDS:
        return value  # type: ignore[return-value]
    if isinstance(value, str) and value.startswith(BODY) and re.fullmatch(r"[^.]+(\.[^.]+)*", value[len(BODY) :]):
        return Body(body=value[len(BODY) :])
    for name, form in FORMS.items():
        if isinstance(value, dict) and name in value:
            return form.model_validate(value)
    forms = "{header: NAME}, {claim: NAME}, {param: NAME}, {query: NAME}"
    raise ValueError(f"expected client, consumer, route, body.NAME, {forms} or a list of these, got {kind(value)}{_meant(value)}")


def _meant(value: Any) -> str:
    """The hint behind it."""
    word = value.lower() if isinstance(value, str) else ""
    if word in CLIENT:
        return "; write client: its address"
    if word in CONSUMER:
        return "; write consumer: who an authenticate above has found it to be"
    if word in FORMS:
        return f"; write {'body.NAME' if word == 'body' else f'{{{word}: NAME}}'}"
    if (parted := _PARTED.fullmatch(value) if isinstance(value, str) else None) is not None and parted[1].lower() in FORMS:
        name = parted[2].strip().replace(" ", "-")
        return f"; write {f'body.{name}' if parted[1].lower() == 'body' else f'{{{parted[1].lower()}: {name}}}'}"
    return f"; write {{header: {value}}}" if _HEADER.fullmatch(word) else ""


class _Forms:
    """What editors are told of an identity, when a JSON Schema is asked for."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        words = [{"enum": list(WORDS)}, {"type": "string", "pattern": r"^body\.[^.]+(\.[^.]+)*$"}]
        return {"anyOf": [*words, *(form.model_json_schema() for form in FORMS.values())]}


Identities = OneOrMany[Annotated[Identity, PlainValidator(identity), _Forms()]]


def reads_body(identities: Iterable[Identity]) -> bool:
    """Whether the body must have been read before a key is asked for."""
    return any(isinstance(one, Body) for one in identities)


def verified(identities: Iterable[Identity]) -> bool:
    """Whether a client cannot choose another key by what it sends."""
    return all(isinstance(one, str | Claim) for one in identities)


def missing_parameter(identities: Iterable[Identity], path: str) -> str | None:
    """The first parameter that the template of the route's path does not have."""
    return next((one.param for one in identities if isinstance(one, Param) and f"/{{{one.param}}}" not in path), None)


def key_of(identities: Iterable[Identity], ipv6_prefix: int = IPV6_PREFIX) -> Key:
    """A function from a request to its key. For a body's field the body must have been read: `reads_body` tells."""
    client = _client(ipv6_prefix)
    parts = [_part(one, client) for one in identities]
    return parts[0] if len(parts) == 1 else lambda ex: " ".join([part(ex) for part in parts])


def _client(ipv6_prefix: int) -> Key:
    network = lru_cache(maxsize=ADDRESSES)(partial(_network, ipv6_prefix))

    def client(ex: Exchange) -> str:
        address = ex.client
        return network(address) if ":" in address else address

    return client


def _part(identity: Identity, client: Key) -> Key:
    if identity == "client":
        return client
    if identity == "route":
        return attrgetter("route")
    if identity == "consumer":
        return partial(_consumer, client)
    find = _finder(identity)

    def value(ex: Exchange) -> str:
        found = find(ex)
        return client(ex) if found is None else digest(found)

    return value


def _finder(identity: Identity) -> Callable[[Exchange], str | None]:
    match identity:
        case Header(header=name):
            return lambda ex: _only(ex.headers.getall(name, ()))
        case Claim(claim=name):
            return lambda ex: _text(ex.claims.get(name))
        case Param(param=name):
            return lambda ex: _folded(ex.params.get(name))
        case Query(query=name):
            return lambda ex: _folded(_only([value for key, value in parse_qsl(ex.query, keep_blank_values=True) if key == name]))
        case Body(body=names):
            path = names.split(".")
            return lambda ex: _folded(_text(_field(ex, path)))
    raise AssertionError(identity)


_PLAIN = re.compile(r"[A-Za-z0-9._@+-]{1,64}")


def _consumer(client: Key, ex: Exchange) -> str:
    name = ex.consumer
    if not name:
        return client(ex)
    return f"consumer:{name if _PLAIN.fullmatch(name) else digest(name)}"


def _only(values: Any) -> str | None:
    """With two of them nobody knows which one the upstream believes."""
    return values[0] if len(values) == 1 and values[0] else None


def _text(value: Any) -> str | None:
    """7, 7.0 and "7" are one to many services, so they are here."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return None if value is None or isinstance(value, bool | dict | list) or value == "" else str(value)


def _folded(text: str | None) -> str | None:
    """Spellings that a service may take for one account are one: else each is worth a limit of its own to whoever guesses."""
    return normalize("NFKC", text[:LONGEST]).strip().casefold() or None if text else None


def _field(ex: Exchange, path: list[str]) -> Any:
    try:
        value = ex.json_at_hand()
    except (InvalidJson, TooComplex):
        # A service may read it all the same, and as a rule the last of two members: no spelling of a body escapes the account's limit.
        try:
            value = orjson.loads(ex.body_at_hand or b"")
        except orjson.JSONDecodeError:
            return None
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def digest(text: str) -> str:
    """Keys stay short however long the value is, and no credential is kept."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _network(prefix: int, address: str) -> str:
    """The network of an IPv6 address; an IPv4 address that came mapped into one is itself (RFC 4291, section 2.5.5.2)."""
    try:
        parsed = IPv6Address(address)
    except ValueError:
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    host_bits = 128 - prefix
    return f"{IPv6Address(int(parsed) >> host_bits << host_bits)}/{prefix}"
