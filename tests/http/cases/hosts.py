"""The Host field (RFC 9110, section 7.2; RFC 9112, section 3.2)."""

from tests.http.case import Case, lines, named, refused


def _host(value: bytes) -> bytes:
    return lines(b"GET /t HTTP/1.1", b"Host: " + value)


_BAD = (
    b"",
    b"a@b",
    b"user:pass@h",
    b"a/b",
    b"a,b",
    b"a b",
    b"a:b",
    b"a:99999",
    b"a:80:80",
    b"a:-1",
    b"a:+80",
    b"a: 80",
    b":80",
    b"[::1",
    b"::1",
    b"[::1]x",
    b"[::g]",
    b"[::1]:x",
    b"[1.2.3.4]",
    b"a\tb",
    b"a\\b",
    b"a?b",
    b"a#b",
    b"http://a",
    b"a%00",
    b"a%2eb",
    "ä".encode(),
    b"\xff",
    b"a..b",
    b".a",
    b"a;b",
    b"a'b",
    b'a"b',
    b"<a>",
    b"${a}",
    b"a|b",
    b"a^b",
    b"*",
    b"*.a",
    b"a\x00",
    b"a\x7f",
    b"a" * 300,
    b"a&b",
    b"a=b",
    "h\u212a".encode(),
)
_GOOD = (
    b"h",
    b"a.b",
    b"a.b.",
    b"a:80",
    b"a-b",
    b"a_b",
    b"xn--bcher-kva.example",
    b"127.0.0.1",
    b"1.2.3.4:8080",
    b"[::1]",
    b"[2001:db8::1]:443",
)

CASES = named(
    "hosts",
    (
        *(Case(f"bad {value!r:.40}", "RFC 9110, section 7.2: host [ : port ]", _host(value)) for value in _BAD),
        *(Case(f"good {value.decode()}", "RFC 9110, section 7.2", _host(value), (200,), has=(b"Host: " + value,)) for value in _GOOD),
        Case("capitals are no other host", "RFC 3986, section 3.2.2", _host(b"A.Example"), (200,), has=(b"Host: a.example",)),
        *refused(
            "RFC 9112, section 3.2: exactly one",
            400,
            missing=lines(b"GET /t HTTP/1.1", b"X-A: b"),
            no_field_at_all=b"GET /t HTTP/1.1\r\n\r\n",
            twice=lines(b"GET /t HTTP/1.1", b"Host: h", b"Host: h"),
            twice_different=lines(b"GET /t HTTP/1.1", b"Host: h", b"Host: evil"),
            twice_in_other_case=lines(b"GET /t HTTP/1.1", b"Host: h", b"hOST: evil"),
            twice_one_empty=lines(b"GET /t HTTP/1.1", b"Host: h", b"Host:"),
            twice_empty_first=lines(b"GET /t HTTP/1.1", b"Host:", b"Host: h"),
            twice_in_10=lines(b"GET /t HTTP/1.0", b"Host: h", b"Host: evil"),
            space_before_colon=lines(b"GET /t HTTP/1.1", b"Host : h"),
            empty_in_10=lines(b"GET /t HTTP/1.0", b"Host:"),
        ),
        Case("none in 1.0", "RFC 9112, section 3.2: HTTP/1.0 needs none", b"GET /t HTTP/1.0\r\n\r\n", (200,), alive=False),
        Case("another header's host", "it is none", lines(b"GET /t HTTP/1.1", b"Host: h", b"X-Host: evil"), (200,), has=(b"Host: h",)),
    ),
)
