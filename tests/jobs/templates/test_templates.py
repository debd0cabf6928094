"""Templates: what is told of them at load, and that none of them can harm who renders it."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from gateway.jobs.templates.folder import Templates
from gateway.jobs.templates.renderer import CannotRender


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


async def rendered(folder: Path, name: str, text: str, data: Mapping[str, object]) -> str:
    (folder / name).write_text(text)
    templates = Templates(folder)
    try:
        return (await templates.render([name], data))[name]
    finally:
        await templates.close()


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.txt", "Hello {{ name }}\n", "Hello <b>&"),
        ("a.html", "<p>{{ name }}", "<p>&lt;b&gt;&amp;"),
        ("a.txt", "{% for n in many %}{{ n }},{% endfor %}", "1,2,"),
        ("a.txt", "{{ 3 * 4 }}", "12"),
        ("a.txt", "{{ nothing or 'you' }}{% if nothing %}!{% endif %}", "you"),
        ("a.txt", "{{ inner.items }}", "mine"),
        ("a.txt", "{% for name, value in inner.other.items() %}{{ name }}={{ value }}{% endfor %}", "a=1"),
    ],
)
async def test_what_is_written(folder: Path, name: str, text: str, expected: str) -> None:
    assert (
        await rendered(folder, name, text, {"name": "<b>&", "nothing": None, "many": [1, 2], "inner": {"items": "mine", "other": {"a": 1}}})
        == expected
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("Hello\n{{ surname }}", "a.txt:2: 'surname' is undefined"),
        ("{{ name.first }}", "a.txt:1: 'str object' has no attribute 'first'"),
        ("{{ ''.__class__ }}", "a.txt:1: access to attribute '__class__' of 'str' object is unsafe."),
        ("{{ 'a' * 1000000000 }}", "a.txt:1: a template multiplies numbers and nothing else; * is none of its business"),
        ("{{ 9 ** 9 }}", "a.txt:1: a template multiplies numbers and nothing else; ** is none of its business"),
        ("Hello\n{{ nothing }}", "a.txt:2: what it writes is null; write {{ name or 'you' }} where it may be"),
        ("{% for n in range(100000) %}{{ name }}aaaaaaaaaaaaaaaaaaaa{% endfor %}", "a.txt writes more than 1048576 characters"),
        ("{{ range(1000000) | length }}", "a.txt:1: OverflowError"),
        ("{{ name.append(1) }}", "a.txt:1: 'str object' has no attribute 'append'"),
    ],
)
async def test_what_is_refused(folder: Path, text: str, why: str) -> None:
    with pytest.raises(CannotRender) as error:
        await rendered(folder, "a.txt", text, {"name": "Ada", "nothing": None})
    assert str(error.value) == why


@pytest.mark.parametrize(
    "text",
    [
        "{% for a in range(99999) %}{% for b in range(99999) %}{% set c = 1 %}{% endfor %}{% endfor %}",
        "{% set n = namespace(t='aaaaaaaaaaaaaaaa') %}{% for a in range(60) %}{% set n.t = n.t ~ n.t %}{% endfor %}{{ n.t }}",
        "{{ '%2000000000d' % 1 }}",
        "{{ 'x'.center(2000000000) | length }}",
    ],
    ids=["loops", "doubles", "formats", "centers"],
)
async def test_one_that_eats_the_machine_harms_itself_alone(folder: Path, text: str) -> None:
    """The next one is rendered, by a new process if need be; the loop turns all the while."""
    (folder / "bad.txt").write_text(text)
    (folder / "good.txt").write_text("{{ name }}")
    templates = Templates(folder)
    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0.01)
            turns += 1

    turning = asyncio.create_task(turn())
    try:
        assert await templates.render(["good.txt"], {"name": "Ada"}) == {"good.txt": "Ada"}
        begun, before = time.monotonic(), turns
        with pytest.raises(CannotRender, match=r"^bad\.txt"):
            await templates.render(["bad.txt"], {})
        assert time.monotonic() - begun < 8
        assert turns - before >= (time.monotonic() - begun) * 20 - 1
        assert await templates.render(["good.txt"], {"name": "Ada"}) == {"good.txt": "Ada"}
    finally:
        turning.cancel()
        await templates.close()


async def test_a_process_that_was_killed_is_replaced(folder: Path) -> None:
    (folder / "good.txt").write_text("{{ name }}")
    templates = Templates(folder)
    try:
        await templates.render(["good.txt"], {"name": "Ada"})
        process = templates._renderer._process
        assert process is not None
        os.kill(process.pid, signal.SIGKILL)
        with pytest.raises(CannotRender):
            await templates.render(["good.txt"], {"name": "Ada"})
        assert await templates.render(["good.txt"], {"name": "Eve"}) == {"good.txt": "Eve"}
    finally:
        await templates.close()


async def test_who_gives_up_gets_nobody_elses_text(folder: Path) -> None:
    (folder / "good.txt").write_text("{{ name }}")
    templates = Templates(folder)
    try:
        waiting = asyncio.create_task(templates.render(["good.txt"], {"name": "Ada"}))
        await asyncio.sleep(0.001)
        waiting.cancel()
        await asyncio.wait([waiting])
        assert await templates.render(["good.txt"], {"name": "Eve"}) == {"good.txt": "Eve"}
    finally:
        await templates.close()


def test_what_a_template_needs(tmp_path: Path) -> None:
    (tmp_path / "layout.html").write_text("<h1>{{ company }}</h1>{% block body %}{% endblock %}")
    (tmp_path / "a.html").write_text(
        '{% extends "layout.html" %}{% block body %}{{ name }}{% for x in many %}{{ x.y }}{% endfor %}{% endblock %}'
    )
    (tmp_path / "a.txt").write_text("{{ name }} {{ range(3) | join }} {{ link }} {{ name }}")
    templates = Templates(tmp_path)
    assert templates.needs(["a.html", "a.txt"]) == ["company", "link", "many", "name"]
    assert templates.order("a.txt") == ["name", "link"]


def test_all_mistakes_are_told_at_once_with_their_lines(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("fine\n{{ name }\n")
    (tmp_path / "b.html").write_text("{% extends 'nothing.html' %}")
    (tmp_path / "c.txt").write_text("{{ name | shout }}")
    with pytest.raises(ValueError, match=r"a\.txt") as error:
        Templates(tmp_path)
    told = str(error.value)
    assert "/a.txt:2: unexpected '}'" in told
    assert "/b.html includes nothing.html, which is not in the folder" in told
    assert "/c.txt:1: no filter is called shout" in told


def test_what_is_no_template_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match="cannot be read"):
        Templates(tmp_path)
    (tmp_path / "a.txt").write_text("a" * 300_000)
    with pytest.raises(ValueError, match=r"holds more than templates: a\.txt is too large"):
        Templates(tmp_path)


def test_a_configmap_counts_its_files_once(tmp_path: Path) -> None:
    data = tmp_path / "..data"
    data.mkdir()
    (data / "a.txt").write_text("{{ name }}")
    (tmp_path / "a.txt").symlink_to(data / "a.txt")
    assert list(Templates(tmp_path).texts) == ["a.txt"]
