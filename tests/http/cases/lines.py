"""Request lines: methods, targets of every form, versions (RFC 9112, section 3)."""

from tests.http.case import Case, get, lines, named, refused, served


def _line(line: bytes, body: bytes = b"") -> bytes:
    return lines(line, b"Host: h", body=body)


_FORM = "RFC 9112, section 3.2"

CASES = named(
    "lines",
    (
        *refused(
            "RFC 9112, section 3: method SP target SP version",
            400,
            two_spaces_first=_line(b"GET  /t HTTP/1.1"),
            two_spaces_last=_line(b"GET /t  HTTP/1.1"),
            tab_first=_line(b"GET\t/t HTTP/1.1"),
            tab_last=_line(b"GET /t\tHTTP/1.1"),
            vertical_tab=_line(b"GET /t\x0bHTTP/1.1"),
            space_in_front=_line(b" GET /t HTTP/1.1"),
            space_behind=_line(b"GET /t HTTP/1.1 "),
            icecast_source=_line(b"SOURCE /t ICE/1.0"),
            words_behind=_line(b"GET /t HTTP/1.1 HTTP/1.1"),
            space_in_target=_line(b"GET /t /admin HTTP/1.1"),
            no_target=_line(b"GET HTTP/1.1"),
            only_method=_line(b"GET"),
            no_method=_line(b"/t HTTP/1.1"),
            nul_in_method=_line(b"G\x00T /t HTTP/1.1"),
            nul_in_target=_line(b"GET /t\x00 HTTP/1.1"),
            delete_in_target=_line(b"GET /t\x7f HTTP/1.1"),
            line_end_in_target=_line(b"GET /t\r HTTP/1.1"),
            nothing_but_garbage=b"\x00\x01\x02\x03\r\n\r\n",
            tls_hello=bytes.fromhex("16030100c8010000c40303") + b"\x11" * 40 + b"\r\n\r\n",
            ssh=b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
            an_answer=b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            socks=b"\x05\x01\x00\r\n\r\n",
            proxy_protocol=b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n" + get(),
        ),
        *refused(
            "RFC 9110, section 9.1: methods have their case",
            400,
            lower_case=_line(b"get /t HTTP/1.1"),
            mixed_case=_line(b"Get /t HTTP/1.1"),
            unknown=_line(b"BREW /t HTTP/1.1"),
            no_token=_line(b"G@T /t HTTP/1.1"),
            method_of_other_letters=_line("GÉT /t HTTP/1.1".encode()),
            method_with_more=_line(b"GETX /t HTTP/1.1"),
            long_method=_line(b"G" * 500 + b" /t HTTP/1.1"),
        ),
        *refused(
            "RFC 9110, sections 9.3.6 and 9.3.8; not served unless a route names it",
            501,
            trace=_line(b"TRACE /t HTTP/1.1"),
            connect=lines(b"CONNECT h:443 HTTP/1.1", b"Host: h:443"),
            connect_with_bytes_behind=lines(b"CONNECT h:443 HTTP/1.1", b"Host: h:443", body=get()),
            connect_to_a_path=_line(b"CONNECT /t HTTP/1.1"),
            purge=_line(b"PURGE /t HTTP/1.1"),
        ),
        *served(
            "RFC 9110, section 9.1: a route that names no methods takes those that are read",
            propfind=_line(b"PROPFIND /t HTTP/1.1"),
            mkcol=_line(b"MKCOL /t HTTP/1.1"),
            icecasts_method=_line(b"SOURCE /t HTTP/1.1"),
        ),
        *refused(
            "RFC 9110, section 2.5",
            505,
            version_09=_line(b"GET /t HTTP/0.9"),
            version_20=_line(b"GET /t HTTP/2.0"),
            version_absent=b"GET /t\r\n\r\n",
        ),
        *refused(
            "RFC 9112, section 2.3: HTTP/DIGIT.DIGIT",
            400,
            version_11_lower=_line(b"GET /t http/1.1"),
            version_1_10=_line(b"GET /t HTTP/1.10"),
            version_01_1=_line(b"GET /t HTTP/01.1"),
            version_comma=_line(b"GET /t HTTP/1,1"),
            version_without_minor=_line(b"GET /t HTTP/1"),
            version_without_digits=_line(b"GET /t HTTP/"),
            version_spaced=_line(b"GET /t HTTP/ 1.1"),
            version_letters=_line(b"GET /t HTTP/x.y"),
            version_minus=_line(b"GET /t HTTP/-1.1"),
            version_misspelt=_line(b"GET /t HTPP/1.1"),
            version_of_another=_line(b"GET /t ICY/1.1"),
            preface_of_h2=b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            version_of_rtsp=_line(b"OPTIONS * RTSP/1.0"),
            version_nul=_line(b"GET /t HTTP/1.1\x00"),
        ),
        *(
            Case(f"version {version.decode()}", "RFC 9110, section 2.5", _line(b"GET /t HTTP/" + version), (505,))
            for version in (b"1.2", b"1.9", b"3.0", b"0.0", b"9.9")
        ),
        *refused(
            _FORM,
            400,
            asterisk_get=_line(b"GET * HTTP/1.1"),
            asterisk_options=_line(b"OPTIONS * HTTP/1.1"),
            authority_form=_line(b"GET h:80 HTTP/1.1"),
            no_slash=_line(b"GET t HTTP/1.1"),
            only_query=_line(b"GET ?a=b HTTP/1.1"),
            at_sign=_line(b"GET @evil/t HTTP/1.1"),
            scheme_ftp=_line(b"GET ftp://h/t HTTP/1.1"),
            scheme_file=_line(b"GET file:///etc/passwd HTTP/1.1"),
            scheme_javascript=_line(b"GET javascript:x HTTP/1.1"),
            absolute_of_another_host=_line(b"GET http://evil/t HTTP/1.1"),
            absolute_with_a_port=_line(b"GET http://h:81/t HTTP/1.1"),
            absolute_with_user=_line(b"GET http://user@h/t HTTP/1.1"),
            absolute_with_host_as_user=_line(b"GET http://h@evil/t HTTP/1.1"),
            absolute_without_host=_line(b"GET http:///t HTTP/1.1"),
            absolute_with_one_slash=_line(b"GET http:/h/t HTTP/1.1"),
            absolute_with_backslash=_line(b"GET http://h\\@evil/t HTTP/1.1"),
            absolute_without_host_field=b"GET http://h/t HTTP/1.1\r\n\r\n",
            absolute_10_without_host_field=b"GET http://h/t HTTP/1.0\r\n\r\n",
        ),
        Case("absolute form", _FORM, _line(b"GET http://h/t HTTP/1.1"), (200,), has=(b"Host: h",)),
        Case("absolute form in other case", _FORM, _line(b"GET HTTP://H/t HTTP/1.1"), (200,), has=(b"Host: h",)),
        Case("absolute https", _FORM, _line(b"GET https://h/t HTTP/1.1"), (200,), has=(b"X-Forwarded-Proto: http",)),
        Case("absolute without a path", _FORM, _line(b"GET http://h HTTP/1.1"), (200,), reached=(b"/",)),
        Case("absolute with only a query", _FORM, _line(b"GET http://h?a=b HTTP/1.1"), (200,), reached=(b"/?a=b",)),
        Case("absolute that climbs", _FORM, _line(b"GET http://h/../admin HTTP/1.1"), (400,)),
        Case("absolute to what is guarded", _FORM, _line(b"GET http://h/admin HTTP/1.1"), (403,), reached=(), alive=True),
        Case("two slashes are no authority", "CVE-2021-21330", _line(b"GET //evil/t HTTP/1.1"), (200,), reached=(b"/evil/t",)),
        *(
            Case(f"method {method}", "RFC 9110, section 9.3", _line(method.encode() + b" /t HTTP/1.1"), (200,), methods=(method,))
            for method in ("HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
        ),
    ),
)
