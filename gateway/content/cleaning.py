"""A value of JSON, a form or a query, cleaned by rules: what had to change, and what must be refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from gateway.content import html, names
from gateway.content.text import BIDI, CONTROL, MARKS, Treatment, has_many_marks, nfc

Html = Literal["keep", "reject", "strip", "escape", "allow"]

TOLD = 20
"""Refusals that are listed; there may be more."""
TOTAL = 8
"""So many texts of the longest length that an HTML parser sees are parsed for one request: its time is bounded, too."""
TAGS = 1000
"""So many in one text: what is never closed takes a parser time that grows with the square."""
_CHANGES: dict[Html, Callable[[str], str]] = {"strip": html.strip, "escape": html.escape, "allow": html.allow}


@dataclass(frozen=True, slots=True)
class Rules:
    """What becomes of one text."""

    html: Html = "reject"
    longest: int = 10_000  # characters of what an HTML parser is given
    control: Treatment = "reject"
    bidi: Treatment = "keep"
    nfc: bool = True
    trim: bool = False


class Field:
    """The rules of one field, and of those inside it. An array is passed through: its elements are the field."""

    __slots__ = ("inner", "others", "rules")

    def __init__(self, rules: Rules, inner: Mapping[str, Field] | None = None) -> None:
        self.rules = rules
        self.inner = inner or {}
        self.others: Field = Field(rules) if inner else self  # what is inside and has no rules of its own

    def at(self, steps: list[str]) -> Field:
        """The field that stands there, as `user`, `address`, `city`; a number is the index of an array."""
        found = self
        for step in steps:
            found = found.inner.get(step, found if step.isdecimal() else found.others)
        return found


class Finding(NamedTuple):
    pointer: str
    kind: str  # html, control, bidi, nfc, trim, name
    reason: str  # for the client
    where: str  # body, query or params


class Cleaning:
    """What was found in one request. Not shared by threads."""

    __slots__ = ("_drops_names", "_left", "_path", "_refuses_names", "changed", "refused", "where")

    def __init__(self, names: Treatment = "reject", longest: int = 10_000) -> None:
        self.where = "body"  # in which the next is found
        self.refused: list[Finding] = []
        self.changed: list[Finding] = []
        self._refuses_names = names == "reject"
        self._drops_names = names == "drop"
        self._left = TOTAL * longest
        self._path: list[str | int] = []

    def value(self, value: Any, field: Field) -> Any:
        """The same object when nothing had to change; else a new one, `value` staying as it was."""
        kind = type(value)
        if kind is str:
            return self._text(value, field.rules)
        if kind is dict:
            return self._object(value, field)
        if kind is list:
            return self._array(value, field)
        return value

    def field(self, name: str, text: str, top: Field) -> str | None:
        """The value of a field of a form or query, by a name that may say `user[email]`. None: it must go."""
        rules = top.at(names.steps(name)).rules
        self._path.append(name)
        cleaned: str | None = None if self._is_faulty(name) else self._text(text, rules)
        self._path.pop()
        return cleaned

    def parameter(self, name: str, text: str, field: Field) -> None:
        """One that cannot be changed, such as a parameter of the path: what must go is refused, what would only be put right is left."""
        before = len(self.changed)
        self.field(name, text, field)
        for found in self.changed[before:]:
            if found.kind not in ("nfc", "trim"):
                self._refuse(found.kind, found.reason, found.pointer)
        del self.changed[before:]

    def _object(self, value: dict[str, Any], field: Field) -> dict[str, Any]:
        cleaned = value
        inner, others, path = field.inner, field.others, self._path
        fault, longest = names.fault, names.LONGEST
        for name, one in value.items():
            if type(one) is str and is_quiet(one) and len(name) <= longest and not fault(name) and not inner.get(name, others).rules.trim:
                continue  # as most are
            path.append(name)
            if self._is_faulty(name) or (name == "constructor" and type(one) is dict and self._has_prototype(one)):
                cleaned = dict(value) if cleaned is value else cleaned
                del cleaned[name]
            else:
                below = inner.get(name, others)
                new = self._text(one, below.rules) if type(one) is str else self.value(one, below)
                if new is not one:
                    cleaned = dict(value) if cleaned is value else cleaned
                    cleaned[name] = new
            path.pop()
        return cleaned

    def _array(self, value: list[Any], field: Field) -> list[Any]:
        cleaned = value
        for n, one in enumerate(value):
            self._path.append(n)
            if (new := self.value(one, field)) is not one:
                cleaned = list(value) if cleaned is value else cleaned
                cleaned[n] = new
            self._path.pop()
        return cleaned

    def _is_faulty(self, name: str) -> bool:
        """Whether what has this name must go; where it is refused it may stay, for nothing is sent."""
        fault = names.fault(name) if len(name) <= names.LONGEST else names.TOO_LONG
        return bool(fault) and self._name(fault)

    def _has_prototype(self, inner: dict[str, Any]) -> bool:
        return "prototype" in inner and self._name("its name reaches for a prototype")

    def _name(self, fault: str) -> bool:
        if self._refuses_names:
            self._refuse("name", fault)
        elif self._drops_names:
            self.changed.append(Finding(names.pointer(self._path), "name", fault, self.where))
        return self._drops_names

    def _text(self, text: str, rules: Rules) -> str:
        if not rules.trim and is_quiet(text):
            return text
        text = self._unseen("control", CONTROL, rules.control, text)
        if rules.bidi != "keep":
            text = self._unseen("bidi", BIDI, rules.bidi, text)
        if rules.nfc and not text.isascii():
            text = self._composed(text)
        if rules.trim:
            text = self._changed("trim", text, text.strip())
        return text if rules.html == "keep" or not html.may_be_active(text) else self._markup(text, rules)

    def _composed(self, text: str) -> str:
        if has_many_marks(text):
            self._refuse("nfc", f"has more than {MARKS} marks on one letter")
            return text
        return self._changed("nfc", text, nfc(text))

    def _unseen(self, kind: str, which: re.Pattern[str], treatment: Treatment, text: str) -> str:
        if treatment == "keep" or which.search(text) is None:
            return text
        if treatment == "drop":
            return self._changed(kind, text, which.sub("", text))
        self._refuse(kind, "holds a control character" if kind == "control" else "holds a control of direction")
        return text

    def _markup(self, text: str, rules: Rules) -> str:
        self._left -= len(text)
        if self._left < 0:
            self._refuse("html", "holds too much HTML")
            return text
        if len(text) > rules.longest or text.count("<") > TAGS:
            self._refuse("html", f"may hold HTML, and has more than {rules.longest} characters or {TAGS} tags")
            return text
        if rules.html != "reject":
            text = self._changed("html", text, _CHANGES[rules.html](text))
            if rules.nfc and not text.isascii():
                text = self._composed(text)  # a letter and its accent may have had a tag between them
        if html.may_be_active(text) and (html.is_active_markup(text, True) if rules.html == "allow" else html.is_active(text)):
            self._refuse("html", "holds active HTML")
        return text

    def _changed(self, kind: str, before: str, after: str) -> str:
        """`before` itself when they are equal: a body in which nothing is a new object goes upstream as it came."""
        if before == after:
            return before
        self.changed.append(Finding(names.pointer(self._path), kind, _WHAT[kind], self.where))
        return after

    def _refuse(self, kind: str, reason: str, at: str | None = None) -> None:
        self.refused.append(Finding(names.pointer(self._path) if at is None else at, kind, reason, self.where))
        if len(self.refused) >= TOLD:
            raise Enough


def is_quiet(text: str) -> bool:
    """Cheap, and never wrong when it says yes: nothing but `trim` has anything to do with it."""
    return text.isascii() and text.isprintable() and "<" not in text and "=" not in text


class Enough(Exception):
    """There are more refusals than are told: nothing more need be looked at."""


_WHAT = {
    "nfc": "is not in Unicode's composed form",
    "control": "holds a control character",
    "bidi": "holds a control of direction",
    "trim": "has space around it",
    "html": "holds HTML",
}
