"""Every mistake in its own words: broken/NAME.yaml and what is told of it, broken/NAME.txt.

`python -m tests.config.test_broken` writes the texts anew; read the difference before you keep it.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.config.policy import load
from gateway.errors import ConfigError
from gateway.registry import Registry

HERE = Path(__file__).parent
CASES = sorted(HERE.glob("broken/*.yaml"))
ENV = {"SECRET": "hunter2-of-the-environment", "SECRET_URL": "http://admin:hunter2-of-the-environment@db", "NUMBER": "4711", "EMPTY": ""}
PLACE = re.compile(r"^\w+\.yaml:(\d+):(\d+): ", re.MULTILINE)
JARGON = re.compile(r"\binput\b|valid (string|integer|dict)|pydantic|NoneType|<class|validation|\bfield\b|extra|Traceback", re.IGNORECASE)


def told(file: Path) -> str:
    """What is said of the policy, as if it lay in the folder it is named from."""
    with pytest.raises(ConfigError) as caught:
        load(file, Registry(HERE), ENV)
    return f"{caught.value}\n".replace(f"{file.parent}/", "")


@pytest.mark.parametrize("file", CASES, ids=lambda file: file.stem)
def test_mistakes_are_told(file: Path) -> None:
    assert told(file) == file.with_suffix(".txt").read_text()


@pytest.mark.parametrize("file", CASES, ids=lambda file: file.stem)
def test_mistakes_are_in_the_order_of_the_file_and_in_plain_words(file: Path) -> None:
    text = told(file)
    places = [tuple(map(int, place)) for place in PLACE.findall(text)]
    assert places == sorted(places)
    assert JARGON.search(text) is None
    assert not any(value and value in text for value in ENV.values())


def test_the_table_is_whole() -> None:
    assert len(CASES) >= 40
    assert {file.stem for file in HERE.glob("broken/*.txt")} == {file.stem for file in CASES}


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(ConfigError, match=r"^/nowhere/gateway\.yaml: no such file; name the policy"):
        load("/nowhere/gateway.yaml")


def test_a_folder_is_no_policy(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load(tmp_path)


def test_a_file_without_end(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    with file.open("wb") as stream:
        stream.truncate(64 << 20)
    with pytest.raises(ConfigError, match="larger than 8 MiB"):
        load(file)


if __name__ == "__main__":
    for case in CASES:
        case.with_suffix(".txt").write_text(told(case))
