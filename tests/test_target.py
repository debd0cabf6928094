from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BadRequest
from gateway.target import canonical

CANONICAL = [
    # as sent, target, path, source
    ("/", "/", "/", "RFC 9112, 3.2.1"),
    ("/api/v1/leads", "/api/v1/leads", "/api/v1/leads", "RFC 9112, 3.2.1"),
    ("/api/v1/leads/", "/api/v1/leads/", "/api/v1/leads/", "a trailing slash stays: RFC 3986, 6.2.3 leaves it to the scheme"),
    ("/LOGIN", "/LOGIN", "/LOGIN", "RFC 3986, 6.2.2.1: paths keep their case"),
    ("/a?", "/a?", "/a", "RFC 3986, 6.2.3: an empty query is not an absent one"),
    ("/a?b=1&c", "/a?b=1&c", "/a", "RFC 3986, 3.4"),
    ("/a?b=1?c", "/a?b=1?c", "/a", "RFC 3986, 3.4: the query may hold ?"),
    ("/a?u=http://h//x/../y", "/a?u=http://h//x/../y", "/a", "RFC 3986, 3.4: the query has no segments"),
    ("/a?%zz%", "/a?%zz%", "/a", "WHATWG URL, query state: a broken escape is no failure"),
    ("/a?b=%2f%00%25", "/a?b=%2f%00%25", "/a", "no reader routes by the query's escapes"),
    ('/a?f[x]={"y":1}|z^`<>\\', '/a?f[x]={"y":1}|z^`<>\\', "/a", "WHATWG URL, query percent-encode set, and what clients send"),
    ("/~u/a-b_c.d", "/~u/a-b_c.d", "/~u/a-b_c.d", "RFC 3986, 2.3 unreserved"),
    ("/a!$&'()*+,=:@", "/a!$&'()*+,=:@", "/a!$&'()*+,=:@", "RFC 3986, 3.3 pchar"),
    ("/a;b=c/d;e", "/a;b=c/d;e", "/a;b=c/d;e", "RFC 3986, 3.3: parameters of a segment"),
    ("/a%21", "/a%21", "/a!", "RFC 3986, 2.2: a reserved escape is not the character"),
    ("/%6Cogin", "/login", "/login", "RFC 3986, 6.2.2.2"),
    ("/%6cogin", "/login", "/login", "RFC 3986, 6.2.2.1"),
    ("/%7Eu", "/~u", "/~u", "RFC 3986, 6.2.2.2"),
    ("/%2D%2E%5F%30%41%7A", "/-._0Az", "/-._0Az", "RFC 3986, 6.2.2.2"),
    ("/caf%c3%a9", "/caf%C3%A9", "/café", "RFC 3986, 6.2.2.1"),
    ("/a%20b", "/a%20b", "/a b", "RFC 3986, 2.1"),
    ("/a+b", "/a+b", "/a+b", "a plus is a space in forms only (WHATWG URL, urlencoded parsing)"),
    ("/%3f%23", "/%3F%23", "/?#", "RFC 3986, 2.2"),
    ("/100%25", "/100%25", "/100%", "RFC 3986, 2.4"),
    ("/%25zz", "/%25zz", "/%zz", "no escape once decoded: RFC 3986, 2.4"),
    ("/a%3Bb", "/a%3Bb", "/a;b", "RFC 3986, 2.2"),
    ("/%F0%9F%98%80", "/%F0%9F%98%80", "/😀", "RFC 3629"),
    ("/a|b", "/a%7Cb", "/a|b", "WHATWG URL, path percent-encode set lacks |"),
    ("/a[0]^", "/a%5B0%5D%5E", "/a[0]^", "WHATWG URL, path percent-encode set lacks [ ], and long lacked ^"),
    ("//login", "/login", "/login", "CVE-2021-21330: // is no authority"),
    ("/api//v1///login", "/api/v1/login", "/api/v1/login", "CVE-2019-9901: nginx merges, Node does not"),
    ("//", "/", "/", "CVE-2021-21330"),
    ("/a//", "/a/", "/a/", "CVE-2019-9901"),
    ("/./a", "/a", "/a", "RFC 3986, 5.2.4"),
    ("/a/.", "/a/", "/a/", "RFC 3986, 5.2.4"),
    ("/a/..", "/", "/", "RFC 3986, 5.2.4"),
    ("/a/b/..", "/a/", "/a/", "RFC 3986, 5.2.4"),
    ("/a/b/c/./../../g", "/a/g", "/a/g", "RFC 3986, 5.2.4, its first example"),
    ("/public/../admin", "/admin", "/admin", "CVE-2019-9901"),
    ("/public/%2e%2e/admin", "/admin", "/admin", "CVE-2021-41773: escaped dots are dots"),
    ("/public/.%2E/admin", "/admin", "/admin", "CVE-2021-41773"),
    ("/a//../b", "/b", "/b", "merged first, as nginx merge_slashes does"),
    ("/.well-known/x", "/.well-known/x", "/.well-known/x", "RFC 8615"),
    ("/...", "/...", "/...", "RFC 3986, 3.3: three dots are a name"),
    ("/a../b", "/a../b", "/a../b", "RFC 3986, 3.3"),
    ("/a/../?x=1", "/?x=1", "/", "RFC 3986, 5.2.4"),
    ("http://h", "/", "/", "RFC 9112, 3.2.2 and RFC 3986, 6.2.3"),
    ("http://h/", "/", "/", "RFC 9112, 3.2.2"),
    ("http://H/a?b", "/a?b", "/a", "RFC 9112, 3.2.2; RFC 3986, 6.2.2.1: hosts have no case"),
    ("HTTPS://h//a/../b", "/b", "/b", "RFC 9112, 3.2.2; RFC 3986, 6.2.2.1: nor have schemes"),
    ("http://h?x=1", "/?x=1", "/", "RFC 3986, 3: a path may be empty"),
]

REFUSED = [
    ("", "RFC 9112, 3.2"),
    ("*", "RFC 9112, 3.2.4: for OPTIONS on the server itself, which routes nowhere"),
    ("h:443", "RFC 9112, 3.2.3: authority-form is CONNECT's"),
    ("a", "RFC 9112, 3.2.1"),
    ("?x=1", "RFC 9112, 3.2.1"),
    ("ftp://h/a", "RFC 9112, 3.2.2"),
    ("http:/a", "RFC 9110, 4.2.1"),
    ("http:///a", "RFC 9110, 4.2.1: an empty host is invalid"),
    ("http://other/a", "RFC 9112, 3.2.2: Host must agree"),
    ("http://h:80/a", "RFC 9112, 3.2.2: Host must agree"),
    ("http://u@h/a", "RFC 9110, 4.2.4: userinfo"),
    ("http://h#/a", "RFC 3986, 3.5"),
    ("http://h\\@other/a", "Orange Tsai, A New Era of SSRF, 2017"),
    ("http\u017f://h/a", "RFC 3986, 3.1: a scheme is ASCII"),
    ("/a#b", "CVE-2021-32779"),
    ("/a?b#c", "CVE-2021-32779"),
    ("/a b", "RFC 9112, 3: request line"),
    ("/a?b c", "RFC 9112, 3"),
    ("/a\tb", "RFC 9112, 3"),
    ("/a\n", "RFC 9112, 3"),
    ("/a\x00", "RFC 3986, 2"),
    ("/a\x7f", "RFC 3986, 2"),
    ("/a?\x00", "RFC 3986, 2"),
    ("/a?\n", "RFC 3986, 2"),
    ("/é", "RFC 3986, 2"),
    ("/\udcff", "RFC 3986, 2: a byte that is not UTF-8, as the parser gives it"),
    ("/a?é", "RFC 3986, 2"),
    ("/a\\b", "CVE-2021-29492: a slash for some"),
    ('/a"b', "WHATWG URL, path percent-encode set"),
    ("/<a>", "WHATWG URL, path percent-encode set"),
    ("/`", "WHATWG URL, path percent-encode set"),
    ("/{id}", "WHATWG URL, path percent-encode set"),
    ("/%", "RFC 3986, 2.1"),
    ("/%2", "RFC 3986, 2.1"),
    ("/%zz", "RFC 3986, 2.1"),
    ("/%u002f", "IIS's %u escapes"),
    ("/%%32%65", "CVE-2021-42013"),
    ("/%00", "CVE-2013-4547: NUL ends a name for some"),
    ("/%0d%0aX:y", "CWE-113"),
    ("/%7f", "CWE-150"),
    ("/%C2%85", "CWE-150: C1 controls"),
    ("/a%2fb", "CVE-2021-29492"),
    ("/a%2Fb", "CVE-2021-29492"),
    ("/a%5cb", "CVE-2021-29492"),
    ("/..%2fadmin", "CVE-2021-29492"),
    ("/%252e%252e/", "CVE-2001-0333: decoded twice"),
    ("/%25%32%65", "CVE-2021-42013"),
    ("/%2525", "CVE-2001-0333"),
    ("/%ff", "RFC 3629"),
    ("/%c0%af", "CVE-2000-0884: an overlong slash"),
    ("/%e0%80%af", "CVE-2000-0884"),
    ("/%ed%a0%80", "RFC 3629, 3: a surrogate"),
    ("/%ff/../a", "RFC 3629, also where the segment would vanish"),
    ("/..", "climbs over the root: RFC 3986, 5.2.4 ignores it, other readers do not"),
    ("/a/../..", "climbs over the root"),
    ("/a/../../b", "climbs over the root"),
    ("/%2e%2e/a", "climbs over the root"),
    ("//../a", "climbs over the root"),
    ("/a/..;/b", "CVE-2020-5902, CVE-2020-1957"),
    ("/a/..;x=1/b", "CVE-2020-5902"),
    ("/a/.;/b", "Orange Tsai, Breaking Parser Logic, 2018"),
    ("/a/..%3B/b", "CVE-2020-5902"),
    ("/a/%2e%2e;/b", "CVE-2020-5902"),
    ("/a/;x/b", "an empty segment for servers that drop parameters (CVE-2020-1957)"),
    ("/;jsessionid=1", "an empty segment for servers that drop parameters"),
]


@pytest.mark.parametrize(("sent", "target", "path", "source"), CANONICAL)
def test_canonical_form(sent: str, target: str, path: str, source: str) -> None:
    found = canonical(sent, "h")
    assert found == (target, path, target.partition("?")[2]), source
    assert canonical(found.target) == found


@pytest.mark.parametrize(("sent", "source"), REFUSED)
def test_what_two_readers_could_understand_differently_is_refused(sent: str, source: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        canonical(sent, "h")
    assert refusal.value.detail, source


def test_absolute_form_needs_a_host_to_agree_with() -> None:
    with pytest.raises(BadRequest, match="different hosts"):
        canonical("http://h/a")


PIECES = (
    "/ // /./ /../ . .. %2e %2E ; ;x %3b %3B a Z login %6Cogin ~ %7e %25 %2541 % %2f %5c %00 %0a %C3%A9 %c3%a9 %C2 %A9 %20 %21 ! @ %40 "
    "[ ] | ^ %5b %7C ? ?q=1 # \\ { \u00e9 \x00 \u0130"
)
targets = st.one_of(
    st.lists(st.sampled_from(PIECES.split(" ")), max_size=12).map(lambda pieces: "/" + "".join(pieces)),
    st.text(st.characters(max_codepoint=0x17F), max_size=20).map(lambda text: "/" + text),
)
names = st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="/\\%"), min_size=1).filter(
    lambda name: name not in (".", "..") and not name.startswith((";", ".;", "..;"))
)
PCHAR = "/!$&'()*+,;=:@"


@given(targets)
def test_what_is_accepted_is_canonical(sent: str) -> None:
    try:
        found = canonical(sent)
    except BadRequest:
        return
    assert canonical(found.target) == found
    path, _, query = found.target.partition("?")
    assert (unquote(path, errors="strict"), query) == (found.path, found.query)
    assert path.isascii() and path.isprintable()
    segments = path.split("/")
    assert segments[0] == "" and not {".", ".."}.intersection(segments) and "" not in segments[1:-1]
    for escape in (path[i : i + 3] for i, character in enumerate(path) if character == "%"):
        assert escape == quote(unquote(escape, "latin-1"), safe="", encoding="latin-1")  # upper case, and not of an unreserved one


@given(targets)
def test_the_short_way_and_the_long_way_agree(sent: str) -> None:
    def outcome(target: str) -> object:
        try:
            return canonical(target)
        except BadRequest:
            return None

    assert outcome(sent) == outcome("/." + sent)


@given(st.lists(names), st.booleans())
def test_any_text_survives_encoding_and_has_one_form(segments: list[str], slash: bool) -> None:
    text = "/" + "/".join(segments) + "/" * (slash and bool(segments))
    found = canonical(quote(text, safe=PCHAR))
    assert found.path == text
    assert found.target == quote(found.path, safe=PCHAR)
