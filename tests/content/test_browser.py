"""What sanitize lets pass runs in no page of a real browser: Chromium, where there is one."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from html import escape, unescape
from itertools import product
from pathlib import Path

import pytest

from gateway.content.cleaning import Cleaning, Field, Rules
from gateway.content.html import ACTIVE, LOADING, may_be_active
from tests.content.texts import HARMLESS, LIVE

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PLACES = ("<p>%s</p>", '<input value="%s" class="x">', "<input value='%s' class='x'>")
TAILS = ("", "/", " src=javascript:alert(1)", " href=javascript:alert(1)", " data=javascript:alert(1)", " onload=alert(1)")
INSIDE = ("", "<img src=x onerror=alert(1)>", "<script>alert(1)</script>", "<param name=src value=javascript:alert(1)>")
HANDLERS = ("alert", "true", "alert(1)", "alert`1`", "x;alert(1)", "&#97;lert(1)", "alert&lpar;1)", "x onclick=alert(1)")
TRIED = (
    *(f"<{tag}{tail}>{inner}" for tag, tail, inner in product(sorted(ACTIVE | LOADING), TAILS, INSIDE)),
    *(f"x{quote} {name}={value} autofocus" for quote, name, value in product("\"'", ("onfocus", "oncology"), HANDLERS)),
)
EVENTS = ("click", "focus", "mouseover", "load", "error", "toggle", "begin")


def passes(text: str) -> bool:
    found = Cleaning()
    found.value(text, Field(Rules()))
    return not found.refused


def page(name: int, place: str, text: str) -> str:
    return (
        f'<script>window.alert = () => parent.postMessage({name}, "*")</script>{place % text}<script>setTimeout(() => {{'
        f"for (const one of document.querySelectorAll('*')) for (const event of {list(EVENTS)}) one.dispatchEvent(new Event(event))"
        "}, 50)</script>"
    )


def run(texts: Sequence[str], folder: Path) -> set[str]:
    """Those that ran, in one of the places."""
    assert CHROMIUM is not None
    ran: set[str] = set()
    for start in range(0, len(texts), 60):
        frames = "".join(
            f'<iframe sandbox="allow-scripts" srcdoc="{escape(page(start + n, place, text))}"></iframe>'
            for n, text in enumerate(texts[start : start + 60])
            for place in PLACES
        )
        file = folder / "page.html"
        told = "<pre></pre><script>onmessage = told => document.querySelector('pre').append(told.data + ' ')</script>"
        file.write_text(f"<meta charset=utf-8>{told}{frames}", "utf-8", errors="replace")
        command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}"]
        shown = subprocess.run(
            [*command, "--virtual-time-budget=4000", "--dump-dom", file.as_uri()], capture_output=True, timeout=120, check=True
        ).stdout.decode()
        ran.update(texts[int(one)] for one in unescape(shown.partition("<pre>")[2].partition("</pre>")[0]).split())
    return ran


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_nothing_that_passes_runs(tmp_path: Path) -> None:
    refused = LIVE[:40]
    assert len(run(refused, tmp_path)) > len(refused) // 4  # what is refused does run here, much of it
    passed = [text for text in dict.fromkeys((*TRIED, *HARMLESS)) if may_be_active(text) and passes(text)]
    assert len(passed) > 60
    assert run(passed, tmp_path) == set()
