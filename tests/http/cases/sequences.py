"""Several requests on one connection, answered in their order, and nothing behind a refusal (RFC 9112, section 9.3.2)."""

from tests.http.case import SMUGGLED, Case, get, lines, named, post

_RULE = "RFC 9112, section 9.3.2"
_BAD = get(b"X-A : b")
_HEAD = lines(b"HEAD /t HTTP/1.1", b"Host: h")
_GUARDED = get(target=b"/admin")

CASES = named(
    "sequences",
    (
        Case("two", _RULE, get() + get(), (200, 200)),
        Case(
            "three of different targets",
            _RULE,
            get(target=b"/a") + get(target=b"/b") + get(target=b"/c"),
            (200,) * 3,
            reached=(b"/a", b"/b", b"/c"),
        ),
        Case(
            "forty", _RULE, b"".join(get(target=b"/%d" % n) for n in range(40)), (200,) * 40, reached=tuple(b"/%d" % n for n in range(40))
        ),
        Case("good before bad", _RULE, get() + _BAD, (200, 400)),
        Case("good, good, bad, good", _RULE, get() + get() + _BAD + get(), (200, 200, 400)),
        Case("bad before good", _RULE, _BAD + SMUGGLED, (400,)),
        Case("bad head before good", _RULE, b"\x00\r\n\r\n" + SMUGGLED, (400,)),
        Case("forty before bad", _RULE, get() * 40 + _BAD, (200,) * 40 + (400,)),
        Case(
            "a body before a get",
            _RULE,
            post(b"Content-Length: 5", body=b"hello") + get(),
            (200, 200),
            body=b"hello",
            methods=("POST", "GET"),
        ),
        Case(
            "chunks before a get",
            _RULE,
            post(b"Transfer-Encoding: chunked", body=b"5\r\nhello\r\n0\r\n\r\n") + get(),
            (200, 200),
            body=b"hello",
        ),
        Case("bodies in a row", _RULE, post(b"Content-Length: 5", body=b"hello") * 5, (200,) * 5, body=b"hello"),
        Case(
            "a body that looks like a request",
            _RULE,
            post(b"Content-Length: %d" % len(SMUGGLED), body=SMUGGLED) + get(),
            (200, 200),
            body=SMUGGLED,
        ),
        Case("a get with a body before a get", _RULE, get(b"Content-Length: 5", body=b"hello") + get(), (200, 200), body=b"hello"),
        Case("a body longer than announced", _RULE, post(b"Content-Length: 4", body=b"hello") + get(), (200, 400), body=b"hell"),
        Case("a body nobody announced", _RULE, post(body=b"hello\r\n\r\n"), (200, 400)),
        Case("an empty line between", "RFC 9112, section 2.2", get() + b"\r\n" + get(), (200, 200)),
        Case("head before get", _RULE, _HEAD + get(), (200, 200), methods=("HEAD", "GET")),
        Case("head before head", _RULE, _HEAD + _HEAD, (200, 200), methods=("HEAD", "HEAD")),
        Case("refused by its route before a get", _RULE, _GUARDED + get(), (403, 200), reached=(b"/t",), alive=True),
        Case(
            "refused by its route with a body before a get",
            "RFC 9112, section 9.3: the body is read, or the connection closed",
            lines(b"POST /admin HTTP/1.1", b"Host: h", b"Content-Length: %d" % len(SMUGGLED), body=SMUGGLED),
            (403,),
            reached=(),
            alive="either",
        ),
        Case(
            "too large a body is not read as a request",
            _RULE,
            post(b"Content-Length: 99999") + SMUGGLED,
            (413,),
        ),
        Case(
            "the same head, then one that differs in a field",
            "what was known of the last one must not stay",
            get() + get(b"X-A: 1") + get(),
            (200,) * 3,
            lacks=(b"x-a",),
        ),
        Case(
            "the same head, then another host",
            "what was known of the last one must not stay",
            get() + lines(b"GET /t HTTP/1.1", b"Host: i") + get(),
            (200,) * 3,
        ),
        Case("the same head, then a broken line", "the short way is no laxer", get() + lines(b"GET  /t HTTP/1.1", b"Host: h"), (200, 400)),
        Case("the same head, then a bad target", "the short way is no laxer", get() + get(target=b"/../t"), (200, 400)),
        Case("the same head, then trace", "the short way is no laxer", get() + lines(b"TRACE /t HTTP/1.1", b"Host: h"), (200, 501)),
        Case("the same head, then 1.0", "the short way is no laxer", get() + get(version=b"1.0"), (200, 200), alive=False),
        Case(
            "the same head, then the guarded path",
            "the short way is no laxer",
            get() + get(target=b"/%61dmin"),
            (200, 403),
            reached=(b"/t",),
            alive=True,
        ),
        Case("the same head, then too long a target", "the short way is no laxer", get() + get(target=b"/" + b"a" * 2048), (200, 414)),
        Case(
            "the same head, then one without the end of its line",
            "the short way is no laxer",
            get() + b"GET /t HTTP/1.1\nHost: h\r\n\r\n",
            (200, 400),
        ),
    ),
)
