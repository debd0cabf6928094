"""RFC 9421, RFC 9530 and Standard Webhooks, by their own examples; and everything that a signature must not be."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.exchange import Headers
from gateway.signing import (
    Message,
    Proof,
    Secrets,
    accepted,
    check_components,
    content_digest,
    has_digest,
    sign,
    sign_webhook,
    verify,
    verify_webhook,
)
from gateway.signing.structured import members, quoted, unquoted

# RFC 9421, appendix B.1.5 and B.2: the shared secret, and the request that all examples sign
SHARED = "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ=="
DIGEST = "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:"
EXAMPLE = Headers(
    [
        ("Host", "example.com"), ("Date", "Tue, 20 Apr 2021 02:07:55 GMT"), ("Content-Type", "application/json"),
        ("Content-Digest", DIGEST), ("Content-Length", "18"),
        ("Signature-Input", 'sig-b25=("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret"'),
        ("Signature", "sig-b25=:pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=:"),
    ]
)  # fmt: skip
THEN = 1618884473.0
REQUEST = Message("POST", "https", "example.com", "/foo?param=Value&Pet=dog", EXAMPLE)
SECRETS = Secrets({"test-shared-secret": [f"whsec_{SHARED}"]})


def test_the_example_of_rfc_9421() -> None:
    proof = verify(REQUEST, SECRETS, ("date", "@authority", "content-type"), THEN, 300)
    assert proof == Proof("test-shared-secret", b64decode("pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8="), 1618884473)


def test_the_example_of_rfc_9530() -> None:
    """Appendix B: the body of the example, by sha-512 and sha-256."""
    body = b'{"hello": "world"}'
    assert has_digest([DIGEST], body) and has_digest([content_digest(body)], body)
    assert content_digest(body) == "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:"


WEBHOOK = Headers(
    [
        ("webhook-id", "msg_loFOjxBNrRLzqYUf"), ("webhook-timestamp", "1731705121"),
        ("webhook-signature", "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0="),
    ]
)  # fmt: skip
PAYLOAD = b'{"event_type":"ping","data":{"success":true}}'
WEBHOOKS = Secrets({"sender": ["whsec_plJ3nmyCDGBKInavdOK15jsl"]})


def test_the_example_of_standard_webhooks() -> None:
    proof = verify_webhook(WEBHOOK, PAYLOAD, WEBHOOKS, 1731705121, 300)
    assert (proof.key, proof.made) == ("sender", 1731705121)
    secret = b64decode("plJ3nmyCDGBKInavdOK15jsl")
    assert sign_webhook("msg_loFOjxBNrRLzqYUf", 1731705121, PAYLOAD, secret) == WEBHOOK["webhook-signature"]


# what is signed here is verified here, and nothing else is

NOW = 1_800_000_000.0
KEY = b"0123456789abcdef0123456789abcdef"
OURS = Secrets({"crm": [KEY.decode()], "shop": ["another-secret-of-32-bytes-......"]})
COVERED = ("@method", "@target-uri", "content-digest")


def signed(components: tuple[str, ...] = COVERED, created: int = int(NOW), key: str = "crm", secret: bytes = KEY) -> Message:
    headers = Headers([("Content-Digest", content_digest(b"hi")), ("X-A", "one"), ("X-A", " two ")])
    message = Message("POST", "https", "api.test", "/leads?a=1", headers)
    headers["Signature-Input"], headers["Signature"] = sign(message, key, secret, components, created, "n1")
    return message


def refused(message: Message, components: tuple[str, ...] = COVERED, now: float = NOW, secrets: Secrets = OURS) -> str:
    with pytest.raises(ValueError, match=r".") as caught:
        verify(message, secrets, components, now, 300)
    return str(caught.value)


ALL = ("@method", "@target-uri", "@authority", "@scheme", "@request-target", "@path", "@query", "content-digest", "x-a")


def test_what_is_signed_here_is_verified_here() -> None:
    for components in (COVERED, ALL, ALL[::-1]):
        assert verify(signed(components), OURS, COVERED, NOW, 300).key == "crm"


CHANGES: dict[str, Callable[[Message], Message]] = {
    "method": lambda message: replace(message, method="PUT"),
    "scheme": lambda message: replace(message, scheme="http"),
    "host": lambda message: replace(message, host="evil.test"),
    "path": lambda message: replace(message, target="/leads/2?a=1"),
    "query": lambda message: replace(message, target="/leads?a=2"),
    "no query": lambda message: replace(message, target="/leads"),
    "digest": lambda message: with_(message, "Content-Digest", content_digest(b"ho")),
    "field": lambda message: with_(message, "X-A", "one"),
    "no field": lambda message: with_(message, "X-A", None),
}


def with_(message: Message, name: str, value: str | None) -> Message:
    headers = message.headers.copy()
    headers.popall(name, None)
    if value is not None:
        headers[name] = value
    return replace(message, headers=headers)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_no_part_that_is_covered_can_be_changed(change: Callable[[Message], Message]) -> None:
    assert refused(change(signed(ALL)))


@pytest.mark.parametrize("host", ["API.test", "api.test:443"])
def test_one_authority_in_two_spellings(host: str) -> None:
    """RFC 9421, section 2.2.3: in lower case, without its scheme's own port."""
    assert verify(replace(signed(), host=host), OURS, COVERED, NOW, 300)


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("Signature-Input", None, "there is no signature"),
        ("Signature", None, "gateway: it is announced, and missing"),
        ("Signature", "other=:AAAA:", "gateway: it is announced, and missing"),
        ("Signature", "gateway=:AAAA:", "gateway: it is not ours: another key, another secret, or another message"),
        ("Signature", "gateway=::", "gateway: it is not ours: another key, another secret, or another message"),
        ("Signature", 'gateway="AAAA"', "gateway: bytes are expected, as in :YQ==:"),
        ("Signature", "gateway", "it is no dictionary of structured fields"),
        ("Signature-Input", "gateway=()", "gateway: it does not cover @method, @target-uri, content-digest"),
        ("Signature-Input", 'gateway=("@method" "@target-uri")', "gateway: it does not cover content-digest"),
        ("Signature-Input", 'gateway=("@method" "@method")', "gateway: it covers a component twice"),
        ("Signature-Input", 'gateway=("@method";req)', "gateway: the list has something other than plain names"),
        ("Signature-Input", "gateway=(method)", "gateway: the list has something other than plain names"),
        ("Signature-Input", 'gateway="a"', "gateway: a list is expected"),
        ("Signature-Input", 'gateway=("a"', "it is no dictionary of structured fields"),
        ("Signature-Input", 'gateway=("a"),', "it is no dictionary of structured fields"),
        ("Signature-Input", 'gateway=("a"), gateway=("b")', "it is no dictionary of structured fields"),
    ],
)
def test_fields_that_are_no_signature(name: str, value: str | None, why: str) -> None:
    assert refused(with_(signed(), name, value)) == why


ALGORITHM = ';alg="hmac-sha256"'


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        (ALGORITHM, ';alg="rsa-pss-sha512"', "by another algorithm"),
        (ALGORITHM, ';alg="none"', "by another algorithm"),
        (ALGORITHM, ";alg=none", "a text in quotes is expected"),
        (ALGORITHM, "", "not ours"),  # it may be left out, but not after signing
        (f";created={int(NOW)}", "", "created is missing"),
        (f";created={int(NOW)}", ';created="1"', "created is missing"),
        (f";created={int(NOW)}", f";created={int(NOW)};created={int(NOW)}", "a parameter stands twice"),
        (f";created={int(NOW)}", f";created={int(NOW) + 1}", "not ours"),
        (';keyid="crm"', ';keyid="shop"', "not ours"),
        (';keyid="crm"', ';keyid="nobody"', "not ours"),
        (';keyid="crm"', "", "a text in quotes is expected"),
        (';nonce="n1"', ';nonce="n2"', "not ours"),
        (';nonce="n1"', f';nonce="n1";expires={int(NOW) - 1}', "expired"),
        (';nonce="n1"', ';nonce="n1";expires=soon', "expires is missing"),
        ('"@method"', '"@status"', "@method"),
        ('("@method"', '("@query-param" "@method"', "@query-param, which is not known here"),
        ('("@method"', '("x-b" "@method"', "there is no such field"),
    ],
)
def test_parameters_that_do_not_count(before: str, after: str, why: str) -> None:
    message = signed()
    text = message.headers["Signature-Input"]
    assert before in text
    assert why in refused(with_(message, "Signature-Input", text.replace(before, after)))


@pytest.mark.parametrize(("late", "why"), [(300, ""), (301, "too old"), (-300, ""), (-301, "of the future")])
def test_it_counts_for_a_while(late: float, why: str) -> None:
    message = signed()
    if why:
        assert why in refused(message, now=NOW + late)
    else:
        assert verify(message, OURS, COVERED, NOW + late, 300)


def test_of_several_signatures_one_that_counts_is_enough() -> None:
    """A proxy may have signed too; but nobody makes us try a hundred."""
    message = signed()
    ours = message.headers["Signature-Input"], message.headers["Signature"]
    for others, counts in ((1, True), (3, True), (4, False), (100, False)):
        names = [f'p{n}=("date");created={int(NOW)}' for n in range(others)]
        both = with_(with_(message, "Signature-Input", ", ".join([*names, ours[0]])), "Signature", ours[1])
        if counts:
            assert verify(both, OURS, COVERED, NOW, 300).key == "crm"
        else:
            assert refused(both) == "p0: it is announced, and missing"


def test_a_secret_can_be_replaced() -> None:
    both = Secrets({"crm": ["a-new-secret-of-32-bytes-........", KEY.decode()]})
    assert verify(signed(), both, COVERED, NOW, 300)
    assert "not ours" in refused(signed(), secrets=Secrets({"crm": ["a-new-secret-of-32-bytes-........"]}))


@pytest.mark.parametrize("name", ["@status", "@query-param", "X-A", "a b", "", "@signature-params", '"a"'])
def test_components_that_cannot_be_covered(name: str) -> None:
    with pytest.raises(ValueError, match="no component"):
        check_components([name])


def test_what_is_asked_for() -> None:
    check_components(ALL)
    assert accepted(("@method", "date")) == 'gateway=("@method" "date");created;keyid;alg="hmac-sha256"'


# Content-Digest

GOOD, WRONG = content_digest(b"hi"), content_digest(b"ho")


@pytest.mark.parametrize(
    ("values", "is_so"),
    [
        ([GOOD], True),
        ([WRONG], False),
        ([], False),
        ([""], False),
        (["garbage"], False),
        ([GOOD, "md5=:AAAA:"], True),  # what nobody should rely on is not looked at
        (["md5=:AAAA:"], False),
        ([GOOD + ", sha-512=:AAAA:"], False),
        ([GOOD, WRONG], False),
        (["sha-256=AAAA"], False),
        (["SHA-256=" + GOOD.partition("=")[2]], False),
    ],
)
def test_content_digests(values: list[str], is_so: bool) -> None:
    assert has_digest(values, b"hi") is is_so


# Standard Webhooks


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("webhook-id", "msg_other"),
        ("webhook-id", ""),
        ("webhook-timestamp", "1731705122"),
        ("webhook-timestamp", "+1731705121"),
        ("webhook-timestamp", " 1731705121"),
        ("webhook-timestamp", "1731705121.0"),
        ("webhook-timestamp", "\u0661" * 10),
        ("webhook-timestamp", "9" * 13),
        ("webhook-timestamp", ""),
        ("webhook-signature", ""),
        ("webhook-signature", "v1,"),
        ("webhook-signature", "v1,AAAA"),
        ("webhook-signature", "v1,no base64"),
        ("webhook-signature", "v1a," + WEBHOOK["webhook-signature"].partition(",")[2]),
        ("webhook-signature", "v2," + WEBHOOK["webhook-signature"].partition(",")[2]),
    ],
)
def test_webhooks_that_are_not_signed(name: str, value: str) -> None:
    headers = WEBHOOK.copy()
    headers[name] = value
    with pytest.raises(ValueError, match=r"."):
        verify_webhook(headers, PAYLOAD, WEBHOOKS, 1731705121, 300)


def test_a_webhook_has_one_of_each_field() -> None:
    for name in WEBHOOK:
        headers = WEBHOOK.copy()
        headers.add(name, WEBHOOK[name])
        with pytest.raises(ValueError, match="not one"):
            verify_webhook(headers, PAYLOAD, WEBHOOKS, 1731705121, 300)


@pytest.mark.parametrize(("now", "why"), [(301, "too old"), (-301, "future")])
def test_a_webhook_counts_for_a_while(now: int, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        verify_webhook(WEBHOOK, PAYLOAD, WEBHOOKS, 1731705121 + now, 300)


@pytest.mark.parametrize("place", [0, 1, 3, 4])
def test_a_sender_that_replaces_its_secret_signs_with_both(place: int) -> None:
    other = "v1," + b64encode(b"x" * 32).decode()
    headers = WEBHOOK.copy()
    headers["webhook-signature"] = " ".join([*[other] * place, WEBHOOK["webhook-signature"]])
    if place < 4:
        assert verify_webhook(headers, PAYLOAD, WEBHOOKS, 1731705121, 300)
    else:
        with pytest.raises(ValueError, match=r"."):
            verify_webhook(headers, PAYLOAD, WEBHOOKS, 1731705121, 300)


@pytest.mark.parametrize("secret", ["whsec_no base64", "whsec_", "whsec_c2hvcnQ="])
def test_secrets_that_are_none(secret: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Secrets({"a": [secret]})


# structured fields


@given(st.text())
def test_no_text_is_an_accident(text: str) -> None:
    headers = Headers([("Signature-Input", text), ("Signature", text), ("webhook-id", text), ("webhook-signature", text)])
    headers["webhook-timestamp"] = str(int(NOW))
    with suppress(ValueError):
        members(text)
    with pytest.raises(ValueError, match=r"."):
        verify(Message("GET", "http", "a", "/", headers), OURS, (), NOW, 300)
    with pytest.raises(ValueError, match=r"."):
        verify_webhook(headers, b"", OURS, NOW, 300)


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126)))
def test_strings(text: str) -> None:
    (member,) = members(f"a=({quoted(text)})").values()
    assert member.names() == (text,)
    assert unquoted(quoted(text)) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("a=:YQ==:", {"a": ":YQ==:"}),
        ('a=("b" "c");d=1;e="f;g, h"', {"a": '("b" "c");d=1;e="f;g, h"'}),
        ('a=( "b"  "c" ), x=1', {"a": '( "b"  "c" )', "x": "1"}),
        ("a=1\t,\tb=2", {"a": "1", "b": "2"}),
        ("a=1;b;c=?1", {"a": "1;b;c=?1"}),
        ("*a-b_c.d*=tok/en:x", {"*a-b_c.d*": "tok/en:x"}),
    ],
)
def test_dictionaries(text: str, expected: dict[str, str]) -> None:
    assert {name: member.text for name, member in members(text).items()} == expected


@pytest.mark.parametrize(
    "text", ["a", "A=1", "a=", "a=1,", ",a=1", "a=1 b=2", "a=1,,b=2", 'a="', 'a="\u00e4"', "a=(1", "a=1;B=2", "a=1, a=1", "a=(1)2"]
)
def test_no_dictionaries(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        members(text)


def test_a_long_field_takes_no_long_time() -> None:
    """Each is read once: a regular expression that tries again would take minutes."""
    for text in ("a=(" + '"b" ' * 4000, 'a="' + "\\\\" * 8000, "a=1" + ";b" * 8000 + "!", "a=" + "b" * 16000 + '"', "a=(" + '"b";c' * 3000):
        with pytest.raises(ValueError, match=r"."):
            members(text)
