"""What libyaml says of a broken file, in words that tell an operator what to write instead."""

from __future__ import annotations

import re

import yaml

from gateway.errors import Mistake

_CLOSED = "write the closing bracket or a comma"
_INDENT = "indent it like the lines it belongs to"

_PLACEHOLDER = re.compile(r"(?<![^\s,:{\[])/[^\s,\"'\]}]*\{[^\s,{}]*\}[^\s,\]}]*")

# (part of libyaml's problem, part of its context, why, hint, does the mistake stand where the construct began?)
_WORDS = (
    ("mapping values are not allowed", "", 'a second ": " on one line', "put the text in quotes, or the key on a line of its own", False),
    ("unexpected end of stream", "quoted scalar", "this quote is never closed", "", True),
    ("document indicator", "quoted scalar", "this quote is never closed", "", True),
    ("expected ',' or ']'", "", "this list is not closed", _CLOSED, True),
    ("expected ',' or '}'", "", "this mapping is not closed", _CLOSED, True),
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
    if "flow" in context and line < len(lines) and (reference := lines[line].find("${")) >= 0:
        why = "a reference inside [...] or {...} stands in quotes"
        return Mistake(file, line + 1, reference + 1, "", why, 'write "${NAME}"')
    if "flow" in context and line < len(lines) and (path := _PLACEHOLDER.search(lines[line])) is not None:
        why = "a path with {...} in it stands in quotes inside [...] or {...}"
        return Mistake(file, line + 1, path.start() + 1, "", why, f'write "{path[0]}"')
    if "mapping values are not allowed" in problem and (found := _misread(lines, line, column)) is not None:
        return Mistake(file, *found)
    if "expected <document start>" in problem:
        first = next((n for n, above in enumerate(lines) if above.strip() and not above.lstrip().startswith("#")), line)
        if first < line and lines[first].startswith(" ") and column == 0:
            return Mistake(file, first + 1, 1, "", "the first key is indented, and those below it are not", "remove the spaces before it")
        if "..." in (above.rstrip() for above in lines[:line]):
            return Mistake(file, line + 1, column + 1, "", 'the file has ended above, at "..."', "remove that line, or what follows it")
        return Mistake(file, line + 1, column + 1, "", "this line fits nothing above", _INDENT)
    if "cannot start any token" in problem:
        character = lines[line][column]
        return Mistake(file, line + 1, column + 1, "", f"a value cannot begin with {character}", "write it in quotes")
    for part, within, why, hint, at_beginning in _WORDS:
        if part in problem and within in context:
            if at_beginning and began is not None:
                line, column = began.line, began.column
            return Mistake(file, line + 1, column + 1, "", why, hint)
    return Mistake(file, line + 1, column + 1, "", f"not valid YAML: {problem}")


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
