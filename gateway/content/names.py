"""Names of members and fields that are not data to some who read them: JavaScript's prototypes, and MongoDB's operators."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

from gateway.content import html, text

PROTOTYPES = frozenset({"__proto__", "__defineGetter__", "__defineSetter__", "__lookupGetter__", "__lookupSetter__"})
OPERATORS = frozenset(
    {
        "$accumulator", "$addtoset", "$all", "$and", "$bit", "$bitsallclear", "$bitsallset", "$bitsanyclear", "$bitsanyset",
        "$comment", "$currentdate", "$each", "$elemmatch", "$eq", "$eval", "$exists", "$expr", "$function", "$geointersects",
        "$geowithin", "$graphlookup", "$gt", "$gte", "$in", "$inc", "$jsonschema", "$lookup", "$lt", "$lte", "$max", "$maxdistance",
        "$merge", "$min", "$mindistance", "$mod", "$mul", "$natural", "$ne", "$near", "$nearsphere", "$nin", "$nor", "$not",
        "$options", "$or", "$out", "$pop", "$position", "$pull", "$pullall", "$push", "$rand", "$regex", "$rename", "$set",
        "$setoninsert", "$size", "$slice", "$text", "$type", "$unionwith", "$unset", "$where",
    }
)  # fmt: skip
"""MongoDB's operators of queries and updates, and the stages that reach other collections, in lower case. Not those that OData
has too: $filter, $search, $count, $skip, $top."""
LONGEST = 256
"""Characters of a name that are looked at; a longer one is refused."""
TOO_LONG = f"its name is longer than {LONGEST} characters"
_STEP = re.compile(r"[.\[\]]+")
_PLAIN = re.compile(r"[\w.$:/~\[\]-]{1,64}")


def steps(name: str) -> list[str]:
    """`user[address].city`, as qs and PHP read the name of a form's field: user, address, city."""
    return [step for step in _STEP.split(name) if step]


@lru_cache(maxsize=4096)
def fault(name: str) -> str:
    """What is wrong with a name of at most `LONGEST` characters, by itself; "" when it is harmless."""
    parts = steps(name)
    if any(part.strip() in PROTOTYPES for part in parts):
        return "its name reaches for a prototype"
    if any(before.strip() == "constructor" and after.strip() == "prototype" for before, after in pairwise(parts)):
        return "its name reaches for a prototype"
    if any(part.strip().lower() in OPERATORS for part in parts):
        return "its name is an operator of a database"
    if text.CONTROL.search(name):
        return "its name holds a control character"
    return "its name holds active HTML" if html.may_be_active(name) and html.is_active(name) else ""


def shown(name: str) -> str:
    """A name in an answer: `*` in place of one that is not plain, for what a client sent is not repeated to it."""
    return name.replace("~", "~0").replace("/", "~1") if _PLAIN.fullmatch(name) else "*"


def pointer(path: Sequence[str | int]) -> str:
    """A JSON Pointer (RFC 6901); names that are not plain are `*`."""
    return "".join(f"/{step if isinstance(step, int) else shown(step)}" for step in path)
