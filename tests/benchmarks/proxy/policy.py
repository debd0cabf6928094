"""The policy that a peer `with the same policy` has: what it adds to each reply of the upstream."""

from __future__ import annotations

ORIGIN = "https://app.example.com"
"""The one that CORS allows, with credentials; every request comes from there."""

SECURITY_HEADERS = {
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "origin-agent-cluster": "?1",
    "referrer-policy": "no-referrer",
    "strict-transport-security": "max-age=31536000; includeSubDomains",
    "x-content-type-options": "nosniff",
    "x-dns-prefetch-control": "off",
    "x-download-options": "noopen",
    "x-frame-options": "SAMEORIGIN",
    "x-permitted-cross-domain-policies": "none",
    "x-xss-protection": "0",
}
"""What our security_headers sends, as it is by default; a run fails when it no longer does."""

CORS_HEADERS = frozenset({"access-control-allow-origin", "access-control-allow-credentials"})
ADDED = CORS_HEADERS | SECURITY_HEADERS.keys()
