"""What goes upstream is not what the client asked for: another path, another query, another Host."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import Annotated, ClassVar
from urllib.parse import quote, unquote, unquote_plus

from multidict import istr
from pydantic import AfterValidator, model_validator

from gateway.plugin import BadRequest, Exchange, Field, Host, Many, Placeholders, Plugin, Settings, folded_segments

HOST = istr("Host")
_AUTHORITY = re.compile(r"(?:[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")
_NO_PATH = re.compile(r"[?#%\\\x00-\x1f\x7f]|//")
_FOREIGN = re.compile(r"\*|\$\d|\$\{\d\}|(?<=/):[A-Za-z_]\w*|\\\d|\(\.|(?<=/)<\w+>")
"""What other programs put in the place of a part of the path."""
_PATTERNS = "a parameter of the route is written {name}, strip_prefix and add_prefix change the beginning alone"
_encode = partial(quote, safe="")
"""A parameter is decoded once and encoded once: whatever is in it, it stays within its segment, or its value."""
_encode_path = partial(quote, safe="/!$&'()*+,;=:@{}")


def _path(value: str) -> str:
    """A path in canonical form, from its text as `match` has it. Raises ValueError for what is none."""
    if (foreign := _FOREIGN.search(value)) is not None:
        raise ValueError(f'"{value}" is no path: {foreign[0]} stands for nothing here; {_PATTERNS}')
    if not value.startswith("/") or _NO_PATH.search(value) or _has_dots(value):
        raise ValueError(f'"{value}" is no path: it begins with a slash; it has no query, no %xx, no empty and no dot segments')
    return _encode_path(value)


def _prefix(value: str) -> str:
    if "{" in value or "}" in value:
        raise ValueError("a prefix has no placeholders; `path` has")
    if not (prefix := _path(value).rstrip("/")):
        raise ValueError("a prefix has at least one segment")
    return prefix


def _template(value: str) -> str:
    Placeholders(value)
    return _path(value)


def _value(value: str) -> str:
    Placeholders(value)
    return value


def _authority(value: str) -> str:
    if _AUTHORITY.fullmatch(value) is None:
        raise ValueError(f'"{value}" is neither preserve, upstream nor a host[:port] in lower case')
    return value


def _has_dots(path: str) -> bool:
    return "/." in path and not {".", ".."}.isdisjoint(path.split("/"))


Prefix = Annotated[str, AfterValidator(_prefix)]


class QueryChanges(Settings):
    """A parameter's name is compared without case, and `name[...]` counts as `name`, for there are upstreams that read it so."""

    set: dict[str, Annotated[str, AfterValidator(_value)]] = Field(
        {}, description="Parameters to have exactly once, in place of the client's; a value may hold the route's parameters, as in {id}."
    )
    remove: Many[str] = Field((), description="Parameters of the client's that do not go upstream, in any case, and as name[...] too.")


class RewriteSettings(Settings):
    example: ClassVar[str] = "strip_prefix: /api"

    strip_prefix: Prefix | None = Field(
        None, description="Taken off the front of the path, in whole segments and in any case; a path without it goes as it is."
    )
    add_prefix: Prefix | None = Field(None, description="Put in front of the path, after strip_prefix.")
    path: Annotated[str, AfterValidator(_template)] | None = Field(
        None, description="The whole path, with the route's parameters, as in /v2/leads/{id}; each stays one segment, whatever it holds."
    )
    query: QueryChanges = Field(QueryChanges(), description="Changes to the query.")
    host: Annotated[str, AfterValidator(_authority)] = Field(
        "preserve", description="The Host the upstream sees. preserve: the client's; upstream: the target's own; or a host[:port]."
    )

    @model_validator(mode="after")
    def _says_something(self) -> RewriteSettings:
        if self.path is not None and (self.strip_prefix is not None or self.add_prefix is not None):
            raise ValueError("`path` is the whole path: strip_prefix and add_prefix have nothing to work on")
        if not self.model_fields_set:
            raise ValueError("nothing is rewritten; write strip_prefix, add_prefix, path, query or host")
        return self


class Rewrite(Plugin[RewriteSettings]):
    """Changes `ex.target` alone: `ex.path` and `ex.query` go on saying what the client asked for."""

    def __init__(self, settings: RewriteSettings, host: Host) -> None:
        super().__init__(settings, host)
        self._strip = tuple(folded_segments(unquote(settings.strip_prefix))) if settings.strip_prefix else ()
        self._add = settings.add_prefix or ""
        self._path = None if settings.path is None else Placeholders(settings.path)
        query = settings.query
        self._set = tuple((_encode(name), Placeholders(quote(value, safe="{}"))) for name, value in query.set.items())
        self._gone = frozenset(name.lower() for name in (*query.set, *query.remove))
        self._host = settings.host

    @classmethod
    def placeholders(cls, settings: RewriteSettings) -> Iterator[tuple[tuple[str, ...], str]]:
        yield from ((("path",), name) for name in Placeholders(settings.path or "").names)
        for parameter, value in settings.query.set.items():
            yield from ((("query", "set", parameter), name) for name in Placeholders(value).names)

    def on_request(self, ex: Exchange) -> None:
        path, mark, query = ex.target.partition("?")
        path = self._new_path(ex, path)
        if self._gone:
            query = self._new_query(ex, query)
            mark = "?" if query else ""
        ex.target = path + mark + query
        if self._host == "upstream":
            ex.headers.popall(HOST, None)  # the upstream's connection fills in its own
        elif self._host != "preserve":
            ex.headers[HOST] = self._host

    def explain(self, ex: Exchange) -> str:
        before = ex.target
        self.on_request(ex)
        says = f"asks the upstream for {ex.target}" if ex.target != before else "leaves the target as it is"
        return says if self._host == "preserve" else f"{says}, with the Host {'of the target' if self._host == 'upstream' else self._host}"

    def _new_path(self, ex: Exchange, path: str) -> str:
        if self._path is not None:
            path = self._path.fill(ex.params, _encode)
            if "//" in path or _has_dots(path):
                raise BadRequest("A parameter of the path is no name.")
            return path
        n = len(self._strip)
        if n and tuple(folded_segments(unquote(path))[:n]) == self._strip:
            path = "/" + "/".join(path.split("/")[n + 1 :])
        return self._add + path

    def _new_query(self, ex: Exchange, query: str) -> str:
        pairs = [pair for pair in query.split("&") if pair and not self._is_gone(pair)]
        pairs += [f"{name}={value.fill(ex.params, _encode)}" for name, value in self._set]
        return "&".join(pairs)

    def _is_gone(self, pair: str) -> bool:
        name = unquote_plus(pair.partition("=")[0]).lower()
        return name in self._gone or name.partition("[")[0] in self._gone
