"""What libyaml says of a broken file, in words that tell an operator what to write instead."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

import yaml

from gateway.errors import Mistake

_CLOSED = "write the closing bracket"
_QUOTED = "write it in quotes"
_INDENT = "indent it like the lines it belongs to"

_CONFLICT = re.compile(r"(<{7}|>{7}|={7})(\s|$)")
_DASHES = "\u2013\u2014"
_LOOKALIKES = {
    **dict.fromkeys("\u00a0\u2002\u2003\u2007\u2009\u200a\u202f\u3000", "a space"),
    **dict.fromkeys("\u200b\u200c\u200d\u2060", "nothing"),
    **dict.fromkeys("\u201c\u201d\u201e\u00ab\u00bb", 'plain quotes: "'),
    **dict.fromkeys("\u2018\u2019", "plain quotes: '"),
    **dict.fromkeys(_DASHES, "a plain dash: -"),
    "\uff1a": "a plain colon: ':'",
    "\uff0c": "a plain comma: ','",
}

_PLACEHOLDER = re.compile(r"(?<![^\s,:{\[])(?:https?:/)?/[^\s,\"'\]}]*\{[^\s,{}]*\}[^\s,\]}]*")

_TEMPLATE = re.compile(r"\s*\{%")
_COMMENT = re.compile(r"(^|\s)(//|/\*)")
_UNCLOSED = {True: ("this list is not closed", _CLOSED), False: ("this mapping is not closed", _CLOSED)}

# (part of libyaml's problem, part of its context, why, hint, does the mistake stand where the construct began?)
_WORDS = (
    ("mapping values are not allowed", "", 'a second ": " on one line', "put the text in quotes, or the key on a line of its own", False),
    ("unexpected end of stream", "quoted scalar", "this quote is never closed", "", True),
    ("document indicator", "quoted scalar", "this quote is never closed", "", True),
    ("expected ',' or ']'", "", "this list is not closed", _CLOSED, True),
    ("expected ',' or '}'", "", "this mapping is not closed", _CLOSED, True),
    ("found unexpected ':'", "", "a colon cannot stand here", _QUOTED, False),
    (
        "expected comment or line break",
        "block scalar",
        "text cannot follow | or > on its line",
        "begin it on the next, or " + _QUOTED,
        False,
    ),
    ("indentation indicator", "block scalar", "text cannot follow | or > on its line", "begin it on the next, or " + _QUOTED, False),
    ("tab character", "", "a tab cannot indent", "write spaces", False),
    (
        "expected hexdecimal number",
        "",
        "\\x, \\u and \\U are followed by 2, 4 and 8 hexadecimal digits",
        "write \\\\ for a backslash",
        False,
    ),
    ("invalid Unicode character", "", "there is no such character", "write \\\\ for a backslash, or use single quotes", False),
    ("mapping keys are not allowed", "", "a value cannot begin with ?", _QUOTED, False),
    ("", "tag", "a value cannot begin with !", _QUOTED, False),
    ("tag handle", "", "a value cannot begin with !", _QUOTED, False),
    ("", "directive", "a line cannot begin with %", "remove it, or write the text in quotes", False),
    ("YAML document", "", "a line cannot begin with %", "remove it", False),
    ("expected node content", "", "a value is missing here, or a bracket is not closed", "", False),
    ("expected '-' indicator", "", "this line is no item of the list above", f"begin it with a dash, or {_INDENT}", False),
    ("expected key", "", "this line fits no key above", _INDENT, False),
    ("block sequence entries are not allowed", "", "a list cannot begin here", "begin it on a line of its own", False),
    ("could not find expected ':'", "", "a key without a value", 'write "key: value"', True),
    ("alphabetic or numeric character", "alias", "a value cannot begin with *", "write it in quotes", True),
    ("alphabetic or numeric character", "anchor", "a value cannot begin with &", "write it in quotes", True),
    ("unknown escape character", "", "no such escape in double quotes", "write \\\\ for a backslash, or use single quotes", False),
)


def reworded(error: yaml.YAMLError, text: str, file: str) -> Mistake:
    problem = str(getattr(error, "problem", None) or error)
    context = str(getattr(error, "context", None) or "")
    mark, began = getattr(error, "problem_mark", None), getattr(error, "context_mark", None)
    line, column = (mark.line, mark.column) if mark is not None else (0, 0)
    if (tab := _tab_before(text, line)) is not None and ("tab" in problem or "token" in problem or "indentation" in problem):
        return Mistake(file, line + 1, tab + 1, "", "a tab cannot indent", "write spaces")
    lines = text.splitlines()
    if (look := _lookalike(lines, line)) is not None:
        return Mistake(file, *look)
    if (conflict := next((n for n, one in enumerate(lines) if _CONFLICT.match(one)), None)) is not None:
        return Mistake(file, conflict + 1, 1, "", "git has left a conflict here", "keep one of its two sides, and remove the marks")
    if "expected key" in problem and line < len(lines) and (more := _after_its_end(lines[line], column)) is not None:
        return Mistake(file, line + 1, column + 1, "", *more)
    if (template := next((n for n, one in enumerate(lines) if _TEMPLATE.match(one)), None)) is not None:
        why = "this is a line of a template, and a policy is plain YAML"
        return Mistake(file, template + 1, 1, "", why, "a value from the environment is written ${NAME}")
    for n in range(max(line - 1, 0), min(line + 1, len(lines))) if "flow" in context else ():
        if (comment := _COMMENT.search(lines[n])) is not None:
            return Mistake(file, n + 1, comment.start(2) + 1, "", f"{comment[2]} begins no comment", "write # with a space before it")
    if "flow" in context and (line >= len(lines) or not "".join(lines[line:]).strip()) and (found := _opened(text)) is not None:
        opened, is_list = found
        return Mistake(file, opened.line + 1, opened.column + 1, "", *_UNCLOSED[is_list])
    if "flow" in context and line < len(lines) and (reference := lines[line].find("${")) >= 0:
        why = "a reference inside [...] or {...} stands in quotes"
        return Mistake(file, line + 1, reference + 1, "", why, 'write "${NAME}"')
    if "flow" in context and line < len(lines) and (path := _PLACEHOLDER.search(lines[line])) is not None:
        why = "a path with {...} in it stands in quotes inside [...] or {...}"
        return Mistake(file, line + 1, path.start() + 1, "", why, f'write "{path[0]}"')
    is_json = text.lstrip()[:1] == "{"  # then what follows on another line belongs to it, too
    if "expected ','" in problem and began is not None and (began.line == line or is_json) and lines[line][column:].strip():
        if began.line != line:
            column = len(lines[line]) - len(lines[line].lstrip())  # of the key whose colon nobody expected
        why = "a comma or the closing bracket is missing before this"
        return Mistake(file, line + 1, column + 1, "", why, "part items with a comma and a space")
    if "mapping values are not allowed" in problem and (misread := _misread(lines, line, column)) is not None:
        return Mistake(file, *misread)
    if "expected <document start>" in problem:
        first = next((n for n, above in enumerate(lines) if above.strip() and not above.lstrip().startswith("#")), line)
        if first < line and lines[first].startswith(" ") and column == 0:
            return Mistake(file, first + 1, 1, "", "the first key is indented, and those below it are not", "remove the spaces before it")
        if "..." in (above.rstrip() for above in lines[:line]):
            return Mistake(file, line + 1, column + 1, "", 'the file has ended above, at "..."', "remove that line, or what follows it")
        return Mistake(file, line + 1, column + 1, "", "this line fits nothing above", _INDENT)
    if "cannot start any token" in problem:
        if lines[line][column] == "\t":
            return Mistake(file, line + 1, column + 1, "", "a tab cannot stand here", "write a space")
        return Mistake(file, line + 1, column + 1, "", f"a value cannot begin with {lines[line][column]}", _QUOTED)
    for part, within, why, hint, at_beginning in _WORDS:
        if part in problem and within in context:
            if at_beginning and began is not None:
                line, column = began.line, began.column
            return Mistake(file, line + 1, column + 1, "", why, hint)
    return Mistake(file, line + 1, column + 1, "", "this is no YAML", "write key: value, and text with signs in it in quotes")


def _opened(text: str) -> tuple[Any, bool] | None:
    """Where the innermost bracket stands that is open at the end, and whether it is a list's; None when there is none."""
    opened: list[Any] = []
    try:
        for event in yaml.parse(text, yaml.CSafeLoader):
            if isinstance(event, yaml.CollectionStartEvent):
                opened.append(event)
            elif isinstance(event, yaml.CollectionEndEvent):
                opened.pop()
    except yaml.YAMLError:
        return next(((one.start_mark, isinstance(one, yaml.SequenceStartEvent)) for one in reversed(opened) if one.flow_style), None)
    return None


def _lookalike(lines: list[str], line: int) -> tuple[int, int, str, str, str] | None:
    """A character that looks like a part of YAML and is none, in the line of the mistake or before it."""
    for n in range(min(line, len(lines) - 1), max(line - 3, -1), -1):
        code = re.split(r"\s#", lines[n])[0]
        for column, character in enumerate(code):
            if character in _LOOKALIKES and (character not in _DASHES or not code[:column].strip()):
                name = unicodedata.name(character, "an invisible character").lower()
                return n + 1, column + 1, "", f"U+{ord(character):04X}, {name}, is no part of YAML", f"write {_LOOKALIKES[character]}"
    return None


def _after_its_end(line: str, column: int) -> tuple[str, str] | None:
    """Text behind a value in quotes or brackets, on the same line."""
    before, rest = line[:column].rstrip(), line[column:]
    if rest[:1] in ("]", "}"):
        return f"{rest[0]} closes nothing", "remove it"
    if before.endswith(("'", '"')) and rest.strip():
        twice = " and a ' in it twice" if before.endswith("'") else ""
        return (
            "text stands behind the closing quote",
            f"write the whole value in quotes,{twice}" if twice else "write the whole value in quotes",
        )
    if before.endswith(("]", "}")) and rest.strip():
        return "text stands behind the closing bracket", "remove it, or write the whole value in quotes"
    return None


def _misread(lines: list[str], line: int, column: int) -> tuple[int, int, str, str, str] | None:
    """A line that YAML reads as going on with the text above it: where, why and what to write; None when it has two colons itself."""
    if line >= len(lines) or re.search(r":[ \t]", lines[line][:column]):
        return None
    before = next((n for n in range(line - 1, -1, -1) if lines[n].strip() and not lines[n].lstrip().startswith("#")), None)
    if before is None:
        return None
    above = lines[before].lstrip(" -")
    if re.search(r":([ \t]|$)", above):
        start = len(lines[line]) - len(lines[line].lstrip())
        return line + 1, start + 1, "", "this line is indented too far: the key above has its value already", _INDENT
    start = len(lines[before]) - len(above)
    word = above.rstrip()
    hint = 'write "key: value", with a colon and a space' if ":" in word or " " in word else f'write "{word}:", with a colon'
    return before + 1, start + 1, "", "a key without a value", hint


def _tab_before(text: str, line: int) -> int | None:
    """The column of a tab in the indentation of a line."""
    lines = text.splitlines()
    if line >= len(lines):
        return None
    indentation = lines[line][: len(lines[line]) - len(lines[line].lstrip())]
    return indentation.find("\t") if "\t" in indentation else None
