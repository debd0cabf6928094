"""What nobody shall read: names without case, secrets that need no naming, and all else untouched."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.pii import MASKED, MASKED_IN_URL, SECRETS, Mask

MASK = Mask(["email", "Phone"])


@pytest.mark.parametrize(
    ("query", "masked"),
    [
        ("", ""),
        ("q=1&page=2", "q=1&page=2"),
        ("email=a@b.test&q=1", "email=REDACTED&q=1"),
        ("EMAIL=a&eMail=b", "EMAIL=REDACTED&eMail=REDACTED"),
        ("%65mail=a", "%65mail=REDACTED"),
        ("user[email]=a&user%5Bphone%5D=1", "user[email]=REDACTED&user%5Bphone%5D=REDACTED"),
        ("user.email=a&email[]=b", "user.email=REDACTED&email[]=REDACTED"),
        ("email", "email"),
        ("email=", "email="),
        ("email=a=b&&=&x", "email=REDACTED&&=&x"),
        ("emails=a&e_mail=b", "emails=a&e_mail=b"),
        ("access_token=a&sig=b&X-Amz-Signature=c", "access_token=REDACTED&sig=REDACTED&X-Amz-Signature=REDACTED"),
    ],
)
def test_queries(query: str, masked: str) -> None:
    assert MASK.query(query) == masked


@pytest.mark.parametrize(
    ("path", "params", "masked"),
    [
        ("/users/a@b.test", {"email": "a@b.test"}, "/users/REDACTED"),
        ("/users/7/a", {"id": "7", "PHONE": "a"}, "/users/7/REDACTED"),
        ("/users/7", {"id": "7"}, "/users/7"),
        ("/a/ab", {"email": "a"}, "/REDACTED/ab"),
        ("/", {"email": ""}, "/"),
    ],
)
def test_paths(path: str, params: dict[str, str], masked: str) -> None:
    assert MASK.path(path, params) == masked


def test_fields_however_deep() -> None:
    fields = {"Email": "a", "user": {"phone": 1, "name": "b"}, "all": [{"email": "c"}, ("d", {"password": "e"})], 7: None}
    assert MASK.fields(fields) == {
        "Email": MASKED,
        "user": {"phone": MASKED, "name": "b"},
        "all": [{"email": MASKED}, ["d", {"password": MASKED}]],
        7: None,
    }
    assert fields["Email"] == "a"


def test_what_holds_itself_has_an_end() -> None:
    loop: list[object] = []
    loop.append(loop)
    assert MASKED in str(MASK.fields({"loop": loop}))


def test_secrets_are_hidden_by_any_policy() -> None:
    assert all(Mask().hides(name.upper()) for name in SECRETS)


@given(st.dictionaries(st.sampled_from(["email", "q", "a[email]", "phone", "x"]), st.text("abc%=+", min_size=1)))
def test_no_hidden_value_stays(values: dict[str, str]) -> None:
    query = "&".join(f"{name}={value}" for name, value in values.items())
    for pair, name in zip(MASK.query(query).split("&"), values, strict=False):
        assert pair == (f"{name}={MASKED_IN_URL}" if MASK.hides(name) else f"{name}={values[name]}") or not query
