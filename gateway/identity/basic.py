"""Names and passwords (RFC 7617): compared in a thread, a few at once, and remembered for a moment."""

from __future__ import annotations

import asyncio
import binascii
import hmac
import secrets
import unicodedata
from base64 import b64decode
from functools import partial
from typing import TYPE_CHECKING, Annotated, NamedTuple

import yaml
from multidict import istr
from pydantic import AfterValidator, Field, ValidationError

from gateway.config.settings import Duration, File, Many, Settings
from gateway.exchange import Exchange
from gateway.identity.keyfile import Name, mistakes, yaml_mistake
from gateway.identity.method import REALM, Identity, Method, Refusal
from gateway.identity.passwords import Check, check_of

if TYPE_CHECKING:
    from gateway.plugin import Host

AT_ONCE = 4  # passwords compared at a time, for each takes a core and memory
WAITING = 32  # more wait for that; those beyond are refused
WITHIN = 2.0  # seconds, for waiting and comparing
REMEMBERED = 1024
LONGEST = 1024  # characters of name and password
SCHEME = "basic "
AUTHORIZATION = istr("Authorization")


def _realm(value: str) -> str:
    if not value.isascii() or not value.isprintable() or '"' in value or "\\" in value:
        raise ValueError("a realm is printable ASCII, without quotes and backslashes")
    return value


class BasicSettings(Settings):
    """Names and passwords that browsers ask for. Only over TLS: they travel in clear."""

    file: File = Field(description="The users, a YAML file with name, password (a hash that `gateway password` makes) and groups of each.")
    realm: Annotated[str, AfterValidator(_realm)] = Field(REALM, description="What browsers show when they ask.")
    remember: Duration = Field(60.0, ge=0, le=3600, description="How long a right password need not be compared again; 0s: not at all.")
    strip: bool = Field(True, description="Take the password off what goes upstream.")


class User(Settings):
    """One who may sign in."""

    name: Name = Field(description="Without a colon.")
    password: str = Field(description="A hash: scrypt, bcrypt or argon2.")
    groups: Many[Name] = Field((), description="The groups the user is in.")


class Users(Settings):
    """All who may sign in."""

    users: Many[User] = ()


class _Known(NamedTuple):
    check: Check
    identity: Identity


class Basic(Method):
    later = "would compare the password"

    def __init__(self, settings: BasicSettings, host: Host) -> None:
        """Raises ValueError when the file is not right."""
        self.challenge = self.challenge_again = f'Basic realm="{settings.realm}", charset="UTF-8"'
        self._host = host
        self._file = settings.file
        self._remember = settings.remember
        self._strips = settings.strip
        self._secret = secrets.token_bytes(32)
        self._right: dict[bytes, tuple[Identity, float]] = {}
        self._under_way: dict[bytes, asyncio.Future[Identity | Refusal]] = {}
        self._free = asyncio.Semaphore(AT_ONCE)
        self._load(settings.file.read_bytes())

    def _load(self, content: bytes) -> None:
        self._users = users(content, self._file.name)
        # The password of an unknown name is compared too, with that of anybody, so that it takes as long as a wrong one.
        self._anybody = next(iter(self._users.values()), None)
        self._right.clear()

    async def start(self) -> None:
        self._host.watch(self._file, self._load)

    def find(self, ex: Exchange) -> str | None:
        value = ex.headers.get(AUTHORIZATION)
        if value is None or (value[:6].lower() != SCHEME and value.lower() != "basic"):
            return None
        return value[6:].strip(" ")

    def check(self, credential: str) -> Identity | Refusal | None:
        found = self._right.get(self._digest(credential))
        if found is not None and self._host.clock() < found[1]:
            return found[0]
        return Refusal("malformed Basic credentials") if _pair(credential) is None else None

    async def check_later(self, credential: str) -> Identity | Refusal:
        pair = _pair(credential)
        if pair is None:
            return Refusal("malformed Basic credentials")
        digest = self._digest(credential)
        if (under_way := self._under_way.get(digest)) is not None:  # the same came twice: compared once
            return await asyncio.shield(under_way)
        if len(self._under_way) >= AT_ONCE + WAITING:
            return Refusal("too many passwords to compare", is_outage=True)
        self._under_way[digest] = outcome = asyncio.get_running_loop().create_future()
        self._host.spawn(self._decide(digest, pair, outcome), "comparing a password")
        return await asyncio.shield(outcome)

    def _digest(self, credential: str) -> bytes:
        """Keyed: what is remembered here is no quick hash of a password."""
        return hmac.digest(self._secret, credential.encode(errors="surrogatepass"), "sha256")

    async def _decide(self, digest: bytes, pair: tuple[str, str], outcome: asyncio.Future[Identity | Refusal]) -> None:
        users = self._users
        found: Identity | Refusal = Refusal("no comparison of passwords within the time for it", is_outage=True)
        try:
            async with asyncio.timeout(WITHIN), self._free:
                found = await self._host.run_blocking(partial(self._compare, *pair))
        except TimeoutError:
            pass
        finally:
            del self._under_way[digest]
            outcome.set_result(found)
        if isinstance(found, Identity) and users is self._users:
            self._right.pop(digest, None)
            while len(self._right) >= REMEMBERED:
                del self._right[next(iter(self._right))]
            self._right[digest] = (found, self._host.clock() + self._remember)

    def _compare(self, name: str, password: str) -> Identity | Refusal:
        known = self._users.get(name)
        compared = known or self._anybody
        is_right = compared is not None and compared.check(password.encode())
        return known.identity if known is not None and is_right else Refusal("wrong name or password")

    def strip(self, ex: Exchange) -> None:
        if self._strips and self.find(ex) is not None:
            ex.headers.popall(AUTHORIZATION, None)


def users(content: bytes, file: str) -> dict[str, _Known]:
    """By name. Raises ValueError with the file's name and what is wrong in it, without any hash."""
    try:
        value = yaml.safe_load(content)
        listed = Users.model_validate({} if value is None else value).users
    except yaml.YAMLError as error:
        raise ValueError(f"{file}: {yaml_mistake(error)}") from None
    except ValidationError as error:
        raise ValueError(f"{file}: {mistakes(error)}") from None
    known: dict[str, _Known] = {}
    for user in listed:
        name = unicodedata.normalize("NFC", user.name)
        if ":" in name or name in known:
            raise ValueError(f"{file}: {'a name has no colon' if ':' in name else 'this name stands there twice'}: {user.name}")
        try:
            known[name] = _Known(check_of(user.password), Identity(user.name, user.groups))
        except ValueError as error:
            raise ValueError(f"{file}: the password of {user.name}: {error}") from None
    return known


def _pair(credential: str) -> tuple[str, str] | None:
    """Name and password: UTF-8, in one of its normal forms, the password with whatever colons it has (RFC 7617, section 2)."""
    try:
        text = unicodedata.normalize("NFC", b64decode(credential, validate=True).decode())
    except (binascii.Error, ValueError):
        return None
    name, colon, password = text.partition(":")
    is_whole = colon and len(text) <= LONGEST and not any(unicodedata.category(one) == "Cc" for one in text)
    return (name, password) if is_whole else None
