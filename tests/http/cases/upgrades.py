"""Upgrade: only WebSocket is switched to, and only on a GET without a body (RFC 9110, section 7.8; RFC 6455, section 4.1)."""

from tests.http.case import SMUGGLED, Case, get, named, post, refused

_KEY = (b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", b"Sec-WebSocket-Version: 13")
_PLAIN = "RFC 9110, section 7.8: a server may ignore it; CVE of h2c smuggling"


def _upgrade(protocol: bytes, *fields: bytes, connection: bytes = b"Upgrade", version: bytes = b"1.1") -> bytes:
    return get(b"Connection: " + connection, b"Upgrade: " + protocol, *fields, version=version)


CASES = named(
    "upgrades",
    (
        Case("h2c", _PLAIN, _upgrade(b"h2c"), (200,), lacks=(b"upgrade", b"connection")),
        Case(
            "h2c with settings",
            _PLAIN,
            _upgrade(b"h2c", b"HTTP2-Settings: AAMAAABkAAQAAP__", connection=b"Upgrade, HTTP2-Settings"),
            (200,),
            lacks=(b"upgrade", b"http2-settings", b"connection"),
        ),
        Case(
            "h2c and the preface behind it", _PLAIN, _upgrade(b"h2c") + b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (200, 400), lacks=(b"upgrade",)
        ),
        Case("h2c and a request behind it", _PLAIN, _upgrade(b"h2c") + get(), (200, 200), lacks=(b"upgrade",)),
        Case("tls", "RFC 2817", _upgrade(b"TLS/1.0"), (200,), lacks=(b"upgrade",)),
        Case("unknown", _PLAIN, _upgrade(b"foo/2"), (200,), lacks=(b"upgrade",)),
        Case("garbage", _PLAIN, _upgrade(b"@@@"), (200,), lacks=(b"upgrade",)),
        Case("websocket among others", _PLAIN, _upgrade(b"h2c, websocket"), (200,), lacks=(b"upgrade",)),
        Case("websocket in two lines", _PLAIN, _upgrade(b"websocket", b"Upgrade: h2c"), (200,), lacks=(b"upgrade",)),
        Case(
            "websocket that Connection does not name", _PLAIN, _upgrade(b"websocket", connection=b"keep-alive"), (200,), lacks=(b"upgrade",)
        ),
        Case(
            "websocket in 1.0",
            "RFC 6455, section 4.1",
            _upgrade(b"websocket", *_KEY, version=b"1.0"),
            (200,),
            alive=False,
            lacks=(b"upgrade",),
        ),
        Case(
            "websocket by POST", "RFC 6455, section 4.1", post(b"Connection: Upgrade", b"Upgrade: websocket"), (200,), lacks=(b"upgrade",)
        ),
        Case(
            "websocket not taken up",
            "RFC 9110, section 7.8",
            _upgrade(b"websocket", *_KEY),
            (200,),
            has=(b"Connection: Upgrade", b"Upgrade: websocket"),
        ),
        Case(
            "websocket not taken up and a request behind it",
            "RFC 9110, section 7.8: it is still HTTP",
            _upgrade(b"websocket", *_KEY) + get(),
            (200, 200),
            has=(b"Upgrade: websocket",),
        ),
        Case(
            "websocket not taken up and nonsense behind it",
            "it is still HTTP",
            _upgrade(b"websocket", *_KEY) + b"\x81\x85\r\n\r\n",
            (200, 400),
        ),
        Case(
            "websocket in capitals",
            "RFC 6455, section 4.1",
            _upgrade(b"WebSocket", *_KEY, connection=b"keep-alive, UPGRADE"),
            (200,),
            has=(b"Upgrade: websocket",),
        ),
        Case(
            "websocket with a length of zero",
            "no body",
            _upgrade(b"websocket", b"Content-Length: 0", *_KEY),
            (200,),
            has=(b"Upgrade: websocket",),
        ),
        *refused(
            "CVE-2026-69243: two readers disagree where the body of an upgrade begins",
            400,
            websocket_with_a_length=_upgrade(b"websocket", b"Content-Length: %d" % len(SMUGGLED), *_KEY) + SMUGGLED,
            websocket_with_chunks=_upgrade(b"websocket", b"Transfer-Encoding: chunked", *_KEY) + b"0\r\n\r\n" + SMUGGLED,
            h2c_with_a_length=_upgrade(b"h2c", b"Content-Length: %d" % len(SMUGGLED)) + SMUGGLED,
            h2c_with_chunks=_upgrade(b"h2c", b"Transfer-Encoding: chunked") + b"0\r\n\r\n" + SMUGGLED,
            websocket_by_post_with_a_length=post(b"Connection: Upgrade", b"Upgrade: websocket", b"Content-Length: 5", body=b"hello"),
            unnamed_with_a_length=post(b"Upgrade: websocket", b"Content-Length: 5", body=b"hello"),
        ),
    ),
)
