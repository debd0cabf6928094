"""The file of API keys: what it says of each, never the key itself; and new keys."""

from __future__ import annotations

import datetime
import hashlib
import json
import re
import secrets
from collections.abc import Iterable
from contextlib import suppress
from typing import Annotated, Any, NamedTuple

import yaml
from pydantic import AfterValidator, BeforeValidator, Field, ValidationError

from gateway.config.settings import Many, Settings
from gateway.config.wording import words

PREFIX = "gwk"
"""So that scanners of repositories and logs can tell what they have found."""
HEADER = (
    "# API keys. Each is kept as its SHA-256: it cannot be had back from it. `gateway keys` writes this file, other comments are lost.\n"
)

_ID = re.compile(r"[a-z0-9]{4,32}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


def is_id(value: str) -> bool:
    return _ID.fullmatch(value) is not None


def _id(value: str) -> str:
    if not is_id(value):
        raise ValueError("a key's id is 4 to 32 lower case letters and digits")
    return value


def _digest(value: str) -> str:
    if _DIGEST.fullmatch(value) is None:
        raise ValueError("expected a SHA-256 in hex, 64 digits; `gateway keys create` writes one")
    return value


def name(value: str) -> str:
    """A consumer or a group, as it may stand in logs and headers. Raises ValueError."""
    if not value or not value.isprintable() or value != value.strip() or len(value) > 200:
        raise ValueError("a name is 1 to 200 printable characters, without blanks around it")
    return value


def _time(value: Any) -> Any:
    """YAML has days and times, JSON has them in text (ISO 8601); a day begins at midnight, and what has no zone is in UTC."""
    if isinstance(value, str):
        with suppress(ValueError):
            value = datetime.datetime.fromisoformat(value)
    if isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
        value = datetime.datetime(value.year, value.month, value.day)
    if isinstance(value, datetime.datetime) and value.tzinfo is None:
        value = value.replace(tzinfo=datetime.UTC)
    return value


Name = Annotated[str, AfterValidator(name)]
Time = Annotated[datetime.datetime, BeforeValidator(_time)]


class About(Settings):
    """What anybody may know of one key."""

    id: Annotated[str, AfterValidator(_id)] = Field(description="Its public part, by which it is found, named in logs, and revoked.")
    consumer: Name = Field(description="Who asks with it.")
    groups: Many[Name] = Field((), description="The groups its consumer is in.")
    created: Time | None = Field(None, description="When it was made.")
    expires: Time | None = Field(None, description="From when on it is refused.")
    labels: dict[str, str] = Field({}, description="Anything else; a policy can ask for it as for claims of a token.")


class Key(About):
    """What is kept of one key."""

    sha256: Annotated[str, AfterValidator(_digest)] = Field(description="Of the whole key, in hex.")


class KeyFile(Settings):
    """All keys."""

    keys: Many[Key] = Field((), description="One for each key.")


class NewKey(NamedTuple):
    """The key itself, to be shown once, and what is kept of it."""

    text: str
    kept: Key


def digest(key: str) -> bytes:
    """SHA-256 of the whole key: of 256 random bits nothing slower is needed, for they cannot be guessed."""
    return hashlib.sha256(key.encode(errors="surrogatepass")).digest()


def id_of(key: str) -> str:
    """The public part of what may be a key; "" when it is none."""
    parts = key.split("_", 2)
    return parts[1] if len(parts) == 3 and parts[0] == PREFIX else ""


def new(
    consumer: str, groups: Iterable[str], created: datetime.datetime, expires: datetime.datetime | None, labels: dict[str, str]
) -> NewKey:
    """Raises ValidationError when consumer or groups are no names."""
    id_ = secrets.token_hex(6)
    text = f"{PREFIX}_{id_}_{secrets.token_urlsafe(32)}"
    kept = Key(id=id_, consumer=consumer, sha256=digest(text).hex(), groups=tuple(groups), created=created, expires=expires, labels=labels)
    return NewKey(text, kept)


def parse(content: bytes, file: str) -> tuple[Key, ...]:
    """The keys in the file. Raises ValueError with the file's name and each place where something is wrong."""
    try:
        value = yaml.safe_load(content)
        if value is not None and not isinstance(value, dict):
            raise ValueError(f"{file} is no file of API keys; gateway keys create writes one")
        keys = KeyFile.model_validate({} if value is None else value).keys
    except yaml.YAMLError as error:
        raise ValueError(f"{file}: {yaml_mistake(error)}") from None
    except ValidationError as error:
        raise ValueError(f"{file}: {mistakes(error)}") from None
    seen: set[str] = set()
    for key in keys:
        if key.id in seen:
            raise ValueError(f"{file}: two keys have the id {key.id}")
        seen.add(key.id)
    return keys


def shown(key: About) -> dict[str, Any]:
    """What anybody may know of it, as JSON values."""
    return key.model_dump(mode="json", exclude={"sha256"})


def note(key: Key) -> str:
    """All but its id, as a store keeps it beside that."""
    return key.model_dump_json(exclude={"id"}, exclude_defaults=True)


def noted(id_: str, note: str) -> Key:
    """What `note` made. Raises ValidationError for what it cannot have made."""
    try:
        value = json.loads(note)
    except ValueError:
        value = None
    return Key.model_validate({**value, "id": id_} if isinstance(value, dict) else value)


def text(keys: Iterable[Key]) -> str:
    """The file that holds these."""
    return HEADER + yaml.safe_dump(
        {"keys": [key.model_dump(mode="python", exclude_defaults=True) | {"groups": list(key.groups)} for key in keys]},
        sort_keys=False,
        allow_unicode=True,
        width=1000,
    )


def yaml_mistake(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    where = "" if mark is None else f"line {mark.line + 1}, column {mark.column + 1}: "
    return where + (getattr(error, "problem", None) or "not YAML")


def mistakes(error: ValidationError) -> str:
    """Each place and what is wrong there, in one line. No value is told: it may be a secret."""
    told = []
    for one in error.errors():
        steps = one["loc"][:-1] if one["type"] == "extra_forbidden" else one["loc"]  # a hash without quotes has become a key
        place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps).lstrip(".")
        told.append(f"{place or 'the whole'}: {words(one, 'something else', None, ())[0]}")
    return ", ".join(told)
