"""What an operator writes about a cache, and what the rules make of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, ClassVar, Literal

from multidict import istr
from pydantic import Field, model_validator

from gateway.caching.keys import Parts, cookies, has_query
from gateway.caching.storing import Rule
from gateway.caching.tags import Tag
from gateway.config.header import HeaderName
from gateway.config.settings import Duration, OneOrMany, Percent, Settings, Size
from gateway.exchange import Exchange

Status = Annotated[int, Field(ge=200, le=599)]


class QueryParts(Settings):
    """Which parameters of the query tell requests apart. Written in any order, they are one key."""

    allow: OneOrMany[str] | None = Field(None, description="Only these count.")
    ignore: OneOrMany[str] | None = Field(None, description="All count but these, as in [utm_source, fbclid].")

    @model_validator(mode="after")
    def _says_one_thing(self) -> QueryParts:
        if (self.allow is None) == (self.ignore is None):
            raise ValueError("write allow or ignore: which parameters count, or which do not")
        return self


class VaryBy(Settings):
    """What tells requests of one URL apart, besides what an answer's own Vary names."""

    header: OneOrMany[HeaderName] = Field((), description="Request headers.")
    query: QueryParts | None = Field(None, description="Parameters of the query; without it, the query as it was sent.")
    cookie: OneOrMany[str] | None = Field(
        None,
        description="Cookies. With `ttl`, requests with any other cookie are cached, too, as if they had none; `[]`: no cookie matters.",
    )
    claim: OneOrMany[str] = Field((), description="Claims of whom an `authenticate` above has let in, as in scope.")
    consumer: bool = Field(False, description="Who asks: the same as `authorized: per_consumer`.")


class Skip(Settings):
    """A request with this thing is neither answered from the cache nor stored."""

    header: HeaderName | None = Field(None, description="A request header.")
    cookie: str | None = Field(None, description="A cookie.")
    query: str | None = Field(None, description="A parameter of the query.")

    @model_validator(mode="after")
    def _says_one_thing(self) -> Skip:
        if [self.header, self.cookie, self.query].count(None) != 2:
            raise ValueError("write one of header, cookie and query; each skip with a dash of its own")
        return self

    def test(self) -> Callable[[Exchange], bool]:
        """Whether a request has it."""
        if self.header is not None:
            header = istr(self.header)
            return lambda ex: header in ex.headers
        if self.cookie is not None:
            cookie = self.cookie
            return lambda ex: cookie in cookies(ex)
        names = frozenset([self.query or ""])
        return lambda ex: has_query(ex, names)


class Negative(Settings):
    """A lifetime for answers that are not what was asked for."""

    status: OneOrMany[Status] = Field(min_length=1, description="One status, or several.")
    ttl: Duration = Field(description="How long answers of it are fresh, whatever their origin says.")


class CacheSettings(Settings):
    shorthand: ClassVar[str] = "ttl"

    ttl: Duration | None = Field(
        None,
        description="How long answers of 200, 203, 204, 300, 301 and 308 are fresh, whatever their origin says; without it, as it says "
        "(RFC 9111). What it forbids by private and no-store stays forbidden, as do answers to requests with credentials or cookies.",
    )
    negative: OneOrMany[Negative] = Field(
        (), description="How long answers of other statuses are, as in {status: [404, 410], ttl: 30s}; a list of such for several."
    )
    jitter: Percent = Field(0.0, description="By how much a lifetime may be shorter, at random, so that not all end at once.")
    tags: OneOrMany[str] = Field(
        (),
        description="Names to purge by: leads, `lead:{id}` with a parameter of the path, `lead:{body.id}` with a field of the JSON answer "
        "(of each member, where there is a list). Surrogate-Key, Cache-Tag and Cache-Groups of the origin are tags, too.",
    )
    authorized: Literal["refuse", "per_consumer", "share"] = Field(
        "refuse",
        description="Answers to requests with credentials: kept only where the origin allows it in so many words (public, s-maxage, "
        "must-revalidate); per_consumer: kept for each consumer, as `authenticate` names them, and their groups; share: kept for all.",
    )
    override: OneOrMany[Literal["private", "no-store"]] = Field((), description="What of Cache-Control does not forbid to keep an answer.")
    set_cookie: Literal["refuse", "strip", "store"] = Field(
        "refuse", description="Answers with Set-Cookie: not kept; kept without it; kept with it, so that all get the same cookie."
    )
    vary_by: VaryBy = Field(default_factory=VaryBy, description="What tells requests of one URL apart.")
    skip: OneOrMany[Skip] = Field((), description="Requests that pass by: {header: NAME}, {cookie: NAME}, {query: NAME} or a list.")
    stale_while_revalidate: Duration | None = Field(
        None, description="How long after it was fresh an answer is still given, while it is asked for anew; else as the origin says."
    )
    stale_if_error: Duration | None = Field(
        None, description="How long it stands in for a 500, 502, 503, 504, or an upstream that cannot be reached; else as the origin says."
    )
    max_size: Size = Field(1 << 20, ge=0, description="Longer bodies are passed on as they come, and not kept.")
    patience: Duration = Field(5.0, gt=0, description="How long a request waits for another one's answer before it asks itself.")
    obey_clients: bool = Field(
        True, description="Heed Cache-Control of requests: no-cache, max-age, min-fresh, max-stale, only-if-cached. Else only no-store."
    )
    cache_status: Literal["none", "short", "full"] = Field(
        "short",
        description="What Cache-Status (RFC 9211) tells clients: nothing; hit or why not; the key, too.",
    )

    @model_validator(mode="after")
    def _is_possible(self) -> CacheSettings:
        for tag in self.tags:
            Tag(tag)
        return self

    @property
    def is_per_consumer(self) -> bool:
        return self.authorized == "per_consumer" or self.vary_by.consumer

    def rule(self) -> Rule:
        return Rule(
            ttl=self.ttl,
            negative={status: one.ttl for one in self.negative for status in one.status},
            swr=self.stale_while_revalidate,
            sie=self.stale_if_error,
            overrides=frozenset(self.override),
            cookies=self.set_cookie,
            jitter=self.jitter,
        )

    def parts(self) -> Parts:
        by, query = self.vary_by, self.vary_by.query
        return Parts(
            allow=None if query is None or query.allow is None else frozenset(query.allow),
            ignore=None if query is None or query.ignore is None else frozenset(query.ignore),
            headers=tuple(name.lower() for name in by.header),
            cookies=by.cookie or (),
            claims=by.claim,
            by_consumer=self.is_per_consumer,
        )
