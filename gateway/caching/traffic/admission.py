"""Which requests a cache is for, and whose answers may be given to others."""

from __future__ import annotations

from multidict import istr

from gateway.caching.settings import CacheSettings
from gateway.caching.wishes import Wishes, wishes
from gateway.exchange import Exchange

AUTHORIZATION, COOKIE, RANGE = istr("Authorization"), istr("Cookie"), istr("Range")
IF_MATCH, IF_UNMODIFIED_SINCE = istr("If-Match"), istr("If-Unmodified-Since")
CACHE_CONTROL, PRAGMA = istr("Cache-Control"), istr("Pragma")
IF_NONE_MATCH, IF_MODIFIED_SINCE = istr("If-None-Match"), istr("If-Modified-Since")
ASKING = (CACHE_CONTROL, PRAGMA, IF_NONE_MATCH, IF_MODIFIED_SINCE, IF_MATCH, IF_UNMODIFIED_SINCE, RANGE, AUTHORIZATION)
"""Fields of a request that has more to say than what it wants."""
UNKEYED = (
    "X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "X-Original-URL", "X-Rewrite-URL", "X-Original-Host", "X-Host"
)  # fmt: skip
"""Fields by which a client makes some services answer another request than the one that is stored: what is answered to such is not kept."""
FORWARDED = ("X-Forwarded-Prefix", "X-Forwarded-Path", "X-Forwarded-Port", "X-Forwarded-Server", "X-Forwarded-Scheme", "X-Forwarded-SSL")
"""The same, when they do not come from a trusted proxy."""


class Admission:
    """Of requests without a body: GET and HEAD."""

    def __init__(self, settings: CacheSettings) -> None:
        self._has_ttl = settings.ttl is not None
        self._is_per_consumer = settings.is_per_consumer
        self._shares = settings.authorized == "share"
        self._knows_cookies = settings.ttl is None or settings.vary_by.cookie is not None
        self._skips = tuple(skip.test() for skip in settings.skip)
        self._obeys = settings.obey_clients

    def is_plain(self, ex: Exchange) -> bool:
        """It asks for nothing but what it wants, and as nobody whose answers are not kept."""
        headers = ex.headers
        if self._skips or not headers.keys().isdisjoint(ASKING):
            return False
        if ex.consumer is not None and not self._is_per_consumer and not self._shares:
            return False
        return self._knows_cookies or COOKIE not in headers

    def why_not(self, ex: Exchange) -> tuple[str, str] | None:
        """Why this request passes by: in the word of RFC 9211, and in an operator's. None when it does not."""
        headers = ex.headers
        if ex.stream is not None or ex.body_at_hand:
            return "bypass", "it has a body"
        if ex.upgrade:
            return "bypass", "it asks for another protocol"
        if any(skip(ex) for skip in self._skips):
            return "bypass", "it has what skip names"
        if IF_MATCH in headers or IF_UNMODIFIED_SINCE in headers:  # RFC 9111, section 4.3.2: for the origin to decide
            return "request", "If-Match and If-Unmodified-Since are for the upstream to decide"
        if any(name in headers for name in UNKEYED) or (not ex.is_proxied and any(name in headers for name in FORWARDED)):
            return "bypass", "it has a field by which a client makes some services answer another request, as X-Original-URL"
        if self._has_ttl and self.is_personal(ex):
            if not self._shares and (ex.consumer is not None or AUTHORIZATION in headers):
                return "bypass", "it comes with credentials; authorized does not say that answers to such are kept"
            return "bypass", "it comes with a cookie; vary_by.cookie does not say that answers to such are kept"
        return None

    def is_personal(self, ex: Exchange) -> bool:
        """Its answer may be meant for whom it came from, and the key does not say who that is."""
        if self._is_per_consumer and ex.consumer is not None:
            return False
        if not self._shares and (ex.consumer is not None or AUTHORIZATION in ex.headers):
            return True
        return not self._knows_cookies and COOKIE in ex.headers

    def wishes(self, ex: Exchange) -> Wishes | None:
        wished = wishes(ex.headers)
        return wished if self._obeys or wished is None else Wishes(no_store=True) if wished.no_store else None
