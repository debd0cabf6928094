"""What libyaml says of a broken file, in words that tell an operator what to write instead."""

from __future__ import annotations

import yaml

from gateway.errors import Mistake

_CLOSED = "write the closing bracket or a comma"
_INDENT = "indent it like the lines it belongs to"

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
    if "cannot start any token" in problem:
        character = lines[line][column]
        return Mistake(file, line + 1, column + 1, "", f"a value cannot begin with {character}", "write it in quotes")
    for part, within, why, hint, at_beginning in _WORDS:
        if part in problem and within in context:
            if at_beginning and began is not None:
                line, column = began.line, began.column
            return Mistake(file, line + 1, column + 1, "", why, hint)
    return Mistake(file, line + 1, column + 1, "", f"not valid YAML: {problem}")


def _tab_before(text: str, line: int) -> int | None:
    """The column of a tab in the indentation of a line."""
    lines = text.splitlines()
    if line >= len(lines):
        return None
    indentation = lines[line][: len(lines[line]) - len(lines[line].lstrip())]
    return indentation.find("\t") if "\t" in indentation else None
