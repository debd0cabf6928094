"""Text that would do something where it is shown: found with a browser's own parsing rules (lexbor), taken out with nh3.

A text is looked at as it would stand in the body of a page, and in an attribute between double and between single quotes. What it would
do elsewhere (in a script, in an attribute without quotes, in a URL of its own) nobody can tell who does not know the page.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import nh3
from selectolax.lexbor import LexborHTMLParser

ACTIVE = frozenset(
    {
        "frameset", "iframe", "noembed", "noframes", "noscript", "plaintext", "script", "style", "template", "xml", "xmp",
    }
)  # fmt: skip
"""Elements that run, that take the page's place, and those whose content is markup to one parser and text to another."""
LOADING = frozenset(
    {
        "animate", "animatemotion", "animatetransform", "applet", "base", "bgsound", "embed", "fencedframe", "frame", "link", "meta",
        "object", "portal", "set",
    }
)  # fmt: skip
"""Elements that load, embed or redirect what an attribute tells them, and without one do nothing: `List<Object>`, "the <link> tag"."""
RICH = {
    "a", "abbr", "b", "blockquote", "br", "caption", "cite", "code", "dd", "del", "div", "dl", "dt", "em", "h1", "h2", "h3", "h4", "h5",
    "h6", "hr", "i", "ins", "kbd", "li", "mark", "ol", "p", "pre", "q", "s", "samp", "small", "span", "strike", "strong", "sub", "sup",
    "table", "tbody", "td", "tfoot", "th", "thead", "tr", "u", "ul", "var", "wbr",
}  # fmt: skip
"""Elements of rich text. No images: one from elsewhere tells its owner who reads the text."""
ATTRIBUTES = {"a": {"href"}, "ol": {"start"}, "td": {"colspan", "rowspan"}, "th": {"colspan", "rowspan", "scope"}}
SCHEMES = {"http", "https", "mailto", "tel"}

_STRIPPING = nh3.Cleaner(tags=set())
_ALLOWING = nh3.Cleaner(tags=RICH, attributes=ATTRIBUTES, url_schemes=SCHEMES, link_rel="noopener noreferrer nofollow")
_HANDLER = re.compile(
    r"on(?!(?:e|es|ce|ly|to|line|going|set|site|boarding|wards?|board|hold|ions?|sale|screen|shore|stage|tario|us|yx|cology|tology)"
    r"(?![a-z]))[a-z]"
)
"""Whatever may be an event's handler, new ones among them: all that begins with on, but for words that people write before a `=`."""
_WORD = re.compile(r"[A-Za-z0-9_]{1,40}[\"']?")
"""As a handler it names something, or nothing, and calls it not; with the quote that ends the text it is no script at all."""
_NOT_PLAIN = re.compile(rf"<(?!/?(?:{'|'.join(sorted(RICH))})>|[\s\d<=>.,;:()-])", re.IGNORECASE)
"""A `<` that may begin something other than a tag of rich text without attributes. Without one nothing in a page's body is active."""
_UNSEEN = dict.fromkeys([*range(0x21), 0x7F, 0xA0, 0x200B, 0xFEFF])  # what browsers skip in and before a scheme, and some more
_SCRIPT_URL = re.compile(r"(?:java|vb|live)script:|data:(?!image/(?:png|gif|jpe?g|webp|avif)[;,])")
_SCRIPT_STYLE = re.compile(r"expression\(|javascript:|-moz-binding|behavior:")
_MEANT = re.compile(r"""&(?!#?[A-Za-z0-9]+;)|[<>"']""")
_REFERENCES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#x27;"}


def may_be_active(text: str) -> bool:
    """Cheap, and never wrong when it says no: without these no parser finds an element or an attribute."""
    return "<" in text or ("=" in text and ('"' in text or "'" in text))


def is_active(text: str) -> bool:
    """Whether a script would run, or something be loaded, embedded or redirected, if the text were shown as it is.

    Costs tens of microseconds, and milliseconds for hostile text of 10,000 characters: the caller caps it.
    """
    if "<" in text and is_active_markup(text):
        return True
    for quote in ('"', "'"):
        inside, _, outside = text.partition(quote)
        if outside and ("<" in outside or "=" in outside) and _runs(f"<i title={quote}{text}{quote}>", skip=inside):
            return True
    return False


def is_active_markup(text: str, is_whole: bool = False) -> bool:
    """The same in the body of a page alone, for text that is meant to be markup. `is_whole`: it leaves no tag open."""
    if _NOT_PLAIN.search(text) is None:
        return False
    if is_whole:
        return _runs(text)
    # The page goes on after the text, and may close a tag, or a value in quotes, that the text left open.
    endings = [">", *(f"{quote}>" for quote in ('"', "'") if quote in text)]
    return any(_runs(text + ending) for ending in endings)


def strip(text: str) -> str:
    """Its text alone, all markup gone. `<` alone goes too, as `&lt;`: it cannot be told from markup by who reads it next."""
    return _STRIPPING.clean(text).replace("&gt;", ">").replace("&amp;", "&") if "<" in text else text


def escape(text: str) -> str:
    """What HTML gives a meaning to, as references; a reference that stands there already stays one, so that twice is once."""
    return _MEANT.sub(lambda found: _REFERENCES[found[0]], text)


def allow(text: str) -> str:
    """The rich text in it: elements and attributes of a list, links to http, https, mailto and tel."""
    return _ALLOWING.clean(text) if "<" in text else text


def _runs(markup: str, skip: str | None = None) -> bool:
    """`skip`: the text of an attribute `title` of the first element, which is ours."""
    in_select = in_object = False
    for tag, attributes in _elements(markup):
        if tag in ACTIVE or (attributes and tag in LOADING):
            return True
        # To browsers of before 2025 <title> is nothing in <select>, and what others take for its text is markup. What is to be loaded
        # may be told to an <object> by a <param> in it.
        if (in_select and tag == "title") or (in_object and tag == "param"):
            return True
        in_select = in_select or tag == "select"
        in_object = in_object or tag in ("object", "applet")
        is_prose = skip is not None
        for name, value in attributes.items():
            if skip is not None and name == "title":
                skip = None
            elif _HANDLER.match(name):
                if not (is_prose and value and _WORD.fullmatch(value)):  # set "autoplay" and onload=true
                    return True
            elif value and _is_script(name, value):
                return True
    return False


def _is_script(name: str, value: str) -> bool:
    compact = value.translate(_UNSEEN).lower()
    return _SCRIPT_URL.match(compact) is not None or (name == "style" and _SCRIPT_STYLE.search(compact) is not None)


def _elements(markup: str) -> Iterator[tuple[str, dict[str, str | None]]]:
    # As a browser that runs scripts reads it: to such a one what stands in <noscript> is text. Not as a fragment, in which <body> and
    # <html> are nothing: in a page their attributes, handlers too, become those of the page's own.
    tree = LexborHTMLParser(markup, is_fragment=False, scripting=True)
    if tree.root is not None:
        for node in tree.root.traverse(include_text=False):
            yield node.tag or "", node.attributes
