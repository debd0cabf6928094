"""The base of every block of settings, and the words an operator writes in them: 250ms, 16KiB, one or several, a file."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Strict, ValidationInfo, model_validator
from pydantic.json_schema import WithJsonSchema

DURATIONS: dict[str, float] = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
SIZES = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "kB": 1000, "MB": 10**6, "GB": 10**9}
RATES = {"s": 1, "m": 60, "h": 3600, "d": 86400}
"""Seconds in the time of a rate."""
_AMOUNT = r"\d{1,15}(?:\.\d{1,9})?"
_PERCENT = re.compile(rf"({_AMOUNT})\s?%", re.ASCII)
_RATE = re.compile(rf"({_AMOUNT})\s?/\s?([smhd])", re.ASCII)
_QUANTITY = re.compile(rf"({_AMOUNT})\s?([A-Za-z]*)", re.ASCII)
_COMPOUND = re.compile(r"(?:(\d{1,6})d)?\s?(?:(\d{1,6})h)?\s?(?:(\d{1,6})m)?\s?(?:(\d{1,6})s)?", re.ASCII)
_ISO = re.compile(r"P(?:(\d{1,6})D)?(?:T(?=\d)(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,6})S)?)?", re.ASCII)
"""ISO 8601, section 5.5.2: PT5M."""
_CLOCK = re.compile(r"(\d{1,3}):(\d\d):(\d\d)", re.ASCII)
_WEEKS = re.compile(r"(\d{1,4}) ?(?:w|wk|wks|week|weeks)", re.ASCII | re.IGNORECASE)
_USERINFO = re.compile(r"(?<=//)[^/@\s]+(?=@)")
LONGEST = 36_500 * 86400.0
"""Seconds: a hundred years. Longer ones are a slip of the finger, and beyond what the clocks of some systems can wait for."""
LONGEST_SHOWN = 100
"""Characters of a value that are told of it."""
LARGEST = 1 << 50
"""Bytes: one pebibyte."""
_SPELT = {
    "ms": ("msec", "msecs", "millis", "millisecond", "milliseconds"),
    "s": ("sec", "secs", "second", "seconds"),
    "m": ("min", "mins", "minute", "minutes"),
    "h": ("hr", "hrs", "hour", "hours"),
    "d": ("day", "days"),
    "B": ("byte", "bytes"),
    "KiB": ("k", "kb", "kib", "ki", "kilobyte", "kilobytes"),
    "MiB": ("m", "mb", "mib", "mi", "megabyte", "megabytes"),
    "GiB": ("g", "gb", "gib", "gi", "gigabyte", "gigabytes"),
}
"""What people write for a unit, in lower case."""


_SPELT_ONE = {word: unit for unit, words in _SPELT.items() if unit in DURATIONS for word in words}


class Settings(BaseModel):
    """Frozen, and nothing unknown gets in: a misspelt key is a mistake that is told, never ignored."""

    # Most blocks stand in one that is validated with all that is in it: what would validate them alone is built if somebody asks for it.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)

    shorthand: ClassVar[str] = ""
    """The setting that a bare value stands for: `body_limit: 10MiB` is `body_limit: {max: 10MiB}`."""

    example: ClassVar[str] = ""
    """What its block is written like, as in `limit: 100, window: 1m`: told to who writes something else in its place."""

    @model_validator(mode="before")
    @classmethod
    def _expand(cls, value: Any) -> Any:
        return value if isinstance(value, dict | BaseModel) or not cls.shorthand else {cls.shorthand: value}


class Told(ValueError):
    """A mistake whose message knows what is meant, whatever its value looks like elsewhere: `{{ }}` where an expression belongs."""


class At(Told):
    """A mistake in one setting that only shows beside others: `path` are the keys that lead there from the block that noticed."""

    def __init__(self, path: tuple[str | int, ...], message: str) -> None:
        super().__init__(message)
        self.path = path


class Several(Told):
    """Mistakes below one setting, each with its place."""

    def __init__(self, parts: Sequence[At]) -> None:
        super().__init__("; ".join(map(str, parts)))
        self.parts = tuple(parts)


def kind(value: Any) -> str:
    """What an operator calls a value of the policy: `a list`, `"text"`, `8080`, `nothing`."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case str():
            value = _USERINFO.sub("***", value)  # a password in a URL
            value = value if len(value) <= LONGEST_SHOWN else f"{value[:LONGEST_SHOWN]}..."
            return f'"{value if value.isprintable() else value.encode("unicode_escape").decode()}"'
        case dict():
            return "a mapping"
        case list() | tuple():
            return "a list"
        case _:
            return str(value)


def _is_amount(value: Any) -> bool:
    """A number to which only its unit is missing."""
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0 and math.isfinite(value)


def _quantity(value: Any, units: dict[str, Any], noun: str, bare: tuple[str, ...], example: str) -> float:
    if _is_amount(value) or (isinstance(value, str) and value.isdecimal()):
        raise ValueError(f"a bare number is no {noun}; write the unit, as in {' or '.join(f'{value}{unit}' for unit in bare)}")
    match = _QUANTITY.fullmatch(value) if isinstance(value, str) else None
    if match is None or match[2] not in units:
        meant = _meant(value.strip(), units) if isinstance(value, str) else ""
        instead = f"write {meant}" if meant else f"write a number and one of {', '.join(units)}, as in {example}"
        raise ValueError(f"{kind(value)} is no {noun}; {instead}")
    return float(match[1]) * float(units[match[2]])


def _meant(text: str, units: dict[str, Any]) -> str:
    """`15min`, `15M`, `1,5s` and `1h30m` as they are written here; "" when it cannot be told."""
    if "s" in units and (weeks := _WEEKS.fullmatch(text)) is not None:
        return f"{7 * int(weeks[1])}d"
    if (match := _QUANTITY.fullmatch(text.replace(",", "."))) is not None:
        word = match[2].lower()
        found = [unit for unit in units if word == unit.lower() or word in _SPELT.get(unit, ())]
        return f"{match[1]}{found[0]}" if found and word else ""
    if "s" not in units or not text:
        return ""
    if text.lower() in _SPELT_ONE:
        return f"1{_SPELT_ONE[text.lower()]}"
    if (clock := _CLOCK.fullmatch(text)) is not None:
        parts: tuple[str | None, ...] = (None, *clock.groups())
    elif (compound := _COMPOUND.fullmatch(text) or _ISO.fullmatch(text)) is not None:
        parts = compound.groups()
    else:
        return ""
    days, hours, minutes, seconds = (int(part or 0) for part in parts)
    total = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    return f"{total // 60}m" if total % 60 == 0 else f"{total}s"


def duration(value: Any) -> float:
    """Seconds from `250ms`, `15s`, `15m`, `1h` or `7d`. Raises ValueError with what to write instead."""
    seconds = _quantity(value, DURATIONS, "duration", ("s", "ms"), "15s")
    if seconds > LONGEST:
        raise ValueError(f"{kind(value)} is more than a hundred years; write 36500d at most")
    return seconds


def size(value: Any) -> int:
    """Bytes from `16KiB`, `1MiB` or `100B`. Raises ValueError with what to write instead."""
    size = int(_quantity(value, SIZES, "size", ("B", "KiB"), "15KiB"))
    if size > LARGEST:
        raise ValueError(f"{kind(value)} is more than any memory holds; write {LARGEST >> 30}GiB at most")
    return size


def percent(value: Any) -> float:
    """A share from 0.0 to 1.0 of `20%`. Raises ValueError with what to write instead."""
    match = _measure(value, _PERCENT, "percentage", "20%", "%")
    if float(match[1]) > 100:
        raise ValueError(f"{kind(value)} is more than the whole; write 100% at most")
    return float(match[1]) / 100


def rate(value: Any) -> float:
    """Times a second of `10/s`, `600/m`, `100/h` or `5/d`. Raises ValueError with what to write instead."""
    match = _measure(value, _RATE, "rate", "10/s, 600/m or 100/h", "/s")
    return float(match[1]) / RATES[match[2]]


def _measure(value: Any, form: re.Pattern[str], noun: str, example: str, unit: str) -> re.Match[str]:
    if _is_amount(value):
        meant = f"{value * 100:g}% or {value:g}%" if unit == "%" and 0 < value < 1 else f"{value}{unit}"
        raise ValueError(f"a bare number is no {noun}; write the unit, as in {meant}")
    match = form.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{kind(value)} is no {noun}; write a number and its unit, as in {example}")
    return match


def only_one(value: Any) -> Any:
    """Python takes true for 1, and pydantic with it. Raises ValueError."""
    if isinstance(value, bool):
        raise ValueError(f"expected 1, got {kind(value)}")
    return value


def file(value: Any, info: ValidationInfo) -> Path:
    """The absolute path of a file named relative to the policy's folder. Raises ValueError when it cannot be read."""
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError(f"expected the path of a file, got {kind(value)}")
    folder: Path = (info.context or {}).get("folder", Path())
    path = (folder / value).absolute()
    if (note := (info.context or {}).get("note")) is not None:
        note(path)
    if value.startswith(("http://", "https://")):
        raise ValueError(f"{kind(value)} is a URL; a file belongs here, and nothing is fetched; write the path of a copy")
    if value.startswith("-----BEGIN"):
        raise ValueError("this is what stands in a file; write the path of one that holds it")
    try:
        if path.is_dir():
            raise ValueError(f"{kind(value)} is a folder; write the path of a file")
        if not path.is_file():
            raise ValueError(f"no such file: {kind(value)}; a path is relative to the policy's folder")
        path.open("rb").close()
    except OSError as error:
        raise ValueError(f"{kind(value)} cannot be read: {error.strerror}") from error
    return path


def new_file(value: Any, info: ValidationInfo) -> Path:
    """The absolute path of a file named relative to the policy's folder, there or to be made. Raises ValueError when it is a folder."""
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError(f"expected the path of a file, got {kind(value)}")
    folder: Path = (info.context or {}).get("folder", Path())
    path = (folder / value).absolute()
    try:
        is_folder = value.endswith("/") or path.is_dir()
        above = next((one for one in path.parents if one.exists()), path.parent)  # what lacks below it can be made
    except OSError as error:  # a name too long
        raise ValueError(f"{kind(value)} cannot be a file: {error.strerror}") from error
    if is_folder:
        raise ValueError(f"{kind(value)} is a folder; write the path of a file")
    if not above.is_dir():
        raise ValueError(f"{kind(value)} lies below {above.name}, which is no folder; write another path")
    return path


def folder(value: Any, info: ValidationInfo) -> Path:
    """The absolute path of a folder named relative to the policy's. Raises ValueError when there is none.

    What lies in it is watched like the files of the policy: a change is read with the next one.
    """
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError(f"expected the path of a folder, got {kind(value)}")
    context = info.context or {}
    path: Path = (context.get("folder", Path()) / value).absolute()
    if not path.is_dir():
        raise ValueError(f"no such folder: {kind(value)}; a path is relative to the policy's folder")
    if (note := context.get("note")) is not None:
        for one in (path, *path.rglob("*")):
            note(one)
    return path


def listed(value: Any) -> Any:
    """One value as a list of one."""
    return value if isinstance(value, list | tuple) else (value,)


T = TypeVar("T")

Duration = Annotated[float, BeforeValidator(duration), WithJsonSchema({"type": "string", "pattern": r"^\d+(\.\d+)? ?(ms|s|m|h|d)$"})]
"""Seconds; written with its unit."""
Size = Annotated[int, BeforeValidator(size), WithJsonSchema({"type": "string", "pattern": r"^\d+(\.\d+)? ?(B|KiB|MiB|GiB|kB|MB|GB)$"})]
"""Bytes; written with its unit."""
Percent = Annotated[float, BeforeValidator(percent), WithJsonSchema({"type": "string", "pattern": r"^\d+(\.\d+)? ?%$"})]
"""A share of the whole, 0.0 to 1.0; written as a percentage."""
Rate = Annotated[float, BeforeValidator(rate), WithJsonSchema({"type": "string", "pattern": r"^\d+(\.\d+)? ?/ ?[smhd]$"})]
"""Times a second; written with its time."""
File = Annotated[Path, BeforeValidator(file), WithJsonSchema({"type": "string"})]
"""A readable file; written relative to the policy's folder, here absolute."""
NewFile = Annotated[Path, BeforeValidator(new_file), WithJsonSchema({"type": "string"})]
"""A file to be written; written relative to the policy's folder, here absolute."""
Folder = Annotated[Path, BeforeValidator(folder), WithJsonSchema({"type": "string"})]
"""A folder to be read; written relative to the policy's folder, here absolute."""
One = Annotated[Literal[1], BeforeValidator(only_one)]
"""The number 1, of which there may be more in a later version."""
Many = Annotated[tuple[T, ...], Strict(False)]
"""A list, kept as a tuple."""
OneOrMany = Annotated[tuple[T, ...], Strict(False), BeforeValidator(listed)]
"""One value or a list of them, kept as a tuple."""
