"""Inside a chunked request body (RFC 9112, section 7.1)."""

from tests.http.case import SMUGGLED, Case, get, named, post, refused, served


def _chunked(body: bytes) -> bytes:
    return post(b"Transfer-Encoding: chunked", body=body)


def _trailers(block: bytes) -> bytes:
    return _chunked(b"5\r\nhello\r\n0\r\n" + block)


CASES = named(
    "chunks",
    (
        *served(
            "RFC 9112, section 7.1: sizes are hexadecimal, extensions are ignored",
            body=b"hello",
            two=_chunked(b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"),
            single_bytes=_chunked(b"".join(b"1\r\n%c\r\n" % byte for byte in b"hello") + b"0\r\n\r\n"),
            leading_zeros=_chunked(b"0005\r\nhello\r\n000\r\n\r\n"),
            extension=_chunked(b"5;a=b\r\nhello\r\n0;c\r\n\r\n"),
            extension_quoted=_chunked(b'5;a="b;c"\r\nhello\r\n0\r\n\r\n'),
            extension_behind_space=_chunked(b"5 ;a\r\nhello\r\n0\r\n\r\n"),
            extension_empty=_chunked(b"5;\r\nhello\r\n0\r\n\r\n"),
            trailer=_trailers(b"X-Sum: 1\r\n\r\n"),
            trailer_with_framing=_trailers(b"Content-Length: 99\r\nTransfer-Encoding: chunked\r\nHost: evil\r\n\r\n"),
            trailer_with_identity=_trailers(b"Authorization: Bearer x\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n"),
        ),
        *served(
            "RFC 9112, section 7.1",
            body=b"hello, wide world!",
            upper_case_size=_chunked(b"12\r\nhello, wide world!\r\n0\r\n\r\n"),
            letters=_chunked(b"A\r\nhello, wid\r\n8\r\ne world!\r\n0\r\n\r\n"),
            small_letters=_chunked(b"a\r\nhello, wid\r\n8\r\ne world!\r\n0\r\n\r\n"),
        ),
        *served(
            "a chunk's data is data",
            body=b"0\r\n\r\n" + SMUGGLED,
            looks_like_the_end=_chunked(b"%x\r\n0\r\n\r\n%b\r\n0\r\n\r\n" % (5 + len(SMUGGLED), SMUGGLED)),
        ),
        *refused(
            "RFC 9112, section 7.1: a size is hexadecimal digits and nothing else",
            400,
            size_0x=_chunked(b"0x5\r\nhello\r\n0\r\n\r\n"),
            size_plus=_chunked(b"+5\r\nhello\r\n0\r\n\r\n"),
            size_minus=_chunked(b"-5\r\nhello\r\n0\r\n\r\n"),
            size_minus_zero=_chunked(b"-0\r\n\r\n" + SMUGGLED),
            size_underscore=_chunked(b"0_5\r\nhello\r\n0\r\n\r\n"),
            size_space_before=_chunked(b" 5\r\nhello\r\n0\r\n\r\n"),
            size_tab_before=_chunked(b"\t5\r\nhello\r\n0\r\n\r\n"),
            size_space_behind=_chunked(b"5 \r\nhello\r\n0\r\n\r\n"),
            size_vertical_tab=_chunked(b"5\x0b\r\nhello\r\n0\r\n\r\n"),
            size_nul=_chunked(b"5\x00\r\nhello\r\n0\r\n\r\n"),
            size_no_digit=_chunked(b"g\r\nhello\r\n0\r\n\r\n"),
            size_digit_then_letter=_chunked(b"5z\r\nhello\r\n0\r\n\r\n"),
            size_empty=_chunked(b"\r\nhello\r\n0\r\n\r\n"),
            size_only_extension=_chunked(b";a\r\nhello\r\n0\r\n\r\n"),
            size_full_width=_chunked("\uff15\r\nhello\r\n0\r\n\r\n".encode()),
            size_of_2_to_the_64=_chunked(b"10000000000000000\r\nhello\r\n0\r\n\r\n"),
            size_of_2_to_the_64_and_5=_chunked(b"10000000000000005\r\nhello\r\n0\r\n\r\n"),
            size_of_2_to_the_63=_chunked(b"8000000000000000\r\nhello\r\n0\r\n\r\n"),
            size_many_zeros=_chunked(b"0" * 2000 + b"5\r\nhello\r\n0\r\n\r\n"),
        ),
        *refused(
            "RFC 9112, section 2.2 and CVE-2024-52304: lines end with CRLF",
            400,
            lf_behind_size=_chunked(b"5\nhello\r\n0\r\n\r\n"),
            cr_behind_size=_chunked(b"5\rhello\r\n0\r\n\r\n"),
            crcrlf_behind_size=_chunked(b"5\r\r\nhello\r\n0\r\n\r\n"),
            lf_in_extension=_chunked(b"5;a\nb\r\nhello\r\n0\r\n\r\n"),
            cr_in_extension=_chunked(b"5;a\rb\r\nhello\r\n0\r\n\r\n"),
            nul_in_extension=_chunked(b"5;a\x00b\r\nhello\r\n0\r\n\r\n"),
            delete_in_extension=_chunked(b"5;a\x7f\r\nhello\r\n0\r\n\r\n"),
            extension_without_end=_chunked(b"5;" + b"a" * 4000),
            extension_too_long=_chunked(b"5;" + b"a" * 4000 + b"\r\nhello\r\n0\r\n\r\n"),
            lf_behind_data=_chunked(b"5\r\nhello\n0\r\n\r\n"),
            cr_behind_data=_chunked(b"5\r\nhello\r0\r\n\r\n"),
            nothing_behind_data=_chunked(b"5\r\nhello0\r\n\r\n"),
            data_too_long=_chunked(b"4\r\nhello\r\n0\r\n\r\n"),
            data_too_short=_chunked(b"6\r\nhello\r\n0\r\n\r\n"),
            last_chunk_ended_by_lf=_chunked(b"0\n\n"),
            last_chunk_then_lf=_chunked(b"0\r\n\n" + SMUGGLED),
            last_chunk_then_cr=_chunked(b"0\r\n\r" + SMUGGLED),
        ),
        *refused(
            "RFC 9112, section 7.1.2: trailers are fields, and no more of them than may be",
            400,
            trailer_without_colon=_trailers(b"X-Sum\r\n\r\n"),
            trailer_space_before_colon=_trailers(b"X-Sum : 1\r\n\r\n"),
            trailer_without_name=_trailers(b": 1\r\n\r\n"),
            trailer_folded=_trailers(b"X-Sum: 1\r\n 2\r\n\r\n"),
            trailer_bare_lf=_trailers(b"X-Sum: 1\nX: 2\r\n\r\n"),
            trailer_bare_cr=_trailers(b"X-Sum: 1\rX: 2\r\n\r\n"),
            trailer_nul=_trailers(b"X-Sum: 1\x00\r\n\r\n"),
            trailer_control=_trailers(b"X-Sum: 1\x1b\r\n\r\n"),
            trailer_is_a_request=_trailers(SMUGGLED),
            trailer_too_long=_trailers(b"X-Sum: " + b"1" * 9000 + b"\r\n\r\n"),
            trailer_never_ends=_trailers(b"X-Sum: " + b"1" * 9000),
            trailers_too_many=_trailers(b"X-Sum: 1\r\n" * 2000 + b"\r\n"),
        ),
        Case("a request behind the last chunk", "RFC 9112, section 9.3.2", _trailers(b"\r\n") + get(), (200, 200), body=b"hello"),
        Case("a bad request behind the last chunk", "it is none of the body", _trailers(b"\r\n") + b"5\r\n\r\n", (200, 400), body=b"hello"),
    ),
)
