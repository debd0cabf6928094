"""The `match` of a route: which requests are its own."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, field_validator, model_validator
from pydantic.json_schema import WithJsonSchema

from gateway.authority import hostname, valid_host
from gateway.config.header import HeaderName
from gateway.config.settings import OneOrMany, Settings, kind
from gateway.config.shape import nearest
from gateway.errors import BadRequest
from gateway.template import parse

_METHODS = """
GET HEAD POST PUT PATCH DELETE OPTIONS QUERY
ACL BIND CHECKOUT COPY LINK LOCK M-SEARCH MERGE MKACTIVITY MKCALENDAR MKCOL MOVE NOTIFY PROPFIND PROPPATCH PURGE REBIND REPORT SEARCH SOURCE
SUBSCRIBE UNBIND UNLINK UNLOCK UNSUBSCRIBE
"""
METHODS = tuple(_METHODS.split())
"""Those of HTTP that llhttp, which reads requests, knows. Of any other a request never gets as far as a route."""
UNNAMED = frozenset(METHODS) - {"PURGE"}
"""What a route that names no methods takes. PURGE is an operator's word to a cache behind the gateway, whose word that cache trusts."""
REFUSED = ("CONNECT", "TRACE")
"""Known to the parser, and turned away by the front."""


def method(value: Any) -> str:
    """A method's name. Raises ValueError; methods are case-sensitive (RFC 9110, section 9.1)."""
    if isinstance(value, str) and value in METHODS:
        return value
    word = value.upper() if isinstance(value, str) else ""
    if word in REFUSED:
        raise ValueError(f"the gateway answers no {word}; remove it")
    if word in ("*", "ANY", "ALL"):
        raise ValueError(f"{kind(value)} is no method; for all of them leave the method out")
    if len(several := re.findall(r"[A-Z-]+", word)) > 1 and all(one in METHODS for one in several):
        raise ValueError(f"{kind(value)} is no method; write several as {{methods: [{', '.join(several)}], path: ...}}")
    hint = f"write {word}" if word in METHODS else nearest(word, METHODS) if word else ""
    raise ValueError(f"{kind(value)} is no method that the gateway can read" + (f"; {hint}" if hint else ""))


def host(value: Any) -> str:
    """A name, or `*.name`, in lower case. Raises ValueError."""
    wild = "*." if isinstance(value, str) and value.startswith("*.") else ""
    try:
        if isinstance(value, str) and hostname(name := valid_host(value.removeprefix(wild))) == name:
            return wild + name
    except BadRequest:
        pass
    raise ValueError(f"{kind(value)} is no host; write a name without a port, as in api.example.com or *.example.com")


Method = Annotated[str, BeforeValidator(method), WithJsonSchema({"enum": list(METHODS)})]
HostName = Annotated[str, BeforeValidator(host), WithJsonSchema({"type": "string"})]


_EXPRESSION = re.compile(r"^\s*[~^]|\$$|&&|`|\(\.")
"""What stands in nginx's and Traefik's conditions, and in no match that is meant."""


class Match(Settings):
    """`GET /api/v1/leads/{id}`, `/api/v1/**` for all methods, or a mapping."""

    methods: OneOrMany[Method] = Field((), description="The methods; without them, all but PURGE. GET takes HEAD too.")
    path: str = Field(
        "/**",
        description="A template: `/api/v1/leads/{id}`; `{name}` stands for one segment, `/**` at the end for whatever follows, or nothing.",
    )
    host: HostName = Field("", description="The host: `api.example.com`, or `*.example.com` for those under it; without it, all.")
    headers: dict[HeaderName, str] = Field(default_factory=dict, description='Header fields and the values they must have; `"*"`: any.')
    query: dict[str, str] = Field(default_factory=dict, description='Parameters of the query and the values they must have; `"*"`: any.')

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if isinstance(value, str):
            if " " in value.strip() and value.strip().startswith("/"):
                raise ValueError(f"{kind(value)} is no path: it ends at the blank; one with blanks is written {{path: {kind(value)}}}")
            if _EXPRESSION.search(value):
                raise ValueError(f"{kind(value)} is no match; a path is no pattern: write GET /path/{{name}}, or /path/** for all below it")
            first, _, path = value.strip().rpartition(" ")
            return {"methods": [first.strip()], "path": path} if first else {"path": path}
        if not isinstance(value, dict):
            raise ValueError(f"expected a match, got {kind(value)}; write GET /path, or a mapping of methods, path, host, headers, query")
        return value

    @field_validator("path")
    @classmethod
    def _is_template(cls, path: str) -> str:
        if "://" in path:
            raise ValueError(f"{kind(path)} is no path; write what follows the host, and the host itself under `host`")
        parse(path, loose=False)
        return path

    def __str__(self) -> str:
        conditions = [f"{name}: {value}" for name, value in self.headers.items()]
        conditions += [f"?{name}={value}" for name, value in self.query.items()]
        text = f"{self.host}{self.path}" + (f" [{', '.join(conditions)}]" if conditions else "")
        return f"{','.join(self.methods)} {text}" if self.methods else text

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for two matches that take the very same requests."""
        path = re.sub(r"\{[^}]*\}", "{}", self.path)
        headers = frozenset((name.lower(), value) for name, value in self.headers.items())
        return frozenset(self.methods), path, self.host, headers, frozenset(self.query.items())
