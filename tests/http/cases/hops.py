"""Fields for one hop only, and what Connection may name (RFC 9110, section 7.6.1)."""

from tests.http.case import SMUGGLED, Case, get, named, post, refused

_RULE = "RFC 9110, section 7.6.1"
_STRIP = "naming a field in Connection must not take from the upstream what the policy saw"

CASES = named(
    "hops",
    (
        *(
            Case(f"{line.partition(b':')[0].decode()} is removed", _RULE, get(line), (200,), lacks=(line.partition(b":")[0],))
            for line in (
                b"Keep-Alive: timeout=5",
                b"Proxy-Connection: keep-alive",
                b"Proxy-Authorization: Basic YTpi",
                b"Proxy-Authenticate: Basic",
                b"Trailer: X-Sum",
                b"HTTP2-Settings: AAMAAABkAAQAAP__",
                b"TE: gzip",
                b"Upgrade: h2c",
                b"Connection: keep-alive",
            )
        ),
        Case(
            "what Connection names is removed",
            _RULE,
            get(b"X-Secret: 1", b"Connection: X-Secret"),
            (200,),
            lacks=(b"x-secret", b"connection"),
        ),
        Case("named before it comes", _RULE, get(b"Connection: x-secret", b"X-Secret: 1", b"X-SECRET: 2"), (200,), lacks=(b"x-secret",)),
        Case("named in a list", _RULE, get(b"X-A: 1", b"X-B: 2", b"Connection: keep-alive ,X-A,, X-B"), (200,), lacks=(b"x-a", b"x-b")),
        Case(
            "named in two lines", _RULE, get(b"X-A: 1", b"X-B: 2", b"Connection: X-A", b"Connection: X-B"), (200,), lacks=(b"x-a", b"x-b")
        ),
        Case("host cannot be named", _STRIP, get(b"Connection: host"), (200,), has=(b"Host: h",)),
        Case(
            "authorization cannot be named",
            _STRIP,
            get(b"Authorization: Bearer a", b"Connection: authorization"),
            (200,),
            has=(b"Authorization: Bearer a",),
        ),
        Case("cookie cannot be named", _STRIP, get(b"Cookie: a=1", b"Connection: cookie"), (200,), has=(b"Cookie: a=1",)),
        Case(
            "origin cannot be named",
            _STRIP,
            get(b"Origin: https://a.example", b"Connection: origin"),
            (200,),
            has=(b"Origin: https://a.example",),
        ),
        Case(
            "x-forwarded-for cannot be named",
            "CVE-2022-31813",
            get(b"Connection: x-forwarded-for, x-real-ip, forwarded, via"),
            (200,),
            has=(b"X-Forwarded-For: 127.0.0.1", b"X-Real-IP: 127.0.0.1"),
        ),
        Case(
            "x-forwarded-host cannot be named",
            "CVE-2022-31813",
            get(b"Connection: x-forwarded-host, x-forwarded-proto"),
            (200,),
            has=(b"X-Forwarded-Host: h", b"X-Forwarded-Proto: http"),
        ),
        Case(
            "x-request-id cannot be named",
            _STRIP,
            get(b"X-Request-Id: abc", b"Connection: x-request-id"),
            (200,),
            has=(b"X-Request-Id: abc",),
        ),
        Case(
            "the length cannot be named",
            _STRIP,
            post(b"Content-Length: 5", b"Connection: content-length", body=b"hello"),
            (200,),
            body=b"hello",
        ),
        Case(
            "the encoding cannot be named",
            _STRIP,
            post(b"Transfer-Encoding: chunked", b"Connection: transfer-encoding", body=b"5\r\nhello\r\n0\r\n\r\n"),
            (200,),
            body=b"hello",
        ),
        Case("garbage in Connection", _RULE, get(b"Connection: @, (), ;, \xe9"), (200,)),
        Case(
            "te trailers goes on by itself",
            "RFC 9110, section 10.1.4",
            get(b"TE: trailers, deflate;q=0.5", b"Connection: TE"),
            (200,),
            has=(b"TE: trailers", b"Connection: TE"),
        ),
        Case("close", "RFC 9112, section 9.6", get(b"Connection: close"), (200,), alive=False, lacks=(b"connection",)),
        Case("close in capitals", "RFC 9112, section 9.6", get(b"Connection: CLOSE"), (200,), alive=False),
        Case(
            "close among others", "RFC 9112, section 9.6", get(b"X-A: 1", b"Connection: X-A, close"), (200,), alive=False, lacks=(b"x-a",)
        ),
        Case("close and keep-alive", "RFC 9112, section 9.3: close wins", get(b"Connection: keep-alive, close"), (200,), alive=False),
        Case(
            "close and then a request",
            "RFC 9112, section 9.6: not to be processed",
            get(b"Connection: close") + SMUGGLED,
            (200,),
            alive=False,
        ),
        Case("1.0 closes", "RFC 9112, section 9.3", get(version=b"1.0") + SMUGGLED, (200,), alive=False),
        Case(
            "1.0 keeps alive when asked to", "RFC 9112, section C.2.2", get(b"Connection: keep-alive", version=b"1.0"), (200,), alive=True
        ),
        *refused(
            "RFC 9110, section 10.1.1: an expectation that cannot be met",
            417,
            expect_other=get(b"Expect: 200-ok"),
            expect_list=post(b"Expect: 100-continue, foo", b"Content-Length: 0"),
            expect_empty=get(b"Expect:"),
            expect_parameter=get(b"Expect: 100-continue;x=1"),
        ),
        Case(
            "expect with its body at once",
            "RFC 9110, section 10.1.1",
            post(b"Expect: 100-continue", b"Content-Length: 5", body=b"hello"),
            (200,),
            body=b"hello",
            lacks=(b"expect",),
        ),
        Case(
            "expect in capitals",
            "RFC 9110, section 10.1.1",
            post(b"Expect: 100-CONTINUE", b"Content-Length: 5", body=b"hello"),
            (200,),
            body=b"hello",
            lacks=(b"expect",),
        ),
        Case("expect without a body", "RFC 9110, section 10.1.1", get(b"Expect: 100-continue"), (200,), lacks=(b"expect",)),
        Case(
            "expect in 1.0 is ignored",
            "RFC 9110, section 10.1.1",
            post(b"Expect: 100-continue", b"Content-Length: 5", body=b"hello", version=b"1.0"),
            (200,),
            body=b"hello",
            alive=False,
            lacks=(b"expect",),
        ),
        Case(
            "expect twice",
            "RFC 9110, section 10.1.1",
            post(b"Expect: 100-continue", b"Expect: 100-continue", b"Content-Length: 5", body=b"hello"),
            (200,),
            body=b"hello",
            lacks=(b"expect",),
        ),
    ),
)
