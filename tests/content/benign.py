"""What people type into forms, chats and tickets that looks dangerous and is not, by what it is about. Our own."""

from __future__ import annotations

import json
from pathlib import Path

GROUPS: dict[str, list[str]] = json.loads(Path(__file__).with_name("benign.json").read_text("utf-8"))
IN_TWO = "in two"
"""The group of those that are composed, so that they look as they did and are other characters."""
BENIGN = tuple(text for name, group in GROUPS.items() if name != IN_TWO for text in group)

REFUSED = {
    "the <script> tag goes last": "an element that hides or runs what follows",
    "use <style> or a class": "an element that hides or runs what follows",
    "my <iframe> stays blank": "an element that hides or runs what follows",
    "a <template> with a slot": "an element that hides or runs what follows",
    "the <noscript> fallback": "an element that hides or runs what follows",
    'write <img onerror="…"> and it runs': "markup with a handler, as an example",
    "it\x92s from an old Windows": "a control character in place of an apostrophe",
    "\x1b[31mred\x1b[0m": "the colours of a terminal",
}
"""Meant to be harmless, and yet refused, for in a page or a terminal they are not: docs/sanitising.md says so."""
