"""Who the client is: what untrusted and trusted peers say of it (X-Forwarded-*; RFC 7239)."""

from tests.http.case import Case, get, named

_RULE = "a peer that is not trusted is the client itself"
_WALK = "the client is the rightmost address that is not trusted"

# The peer is 127.0.0.1. In UNTRUSTED nobody is believed, in TRUSTED 127.0.0.0/8 and 10.0.0.0/8 are.
UNTRUSTED = named(
    "untrusted",
    (
        *(
            Case(
                line.decode(),
                _RULE,
                get(line),
                (200,),
                has=(
                    b"X-Forwarded-For: 127.0.0.1",
                    b"X-Real-IP: 127.0.0.1",
                    b"X-Forwarded-Proto: http",
                    b"X-Forwarded-Host: h",
                    b'Forwarded: for=127.0.0.1;proto=http;host="h"',
                ),
            )
            for line in (
                b"X-Forwarded-For: 1.2.3.4",
                b"x-forwarded-for: 127.0.0.1, 1.2.3.4",
                b"X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-For: 5.6.7.8",
                b"X-Forwarded-Proto: https",
                b"X-Forwarded-Host: evil",
                b"X-Real-IP: 1.2.3.4",
                b"X-Real-IP: 1.2.3.4\r\nX-Real-IP: 5.6.7.8",
                b"Forwarded: for=1.2.3.4;proto=https;host=evil",
                b"Forwarded: for=1.2.3.4\r\nForwarded: for=5.6.7.8",
            )
        ),
        *(
            Case(name.decode(), _RULE, get(name + b": evil"), (200,), lacks=(name,))
            for name in (b"X-Forwarded-Port", b"X-Forwarded-Prefix", b"X-Forwarded-Server", b"X_Forwarded_For", b"X-Forwarded_For")
        ),
    ),
)

_CHAINS = {
    b"1.2.3.4": (b"1.2.3.4", b"1.2.3.4, 127.0.0.1"),
    b"6.6.6.6, 1.2.3.4": (b"1.2.3.4", b"1.2.3.4, 127.0.0.1"),
    b"6.6.6.6, 1.2.3.4, 10.0.0.9": (b"1.2.3.4", b"1.2.3.4, 10.0.0.9, 127.0.0.1"),
    b"10.0.0.8, 10.0.0.9": (b"10.0.0.8", b"10.0.0.8, 10.0.0.9, 127.0.0.1"),
    b"1.2.3.4:5678": (b"1.2.3.4", b"1.2.3.4, 127.0.0.1"),
    b"[2001:db8::1]:443": (b"2001:db8::1", b"2001:db8::1, 127.0.0.1"),
    b"2001:DB8::1": (b"2001:db8::1", b"2001:db8::1, 127.0.0.1"),
    b"::ffff:1.2.3.4": (b"1.2.3.4", b"1.2.3.4, 127.0.0.1"),
    b"::ffff:10.0.0.9": (b"10.0.0.9", b"10.0.0.9, 127.0.0.1"),
    b"unknown": (b"127.0.0.1", b"127.0.0.1"),
    b"1.2.3.4, unknown": (b"127.0.0.1", b"127.0.0.1"),
    b"1.2.3.4, <script>": (b"127.0.0.1", b"127.0.0.1"),
    b"1.2.3.4, 999.1.1.1": (b"127.0.0.1", b"127.0.0.1"),
    b"01.02.03.04": (b"127.0.0.1", b"127.0.0.1"),
    b"0x7f.1": (b"127.0.0.1", b"127.0.0.1"),
    b"1.2.3.4,": (b"127.0.0.1", b"127.0.0.1"),
    b",": (b"127.0.0.1", b"127.0.0.1"),
    b"": (b"127.0.0.1", b"127.0.0.1"),
    b"\xe9": (b"127.0.0.1", b"127.0.0.1"),
    b"1.2.3.4\r\nX-Forwarded-For: 10.0.0.9": (b"1.2.3.4", b"1.2.3.4, 10.0.0.9, 127.0.0.1"),
    b"6.6.6.6\r\nX-Forwarded-For: 1.2.3.4": (b"1.2.3.4", b"1.2.3.4, 127.0.0.1"),
}

TRUSTED = named(
    "trusted",
    (
        *(
            Case(
                f"chain {sent!r}",
                _WALK,
                get(b"X-Forwarded-For: " + sent),
                (200,),
                has=(b"X-Real-IP: " + client, b"X-Forwarded-For: " + chain),
            )
            for sent, (client, chain) in _CHAINS.items()
        ),
        Case("a long chain", _WALK, get(b"X-Forwarded-For: " + b"6.6.6.6, " * 500 + b"1.2.3.4"), (200,), has=(b"X-Real-IP: 1.2.3.4",)),
        Case("nothing said", _WALK, get(), (200,), has=(b"X-Real-IP: 127.0.0.1", b"X-Forwarded-Proto: http")),
        Case(
            "https",
            _WALK,
            get(b"X-Forwarded-Proto: https"),
            (200,),
            has=(b"X-Forwarded-Proto: https", b'Forwarded: for=127.0.0.1;proto=https;host="h"'),
        ),
        Case("the last proto", _WALK, get(b"X-Forwarded-Proto: https, http"), (200,), has=(b"X-Forwarded-Proto: http",)),
        Case("a proto nobody speaks", _WALK, get(b"X-Forwarded-Proto: javascript"), (200,), has=(b"X-Forwarded-Proto: http",)),
        Case("a host", _WALK, get(b"X-Forwarded-Host: api.example:8443"), (200,), has=(b"Host: h", b"X-Forwarded-Host: api.example:8443")),
        Case("the last host", _WALK, get(b"X-Forwarded-Host: evil, api.example"), (200,), has=(b"X-Forwarded-Host: api.example",)),
        *(
            Case(
                f"no host {value!r}",
                "a trusted proxy may pass on what its client said",
                get(b"X-Forwarded-Host: " + value),
                (200,),
                has=(b"X-Forwarded-Host: h",),
            )
            for value in (b"a@b", b"a/b", b'a";by="b', b"a b", b"\xff", b"<a>", b"")
        ),
        Case(
            "Forwarded is not read",
            "its fields would disagree with the others",
            get(b"Forwarded: for=1.2.3.4;proto=https"),
            (200,),
            has=(b'Forwarded: for=127.0.0.1;proto=http;host="h"',),
        ),
        Case("x-real-ip is not read", "the chain says it", get(b"X-Real-IP: 1.2.3.4"), (200,), has=(b"X-Real-IP: 127.0.0.1",)),
    ),
)
