"""When a change of files is seen: however it was made, and not before it is whole."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.watch import Watch, follow, stamps


@pytest.fixture
def mount(tmp_path: Path) -> Path:
    """As Kubernetes mounts a ConfigMap: the files are links through `..data`, which is swapped for each version."""
    for version in ("1", "2"):
        (tmp_path / f"..{version}").mkdir()
        (tmp_path / f"..{version}" / "gateway.yaml").write_text(f"version: {version}")
        os.utime(tmp_path / f"..{version}" / "gateway.yaml", ns=(10**18, 10**18))
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "gateway.yaml").symlink_to("..data/gateway.yaml")
    return tmp_path / "gateway.yaml"


def swap(mount: Path) -> None:
    fresh = mount.parent / "..data_tmp"
    fresh.symlink_to("..2")
    fresh.rename(mount.parent / "..data")


def replace(mount: Path) -> None:
    """As most editors save."""
    fresh = mount.parent / "new"
    fresh.write_text("version: 3")
    fresh.rename(mount)


CHANGES: dict[str, Callable[[Path], object]] = {
    "a ConfigMap": swap,
    "renamed onto it": replace,
    "written in place": lambda mount: mount.write_text("version: 4"),
    "gone": lambda mount: mount.unlink(),
    "only its age": lambda mount: os.utime(mount, ns=(10**18, 2 * 10**18)),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_is_told_when_it_has_held_still(mount: Path, change: Callable[[Path], object]) -> None:
    watch = Watch(stamps([mount]))
    assert [watch.look(), watch.look()] == [False, False]
    change(mount)
    assert [watch.look(), watch.look()] == [False, True]


def test_a_file_that_is_being_written_is_left_alone(mount: Path) -> None:
    watch = Watch(stamps([mount]))
    for n in range(3):
        mount.write_text("version: 1\n" + "#" * n)
        assert not watch.look()
    assert watch.look()


def test_what_changed_back_has_not_changed(mount: Path) -> None:
    watch = Watch(stamps([mount]))
    swap(mount)
    assert not watch.look()
    (mount.parent / "..data").unlink()
    (mount.parent / "..data").symlink_to("..1")
    assert [watch.look(), watch.look()] == [False, False]


def test_a_file_that_was_not_there_is_seen_when_it_comes(tmp_path: Path) -> None:
    watch = Watch(stamps([tmp_path / ".env"]))
    (tmp_path / ".env").write_text("PORT=1")
    assert [watch.look(), watch.look()] == [False, True]


@pytest.mark.parametrize(("name", "seen"), [("more.yaml", True), (".more.yaml.swp", False)])
def test_a_folder_changes_with_the_names_in_it(name: str, seen: bool, tmp_path: Path) -> None:
    """In which a pattern looks for files; what editors and mounts hide there is none of them."""
    (tmp_path / "routes.yaml").write_text("a")
    watch = Watch(stamps([tmp_path]))
    (tmp_path / "routes.yaml").write_text("another")
    assert [watch.look(), watch.look()] == [False, False]
    (tmp_path / name).write_text("")
    assert [watch.look(), watch.look()] == [False, seen]


async def test_who_follows_a_file_is_told_its_new_content_until_cancelled(mount: Path, caplog: pytest.LogCaptureFixture) -> None:
    contents: asyncio.Queue[bytes] = asyncio.Queue()

    def changed(content: bytes) -> None:
        if content == b"bad":
            raise ValueError("no good")
        contents.put_nowait(content)

    task = asyncio.create_task(follow(mount, changed, look=0.005))
    await asyncio.sleep(0)
    swap(mount)
    assert await asyncio.wait_for(contents.get(), 30) == b"version: 2"
    with caplog.at_level(logging.ERROR):
        mount.write_text("bad")
        while not caplog.records:
            await asyncio.sleep(0.005)
    mount.write_text("version: 3")
    assert await asyncio.wait_for(contents.get(), 30) == b"version: 3"
    assert "no good" in caplog.text and str(mount) in caplog.text
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled() and contents.empty()
