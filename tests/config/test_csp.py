"""Content-Security-Policy: what may be written, and what browsers would silently ignore (https://www.w3.org/TR/CSP3/)."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.config.csp import csp


@pytest.mark.parametrize(
    ("written", "header"),
    [
        ("default-src 'self'", "default-src 'self'"),
        (" DEFAULT-SRC  'self' ;; img-src *;", "default-src 'self'; img-src *"),
        ({"default-src": "self"}, "default-src 'self'"),
        ({"default-src": ["none"]}, "default-src 'none'"),
        ({"default-src": "'self' https:"}, "default-src 'self' https:"),
        ({"script-src": ["self", "strict-dynamic", "sha256-abcd=", "'sha512-ab+/'"]},
         "script-src 'self' 'strict-dynamic' 'sha256-abcd=' 'sha512-ab+/'"),
        ({"connect-src": ["https://*.example.com:*/v1/", "wss://a.test", "localhost:3000", "[::1]:80", "*"]},
         "connect-src https://*.example.com:*/v1/ wss://a.test localhost:3000 [::1]:80 *"),
        ({"img-src": ["data:", "blob:", "HTTPS:"]}, "img-src data: blob: HTTPS:"),
        ({"upgrade-insecure-requests": True}, "upgrade-insecure-requests"),
        ({"sandbox": True}, "sandbox"),
        ({"sandbox": ["allow-scripts", "allow-forms"]}, "sandbox allow-scripts allow-forms"),
        ({"require-trusted-types-for": "script", "trusted-types": ["one", "allow-duplicates"]},
         "require-trusted-types-for 'script'; trusted-types one 'allow-duplicates'"),
        ({"default-src": "self", "report-to": "csp", "report-uri": "/csp"}, "default-src 'self'; report-to csp; report-uri /csp"),
        ({"trusted-types": "none"}, "trusted-types 'none'"),
    ],
)  # fmt: skip
def test_what_may_be_written(written: Any, header: str) -> None:
    assert csp(written) == header
    assert csp(header) == header  # and whatever is said is right itself


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("", "no directive"),
        (" ; ", "no directive"),
        ({}, "no directive"),
        ([], "expected a text"),
        (7, "expected a text"),
        ("default-source 'self'", 'no directive of a Content-Security-Policy; did you mean "default-src"'),
        ({"scrip-src": "self"}, 'did you mean "script-src"'),
        ("default-src self", "without quotes is a host of that name; write 'self'"),
        ({"default-src": "slef"}, "did you mean 'self'?"),
        ("script-src unsafe_inline https:; img-src unsafe-inlin", "did you mean 'unsafe-inline'?"),
        ("default-src none", "write 'none'"),
        ("script-src Unsafe-Inline", "in single quotes"),
        ("script-src 'slef'", 'no keyword; did you mean "self"'),
        ("script-src 'sha1-abcd'", "no keyword"),
        ("script-src 'nonce-abcd'", "a nonce is new for each reply"),
        ("default-src 'none' https:", "'none' stands alone"),
        ({"default-src": ["none", "self"]}, "'none' stands alone"),
        ("default-src 'self'; default-src https:", "stands twice"),
        ("default-src 'self'; Default-Src https:", "stands twice"),
        ("default-src 'self', img-src *", "a comma begins another policy"),
        ({"default-src": "self; script-src *"}, "a character that no source has"),
        ({"default-src": ["a,b"]}, "a character that no source has"),
        ({"default-src": ["https://ex\u00e4mple.com"]}, "a character that no source has"),
        ({"default-src": ["self\r\nX:"]}, "a character that no source has"),
        ({"default-src": ["https://"]}, "is no source"),
        ({"default-src": ["a b"]}, "a character that no source has"),
        ({"default-src": ["*.*.test"]}, "is no source"),
        ({"default-src": True}, "expected a source"),
        ({"default-src": []}, "expected a source"),
        ({"default-src": None}, "expected a source"),
        ({"default-src": [7]}, "expected a source"),
        ({"default-src": ""}, "expected a source"),
        ({"upgrade-insecure-requests": False}, "expected true"),
        ({"upgrade-insecure-requests": "yes"}, "takes no value"),
        ("upgrade-insecure-requests 1", "takes no value"),
        ({7: "self"}, "7 is no directive"),
    ],
)
def test_what_may_not(written: Any, why: str) -> None:
    with pytest.raises(ValueError, match=r"(?s).") as caught:
        csp(written)
    assert why in str(caught.value)
