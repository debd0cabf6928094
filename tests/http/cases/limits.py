"""What one client may ask of our memory. The policy of these: target 2 KiB, head 8 KiB, 64 fields, body 64 KiB."""

from tests.http.case import Case, get, lines, named, post, refused

_FULL = 2048

CASES = named(
    "limits",
    (
        Case(
            "the longest target", "RFC 9112, section 3", get(target=b"/" + b"a" * (_FULL - 1)), (200,), reached=(b"/" + b"a" * (_FULL - 1),)
        ),
        Case(
            "the longest query",
            "RFC 9112, section 3",
            get(target=b"/t?" + b"a" * (_FULL - 3)),
            (200,),
            reached=(b"/t?" + b"a" * (_FULL - 3),),
        ),
        Case("as many fields as may be", "RFC 6585, section 5", get(*[b"X-A: b"] * 63), (200,)),
        Case("a long value", "RFC 6585, section 5", get(b"X-A: " + b"a" * 7000), (200,)),
        Case("the longest body", "RFC 9110, section 15.5.14", post(b"Content-Length: 65536", body=b"a" * 65536), (200,), body=b"a" * 65536),
        *refused(
            "RFC 9110, section 15.5.15",
            414,
            target_too_long=get(target=b"/" + b"a" * _FULL),
            query_too_long=get(target=b"/t?" + b"a" * _FULL),
            target_longer_than_a_head=get(target=b"/" + b"a" * 9000),
            target_without_end=b"GET /" + b"a" * 20000,
            absolute_too_long=lines(b"GET http://h/" + b"a" * _FULL + b" HTTP/1.1", b"Host: h"),
        ),
        *refused(
            "RFC 6585, section 5",
            431,
            one_field_too_many=get(*[b"X-A: b"] * 64),
            many_fields_too_many=get(*[b"A:"] * 2000),
            value_too_long=get(b"X-A: " + b"a" * 9000),
            name_too_long=get(b"X" * 9000 + b": a"),
            cookie_too_long=get(b"Cookie: " + b"a=b; " * 2000),
            head_without_end=b"GET /t HTTP/1.1\r\nHost: h\r\nX-A: " + b"a" * 20000,
            fields_without_end=b"GET /t HTTP/1.1\r\nHost: h\r\n" + b"X-A: b\r\n" * 2500,
        ),
        *refused(
            "RFC 9110, section 15.5.14",
            413,
            announced_huge=post(b"Content-Length: 999999999999999999"),
            announced_huge_and_expecting=post(b"Expect: 100-continue", b"Content-Length: 999999999"),
            chunks_without_end=post(b"Transfer-Encoding: chunked", body=b"11000\r\n" + b"a" * 0x11000 + b"\r\n5\r\nhe"),
        ),
        Case(
            "announced too long",
            "RFC 9110, section 15.5.14",
            post(b"Content-Length: 65537", body=b"a" * 65537),
            (413,),
            alive="either",
        ),
        Case(
            "chunks too long",
            "RFC 9110, section 15.5.14",
            post(b"Transfer-Encoding: chunked", body=b"11000\r\n" + b"a" * 0x11000 + b"\r\n0\r\n\r\n"),
            (413,),
            alive="either",
        ),
    ),
)
