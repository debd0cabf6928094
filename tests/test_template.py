import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.template import Template, fold, folded_segments, parse


@pytest.mark.parametrize(
    ("path", "template"),
    [
        ("/", Template((), (), rest=False, slash=True)),
        ("/a", Template(("a",), (), rest=False, slash=False)),
        ("/a/B/", Template(("a", "B"), (), rest=False, slash=True)),
        ("/{id}", Template((None,), ((0, "id"),), rest=False, slash=False)),
        ("/a/{b}/c/{d_2}", Template(("a", None, "c", None), ((1, "b"), (3, "d_2")), rest=False, slash=False)),
        ("/**", Template((), (), rest=True, slash=False)),
        ("/a/{b}/**", Template(("a", None), ((1, "b"),), rest=True, slash=False)),
        ("/café au lait", Template(("café au lait",), (), rest=False, slash=False)),
    ],
)
def test_parse(path: str, template: Template) -> None:
    assert parse(path) == template


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("", "begins with a slash"),
        ("a", "begins with a slash"),
        ("**", "begins with a slash"),
        ("//", "empty"),
        ("/a//b", "empty"),
        ("/a//**", "empty"),
        ("/a/./b", "dot segments"),
        ("/a/..", "dot segments"),
        ("/a%20b", "the character itself"),
        ("/a?b=c", "under `query`"),
        ("/a#b", "no client sends what follows a #"),
        ("/*", "only a path's end"),
        ("/a*", "only a path's end"),
        ("/**/a", "only a path's end"),
        ("/a**", "only a path's end"),
        ("/a{id}", "a whole segment"),
        ("/{a}{b}", "a whole segment"),
        ("/{}", "a whole segment"),
        ("/{a-b}", "a whole segment"),
        ("/a\\b", "segments are parted by /"),
        ("/a\n", "a whole segment"),
        ("/{a}/{a}", "one name"),
        ("/a;b", "paths: strict"),
        ("/;b", "paths: strict"),
    ],
)
def test_what_could_never_match_as_meant_is_refused(path: str, why: str) -> None:
    with pytest.raises(ValueError) as refusal:  # noqa: PT011 - `why` may hold what a pattern would read
        parse(path)
    assert why in str(refusal.value)


@pytest.mark.parametrize("path", ["/;b", "/a/;/b"])
def test_a_segment_of_parameters_only_never_arrives(path: str) -> None:
    with pytest.raises(ValueError, match="only after a name"):
        parse(path, loose=False)


def test_strict_paths_may_have_parameters() -> None:
    template = parse("/a;v=1/{id}", loose=False)
    assert template.segments == ("a;v=1", None)
    assert template.folded() == ("a", None)
    assert template.exact().fullmatch("/a;v=1/5") and not template.exact().fullmatch("/a;v=2/5")


@pytest.mark.parametrize(
    ("path", "segments"),
    [
        ("/", []),
        ("/A/b", ["a", "b"]),
        ("/a/", ["a"]),
        ("/a;b=/C;D/e", ["a", "c", "e"]),
        ("/a;b/", ["a"]),
        ("/É", ["é"]),
    ],
)
def test_folded_segments(path: str, segments: list[str]) -> None:
    assert folded_segments(path) == segments


@pytest.mark.parametrize(
    ("one", "other", "source"),
    [
        ("LOGIN", "login", "Express: path-to-regexp compiles with /i"),
        ("CAFÉ", "café", "ECMA-262, Canonicalize"),
        ("Σ", "ς", "ECMA-262, Canonicalize"),
        ("\u00b5", "\u03bc", "ECMA-262, Canonicalize: the micro sign"),
        ("\u212a", "k", "Unicode simple case folding, Go's strings.EqualFold: the Kelvin sign"),
        ("\u017f", "s", "Unicode simple case folding, Go's strings.EqualFold: the long s"),
        ("\u0131", "i", "Java's String.equalsIgnoreCase: the dotless i"),
        ("\u1e9e", "ß", "Unicode simple case folding"),
        ("\u01c5", "\u01c6", "ECMA-262, Canonicalize: title case"),
    ],
)
def test_fold_takes_for_one_what_an_upstream_could(one: str, other: str, source: str) -> None:
    assert fold(one) == fold(other), source


@pytest.mark.parametrize(("one", "other"), [("a", "b"), ("é", "e"), ("ß", "ss"), ("ﬁ", "fi"), ("İ", "i"), ("1", "\u0661"), ("/", "\uff0f")])
def test_fold_keeps_apart_what_no_upstream_takes_for_one(one: str, other: str) -> None:
    assert fold(one) != fold(other)


@pytest.mark.parametrize("compared", [str.lower, str.upper, str.casefold])
def test_fold_is_no_finer_than_any_case_mapping_of_one_character_to_one(compared: object) -> None:
    assert callable(compared)
    for code in range(0x110000):
        character = chr(code)
        other = compared(character)
        if len(other) == 1:
            assert fold(other) == fold(character), f"U+{code:04X}"


@given(st.text())
def test_folding_twice_is_folding_once(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@pytest.mark.parametrize("path", ["/_next/static/[id].js", "/[my-slug]", "/a+b", "/$metadata", "/f(x)", "/a.b", "/v1.0/x", "/a|b"])
def test_signs_of_patterns_that_paths_have_too(path: str) -> None:
    assert parse(path).segments
