"""Response headers that tell browsers what they may not do, one copy of each on every reply; and none that disclose the software."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal

from multidict import istr
from pydantic import AfterValidator, model_validator

from gateway.plugin import Csp, Exchange, Field, HeaderName, Headers, HeaderValue, Host, Many, OneOrMany, Plugin, Reply, Settings

Preset = Literal["helmet", "api", "owasp"]


def _off(value: bool) -> bool:
    if value:
        raise ValueError("true says nothing here; write the header's value, or false to leave it out")
    return value


Off = Annotated[bool, AfterValidator(_off)]
Switch = HeaderValue | Off | None

PRESETS: dict[Preset, dict[str, str]] = {
    # helmet 8.3.0, its defaults: https://github.com/helmetjs/helmet/blob/v8.3.0/README.md
    "helmet": {
        "Content-Security-Policy": "default-src 'self';base-uri 'self';font-src 'self' https: data:;form-action 'self';"
        "frame-ancestors 'self';img-src 'self' data:;object-src 'none';script-src 'self';script-src-attr 'none';"
        "style-src 'self' https: 'unsafe-inline';upgrade-insecure-requests",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Origin-Agent-Cluster": "?1",
        "Referrer-Policy": "no-referrer",
        "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
        "X-Content-Type-Options": "nosniff",
        "X-DNS-Prefetch-Control": "off",
        "X-Download-Options": "noopen",
        "X-Frame-Options": "SAMEORIGIN",
        "X-Permitted-Cross-Domain-Policies": "none",
        "X-XSS-Protection": "0",
    },
    # For JSON, which renders nothing, frames nothing and loads nothing.
    "api": {
        "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
        "Strict-Transport-Security": "max-age=63072000; includeSubDomains",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Embedder-Policy": "require-corp",
        "X-Permitted-Cross-Domain-Policies": "none",
        "Cache-Control": "no-store",
    },
    # OWASP Secure Headers Project, 2026-07: https://owasp.org/www-project-secure-headers/ without Clear-Site-Data, which
    # on every reply would log every user out; `extra` on the logout route is its place.
    "owasp": {
        "Cache-Control": "no-store, max-age=0",
        "Content-Security-Policy": "default-src 'self'; form-action 'self'; base-uri 'self'; object-src 'none'; frame-ancestors 'none'; "
        "upgrade-insecure-requests",
        "Cross-Origin-Embedder-Policy": "require-corp",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "accelerometer=(), autoplay=(), camera=(), cross-origin-isolated=(), display-capture=(), encrypted-media=(), "
        "fullscreen=(), geolocation=(), gyroscope=(), keyboard-map=(), magnetometer=(), microphone=(), midi=(), payment=(), "
        "picture-in-picture=(), publickey-credentials-get=(), screen-wake-lock=(), sync-xhr=(self), usb=(), web-share=(), "
        "xr-spatial-tracking=(), clipboard-read=(), clipboard-write=(), gamepad=(), hid=(), idle-detection=(), interest-cohort=(), "
        "serial=(), unload=()",
        "Referrer-Policy": "no-referrer",
        "Strict-Transport-Security": "max-age=63072000; includeSubDomains",
        "X-Content-Type-Options": "nosniff",
        "X-DNS-Prefetch-Control": "off",
        "X-Frame-Options": "deny",
        "X-Permitted-Cross-Domain-Policies": "none",
    },
}

# What discloses a product, its version or its insides: the same project's list of headers to remove.
DISCLOSING = """
$wsep Host-Header K-Proxy-Request Liferay-Portal OracleCommerceCloud-Version Pega-Host Powered-By Product Server SourceMap X-AspNet-Version
X-AspNetMvc-Version X-Atmosphere-error X-Atmosphere-first-request X-Atmosphere-tracking-id X-B3-ParentSpanId X-B3-Sampled X-B3-SpanId
X-B3-TraceId X-BEServer X-Backside-Transport X-CF-Powered-By X-CMS X-CalculatedBETarget X-Cocoon-Version X-Content-Encoded-By
X-Datadog-Origin X-Datadog-Parent-Id X-Datadog-Sampling-Priority X-Datadog-Tags X-Datadog-Trace-Id X-DiagInfo X-Envoy-Attempt-Count
X-Envoy-External-Address X-Envoy-Internal X-Envoy-Original-Dst-Host X-Envoy-Upstream-Service-Time X-FEServer X-Framework X-Generated-By
X-Generator X-Gitlab-Meta X-Jitsi-Release X-Joomla-Version X-Kong-Admin-Latency X-Kong-Client-Latency X-Kong-Proxy-Latency
X-Kong-Request-Id X-Kong-Response-Latency X-Kong-Third-Party-Latency X-Kong-Total-Latency X-Kong-Upstream-Latency X-Kong-Upstream-Status
X-Kubernetes-PF-FlowSchema-UI X-Kubernetes-PF-PriorityLevel-UID X-LiteSpeed-Cache X-LiteSpeed-Purge X-LiteSpeed-Tag X-LiteSpeed-Vary
X-Litespeed-Cache-Control X-Mod-Pagespeed X-Nextjs-Cache X-Nextjs-Matched-Path X-Nextjs-Page X-Nextjs-Redirect X-OWA-Version
X-Old-Content-Length X-OneAgent-JS-Injection X-Page-Speed X-Php-Version X-Powered-By X-Powered-By-Plesk X-Powered-CMS X-Redirect-By
X-Server-Powered-By X-SourceFiles X-SourceMap X-Turbo-Charged-By X-Tyk-Trace-Id X-Umbraco-Version X-Varnish-Backend X-Varnish-Server
X-Woodpecker-Version X-dtAgentId X-dtHealthCheck X-dtInjectedServlet X-ruxit-JS-Agent
"""
REMOVED: dict[Preset, tuple[str, ...]] = {"helmet": ("Server", "X-Powered-By"), "api": ("disclosing",), "owasp": ("disclosing",)}
"""Of each preset, as an operator would write it."""

HSTS = "Strict-Transport-Security"
REPORT_ONLY = "Content-Security-Policy-Report-Only"
_MAX_AGE = re.compile(r"(^|;)\s*max-age\s*=\s*\"?\d+", re.IGNORECASE)  # RFC 6797, section 6.1.1
NAMES = {name.lower().replace("-", "_"): name for name in (*(name for preset in PRESETS.values() for name in preset), REPORT_ONLY)}
"""Setting -> header."""


def _switch(says: str) -> Switch:
    described: Switch = Field(None, description=f"{says} A text replaces the preset's value, false leaves the header out.")
    return described


class SecurityHeadersSettings(Settings):
    shorthand: ClassVar[str] = "preset"

    preset: Preset = Field(
        "helmet",
        description="The set to begin with. helmet: the defaults of helmet 8, fit for pages; api: for JSON only, the strictest; "
        "owasp: the OWASP Secure Headers Project's, without Clear-Site-Data.",
    )
    hsts: Literal["always", "https"] = Field(
        "always",
        description="When Strict-Transport-Security is sent. always, as helmet does: whether the client came over TLS is often known "
        "only to a proxy in front, and browsers ignore the header over plain http (RFC 6797, section 8.1); https: only where the "
        "request came over TLS, here or at a trusted proxy, as section 7.2 of that RFC asks.",
    )
    content_security_policy: Csp | Off | None = Field(
        None,
        description="Where a page may load from and send to. A text, or directives with their sources, as in {default-src: [self]}, "
        "replaces the preset's, false leaves the header out.",
    )
    content_security_policy_report_only: Csp | Off | None = Field(
        None, description="The same, but browsers only report what it would keep from loading: to try one out, beside the other or alone."
    )
    strict_transport_security: Switch = _switch("For how long a browser uses nothing but https.")
    x_content_type_options: Switch = _switch("No guessing of content types.")
    x_frame_options: Switch = _switch("Who may frame a page, for browsers without CSP's frame-ancestors.")
    referrer_policy: Switch = _switch("What other sites learn of where a user came from.")
    cross_origin_opener_policy: Switch = _switch("Which windows may hold a reference to a page.")
    cross_origin_resource_policy: Switch = _switch("Which sites may embed a resource without CORS.")
    cross_origin_embedder_policy: Switch = _switch("What a page may embed.")
    origin_agent_cluster: Switch = _switch("A process for each origin, not for each site.")
    permissions_policy: Switch = _switch("Which of the browser's features a page may use.")
    x_dns_prefetch_control: Switch = _switch("No DNS look-ups of links before they are followed.")
    x_download_options: Switch = _switch("No opening of downloads in the site's context (Internet Explorer 8).")
    x_permitted_cross_domain_policies: Switch = _switch("No policy files for Flash and Acrobat.")
    x_xss_protection: Switch = _switch("Old XSS filters off: they opened holes of their own.")
    cache_control: Switch = _switch("What caches may keep, where neither the upstream nor a plugin has said so.")
    extra: dict[HeaderName, HeaderValue] = Field({}, description="More headers, by name, to have exactly once on every reply.")
    keep: Many[HeaderName] = Field(
        (), description="Headers of which the upstream's own copy, when there is exactly one, is kept; where it sent none, ours is set."
    )
    remove: OneOrMany[HeaderName] | None = Field(
        None,
        description="Headers to take off every reply. The word disclosing stands for the 87 names of OWASP's list, of a product, "
        "its version or its insides. The default goes with the preset: helmet: Server and X-Powered-By; api and owasp: disclosing.",
    )

    def headers(self) -> Headers:
        """What is to be on a reply."""
        chosen = Headers(PRESETS[self.preset])
        for setting, name in NAMES.items():
            match getattr(self, setting):
                case False:
                    chosen.popall(name, None)
                case str(value):
                    chosen[name] = value
        chosen.update(self.extra)
        return chosen

    def removed(self) -> tuple[str, ...]:
        """What is to be on none."""
        names = REMOVED[self.preset] if self.remove is None else self.remove
        return tuple(one for name in names for one in (DISCLOSING.split() if name == "disclosing" else [name]))

    @model_validator(mode="after")
    def _contradicts_nothing(self) -> SecurityHeadersSettings:
        chosen = self.headers()
        if HSTS in chosen and not _MAX_AGE.search(chosen[HSTS]):
            raise ValueError(f"strict_transport_security: {chosen[HSTS]} says nothing to a browser; write max-age=31536000, in seconds")
        for name in self.extra:
            if (setting := name.lower().replace("-", "_")) in NAMES:
                raise ValueError(f"extra: {name} has a setting of its own, {setting}")
        for name in self.keep:
            if name not in chosen:
                raise ValueError(f"keep: {name} is not set here, so the upstream's copy stays anyway")
        for name in () if self.remove is None else self.removed():
            if name in chosen:
                raise ValueError(f"remove: {name} is set here; switch it off instead")
        return self


class SecurityHeaders(Plugin[SecurityHeadersSettings]):
    once = True

    def __init__(self, settings: SecurityHeadersSettings, host: Host) -> None:
        super().__init__(settings, host)
        remove = tuple(map(istr, settings.removed()))
        ours, ifabsent = settings.headers(), Headers()
        # Whether a reply may be stored is known to who made it, and to a cache below: ours is for those who did not say.
        for name in (*settings.keep, "Cache-Control"):
            if name in ours:
                ifabsent[name] = ours.pop(name)
        self._https = remove, ours, tuple(ifabsent.items())
        self._http = self._https
        if settings.hsts == "https" and (HSTS in ours or HSTS in ifabsent):
            plain = Headers([(name, value) for name, value in ours.items() if name != HSTS])
            self._http = (*remove, istr(HSTS)), plain, tuple((name, value) for name, value in ifabsent.items() if name != HSTS)

    def on_response(self, ex: Exchange, reply: Reply) -> None:
        headers = reply.headers
        remove, ours, ifabsent = self._https if ex.scheme == "https" else self._http
        if not headers.keys().isdisjoint(remove):
            for gone in remove:
                headers.popall(gone, None)
        headers.update(ours)  # replaces every copy
        for name, value in ifabsent:
            if len(headers.getall(name, ())) != 1:
                headers[name] = value

    def explain(self, ex: Exchange) -> str:
        remove, ours, ifabsent = self._https if ex.scheme == "https" else self._http
        says = f"sets {len(ours)} headers on the reply, takes {len(remove)} names off it"
        return says + "".join(f", sets {name} where there is none" for name, _ in ifabsent)
