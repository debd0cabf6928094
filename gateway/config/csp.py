"""Content-Security-Policy as a policy may write it: a text, or a mapping of directives; what browsers would ignore is a mistake."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator
from pydantic.json_schema import WithJsonSchema

from gateway.config.settings import At
from gateway.config.shape import close, nearest

# CSP Level 3, section 6, and what other standards add to it.
_SOURCES = """
default-src script-src script-src-elem script-src-attr style-src style-src-elem style-src-attr img-src font-src connect-src media-src
object-src child-src frame-src worker-src manifest-src fenced-frame-src base-uri form-action frame-ancestors
"""
SOURCES = frozenset(_SOURCES.split())
FLAGS = frozenset(("upgrade-insecure-requests", "block-all-mixed-content"))
WORDS = frozenset(("report-to", "report-uri", "require-trusted-types-for", "sandbox", "trusted-types", "webrtc"))
DIRECTIVES = SOURCES | FLAGS | WORDS
"""All that browsers know."""
_KEYWORDS = """
none self unsafe-inline unsafe-eval unsafe-hashes wasm-unsafe-eval strict-dynamic report-sample inline-speculation-rules
"""
KEYWORDS = frozenset(_KEYWORDS.split())
QUOTED = frozenset(("require-trusted-types-for", "trusted-types", "webrtc"))
"""Other directives whose words stand in quotes, too."""

_HASH = re.compile(r"'sha(?:256|384|512)-[A-Za-z0-9+/_-]+={0,2}'")
_HOST = re.compile(
    r"(?:[a-z][a-z0-9+.-]*://)?(?:\*|(?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(?::(?:[0-9]{1,5}|\*))?(?:/[!-~]*)?",
    re.IGNORECASE,
)
_WORD = re.compile(r"[A-Za-z-]+")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
_OUTSIDE = re.compile(r"[^!-~]|[;,]")


def csp(value: Any) -> str:
    """The header's value. Raises ValueError for what browsers would ignore or take for something else."""
    if isinstance(value, Mapping):
        directives = [(name, _words(name, found)) for name, found in value.items()]
    elif isinstance(value, str):
        directives = list(_split(value))
    else:
        raise ValueError("expected a text, or directives with their sources, as in {default-src: [self]}")
    if not directives:
        raise ValueError("there is no directive; write false to leave the header out")
    for name, words in directives:
        try:
            _check(name, words)
        except ValueError as error:
            raise At((name,) if isinstance(value, Mapping) else (), str(error)) from None
    return "; ".join(" ".join([name, *words]) for name, words in directives)


def _split(text: str) -> Iterator[tuple[str, list[str]]]:
    if "," in text:
        raise ValueError("a comma begins another policy: browsers would hold a page to both; separate directives by semicolons")
    seen: set[str] = set()
    for part in text.split(";"):
        if not part.strip():
            continue
        name, *words = part.split()
        if name.lower() in seen:
            raise ValueError(f"{name} stands twice, and browsers ignore the second; write its sources together")
        seen.add(name.lower())
        yield name.lower(), words


def _words(name: Any, found: Any) -> list[str]:
    """Of a mapping. Keywords need no quotes here: no host is called self."""
    if (name in FLAGS or name == "sandbox") and found is True:
        return []
    words = found.split() if isinstance(found, str) else list(found) if isinstance(found, list | tuple) else []
    if not words or not all(isinstance(word, str) and word for word in words):
        raise ValueError(
            f"{name}: expected " + ("true" if name in FLAGS else "a source or a list of them, such as self, none or https://host")
        )
    return [f"'{word}'" if _is_bare_keyword(str(name), word) else word for word in words]


def _is_bare_keyword(name: str, word: str) -> bool:
    return (name in SOURCES and (word in KEYWORDS or _HASH.fullmatch(f"'{word}'") is not None)) or (
        name in QUOTED and word in ("script", "allow-duplicates", "none", "allow", "block")
    )


def _check(name: Any, words: list[str]) -> None:
    if name not in DIRECTIVES:
        raise ValueError(f"{name} is no directive of a Content-Security-Policy; {nearest(str(name), DIRECTIVES) or 'browsers ignore it'}")
    for word in words:
        if _OUTSIDE.search(word):
            raise ValueError(f'{name}: "{word}" has a character that no source has; percent-encode it')
    if name in FLAGS and words:
        raise ValueError(f"{name} takes no value")
    if name in SOURCES:
        for word in words:
            _check_source(name, word)
        if "'none'" in words and len(words) > 1:
            raise ValueError(f"{name}: 'none' stands alone; beside others browsers ignore it")


def _check_source(name: str, word: str) -> None:
    if word.startswith("'nonce-"):
        raise ValueError(f"{name}: a nonce is new for each reply, else it protects nothing; the service that writes the page sets it")
    if word.startswith("'"):
        if word[1:-1].lower() not in KEYWORDS and _HASH.fullmatch(word) is None:
            hint = nearest(word.strip("'"), KEYWORDS)
            raise ValueError(f"{name}: {word} is no keyword; {hint}" if hint else f"{name}: {word} is no keyword, and no hash")
        return
    if word.lower() in KEYWORDS:
        raise ValueError(f"{name}: {word} without quotes is a host of that name; write '{word}' in single quotes")
    if _WORD.fullmatch(word) and (meant := close(word, KEYWORDS, 0.75)):
        raise ValueError(f"{name}: {word} is a host of that name; did you mean '{meant}'?")
    if _SCHEME.fullmatch(word) is None and _HOST.fullmatch(word) is None:
        raise ValueError(f'{name}: "{word}" is no source; write a host, as https://host:port/path or *.host, or a scheme, as https:')


_VALUE = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}, {"const": True}]}
_SCHEMA = {
    "anyOf": [
        {"type": "string"},
        {"type": "object", "properties": dict.fromkeys(sorted(DIRECTIVES), _VALUE), "additionalProperties": False, "minProperties": 1},
    ]
}
Csp = Annotated[str, BeforeValidator(csp), WithJsonSchema(_SCHEMA)]
"""The header's value, whichever way it was written."""
