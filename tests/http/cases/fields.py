"""Header fields: their lines, names, values, and how often they may come (RFC 9110, section 5; RFC 9112, section 5)."""

from tests.http.case import Case, get, lines, named, post, refused, served

_CONTROLS = (0x00, 0x01, 0x07, 0x08, 0x0B, 0x0C, 0x0E, 0x1B, 0x1F, 0x7F)


def _field(line: bytes) -> bytes:
    return get(line)


CASES = named(
    "fields",
    (
        *(Case(f"control {byte:#04x} in a value", "RFC 9110, section 5.5", _field(b"X-A: a%cb" % byte), (400,)) for byte in _CONTROLS),
        *(
            Case(f"{chr(byte)!r} in a name", "RFC 9110, section 5.1: a name is a token", _field(b"X%cA: b" % byte), (400,))
            for byte in b'\x00\x01\t (),/;<=>?@[\\]{}"\x7f\x80\xe9\xff'
        ),
        *refused(
            "RFC 9112, section 5.2: a folded line is refused",
            400,
            folded_by_space=get(b"X-A: a", b" b"),
            folded_by_tab=get(b"X-A: a", b"\tb"),
            folded_into_nothing=get(b"X-A: a", b" "),
            folded_first_line=lines(b"GET /t HTTP/1.1", b" X-A: b", b"Host: h"),
            folded_host=lines(b"GET /t HTTP/1.1", b"Host:", b" h"),
            folded_request_line=lines(b"GET /t", b" HTTP/1.1", b"Host: h"),
        ),
        *refused(
            "RFC 9112, section 5: a line is name, colon, value",
            400,
            no_colon=_field(b"X-A"),
            no_name=_field(b": a"),
            only_colon=_field(b":"),
            space_before_colon=_field(b"X-A : a"),
            second_request_line=_field(b"GET /smuggled HTTP/1.1"),
        ),
        *refused(
            "RFC 9112, section 2.2 and CVE-2023-37276: lines end with CRLF and with nothing else",
            400,
            bare_lf_everywhere=b"GET /t HTTP/1.1\nHost: h\n\n",
            bare_lf_before_the_end=b"GET /t HTTP/1.1\r\nHost: h\n\r\n",
            bare_lf_behind_the_line=b"GET /t HTTP/1.1\nHost: h\r\n\r\n",
            bare_cr_behind_the_line=b"GET /t HTTP/1.1\rHost: h\r\n\r\n",
            bare_cr_between=b"GET /t HTTP/1.1\r\nHost: h\rX-A: b\r\n\r\n",
            bare_cr_behind_value=b"GET /t HTTP/1.1\r\nHost: h\r\nX-A: b\r\r\n\r\n",
            cr_before_name=b"GET /t HTTP/1.1\r\nHost: h\r\n\rX-A: b\r\n\r\n",
            lf_in_value=_field(b"X-A: a\nX-B: b"),
        ),
        *refused(
            "of two, gateway and upstream may each believe another",
            400,
            two_authorizations=get(b"Authorization: Bearer a", b"Authorization: Bearer b"),
            two_authorizations_in_other_case=get(b"Authorization: Bearer a", b"aUTHORIZATION: Bearer b"),
            two_origins=get(b"Origin: https://a.example", b"Origin: https://b.example"),
            two_content_types=post(b"Content-Type: text/plain", b"Content-Type: application/json", b"Content-Length: 0"),
        ),
        *served(
            "RFC 9110, section 5.5: a value may be empty, hold tabs and bytes above 0x7f",
            empty_value=_field(b"X-A:"),
            value_of_spaces=_field(b"X-A:   "),
            no_space_behind_colon=_field(b"X-A:a"),
            a_name_of_all_that_a_token_may_hold=_field(b"!#$%&'*+-.^`|~09AZaz: x"),
        ),
        Case("tab in a value", "RFC 9110, section 5.5", _field(b"X-A: a\tb"), (200,), has=(b"X-A: a\tb",)),
        Case("utf-8 in a value", "RFC 9110, section 5.5", _field("X-A: é€".encode()), (200,), has=("X-A: é€".encode(),)),
        Case(
            "latin-1 in a value",
            "RFC 9110, section 5.5: obs-text passes as it is",
            _field(b"X-A: \xe9\xff"),
            (200,),
            has=(b"X-A: \xe9\xff",),
        ),
        Case("C1 control in a value", "RFC 9110, section 5.5: obs-text", _field(b"X-A: a\x85b"), (200,), has=(b"X-A: a\x85b",)),
        Case("broken utf-8 in a value", "RFC 9110, section 5.5", _field(b"X-A: \xc0\xaf"), (200,), has=(b"X-A: \xc0\xaf",)),
        Case("an encoded line end", "decoded it would be two lines", _field(b"X-A: a%0d%0aX-B: b"), (200,), has=(b"X-A: a%0d%0aX-B: b",)),
        Case(
            "repeated fields stay repeated",
            "RFC 9110, section 5.3",
            get(b"X-A: 1", b"X-B: 2", b"x-a: 3"),
            (200,),
            has=(b"X-A: 1", b"x-a: 3"),
        ),
        Case(
            "repeated cookies",
            "RFC 9110, section 5.3: never joined by a comma",
            get(b"Cookie: a=1", b"Cookie: b=2"),
            (200,),
            has=(b"Cookie: a=1", b"Cookie: b=2"),
        ),
        Case(
            "an underscored name",
            "CGI reads it as another",
            get(b"X_Real_IP: 1.2.3.4", b"X-A: b"),
            (200,),
            has=(b"X-A: b",),
            lacks=(b"x_real_ip",),
        ),
        Case(
            "routing overrides",
            "Symfony and others route by them",
            get(b"X-Original-URL: /admin", b"X-Rewrite-URL: /admin"),
            (200,),
            lacks=(b"x-original-url", b"x-rewrite-url"),
        ),
        Case(
            "an authorization", "RFC 9110, section 11.6.2", get(b"Authorization: Basic YTpi"), (200,), has=(b"Authorization: Basic YTpi",)
        ),
        Case("an empty line in front", "RFC 9112, section 2.2: should be ignored", b"\r\n" + get(), (200,)),
        Case("two empty lines in front", "RFC 9112, section 2.2: at least one", b"\r\n\r\n" + get()),
        Case(
            "accept-encoding passes",
            "bodies are never decoded here",
            get(b"Accept-Encoding: gzip"),
            (200,),
            has=(b"Accept-Encoding: gzip",),
        ),
    ),
)
