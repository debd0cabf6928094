import pytest

from gateway.authority import hostname, valid_host
from gateway.errors import BadRequest


@pytest.mark.parametrize(
    ("sent", "host", "name", "source"),
    [
        ("example.com", "example.com", "example.com", "RFC 9110, 7.2"),
        ("Example.COM", "example.com", "example.com", "RFC 9110, 4.2.3: hosts have no case"),
        ("example.com:8080", "example.com:8080", "example.com", "RFC 9110, 7.2"),
        ("example.com:0", "example.com:0", "example.com", "RFC 3986, 3.2.3"),
        ("example.com:65535", "example.com:65535", "example.com", "RFC 9293, 3.1: a port has 16 bits"),
        ("example.com.", "example.com.", "example.com", "RFC 1034, 3.1: the dot of the root"),
        ("example.com.:80", "example.com.:80", "example.com", "RFC 1034, 3.1"),
        ("localhost", "localhost", "localhost", "RFC 6761, 6.3"),
        ("leads_api-1", "leads_api-1", "leads_api-1", "container names hold underscores"),
        ("xn--caf-dma.example", "xn--caf-dma.example", "xn--caf-dma.example", "RFC 5890"),
        ("127.0.0.1:3000", "127.0.0.1:3000", "127.0.0.1", "RFC 3986, 3.2.2"),
        ("[::1]", "[::1]", "[::1]", "RFC 3986, 3.2.2"),
        ("[2001:DB8::1]:443", "[2001:db8::1]:443", "[2001:db8::1]", "RFC 3986, 3.2.2"),
        ("[::ffff:192.0.2.1]", "[::ffff:192.0.2.1]", "[::ffff:192.0.2.1]", "RFC 4291, 2.5.5.2"),
    ],
)
def test_host(sent: str, host: str, name: str, source: str) -> None:
    assert (valid_host(sent), hostname(valid_host(sent))) == (host, name), source


@pytest.mark.parametrize(
    ("sent", "source"),
    [
        ("", "RFC 9112, 3.2: empty where the target has no authority, and http has one (RFC 9110, 4.2.1)"),
        ("a@b", "RFC 9110, 4.2.4: userinfo"),
        ("a:b@c", "RFC 9110, 4.2.4"),
        ("a,b", "two Host lines joined by a list-minded reader"),
        ("a b", "RFC 3986, 3.2.2"),
        (" a", "RFC 3986, 3.2.2"),
        ("a\t", "RFC 3986, 3.2.2"),
        ("a/b", "RFC 3986, 3.2"),
        ("a\\b", "a slash for some"),
        ("a?b", "RFC 3986, 3.2"),
        ("a#b", "RFC 3986, 3.2"),
        ("http://a", "RFC 9110, 7.2"),
        ("a:", "RFC 3986, 3.2.3 allows it, readers disagree"),
        (":80", "RFC 9110, 4.2.1"),
        ("a:80:80", "RFC 3986, 3.2.3"),
        ("a:x", "RFC 3986, 3.2.3"),
        ("a:-1", "RFC 3986, 3.2.3"),
        ("a:65536", "RFC 9293, 3.1"),
        ("a:000080", "longer than any port"),
        ("a:\u0661", "RFC 3986, 3.2.3: digits are ASCII"),
        ("a..b", "RFC 1034, 3.1: no empty labels"),
        (".a", "RFC 1034, 3.1"),
        (".", "RFC 1034, 3.1"),
        ("a%2eb", "escapes are allowed by RFC 3986, 3.2.2, and no name needs one"),
        ("a;b", "RFC 3986, 3.2.2 allows it, no name holds one"),
        ("*.a", "a pattern, not a host"),
        ("-a", "RFC 1123, 2.1"),
        ("é.example", "RFC 3986, 3.2.2: A-labels travel"),
        ("\u212aelvin", "one lower() away from ASCII"),
        ("a\x00", "RFC 9110, 5.5"),
        ("a\n", "RFC 9110, 5.5"),
        ("[::1", "RFC 3986, 3.2.2"),
        ("::1", "RFC 3986, 3.2.2: in brackets"),
        ("[]", "RFC 3986, 3.2.2"),
        ("[1:2]", "RFC 4291, 2.2"),
        ("[::1]x", "RFC 3986, 3.2.2"),
        ("[fe80::1%25eth0]", "RFC 9844: zones do not travel"),
        ("[v1.a]", "RFC 3986, 3.2.2: no such version exists"),
        (".".join(["a" * 50] * 6), "RFC 1035, 2.3.4: 255 octets"),
    ],
)
def test_what_is_no_host_is_refused(sent: str, source: str) -> None:
    with pytest.raises(BadRequest, match="Host"):
        valid_host(sent)
