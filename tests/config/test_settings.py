"""The words of an operator: durations, sizes, files, one or several."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from gateway.config.settings import File, Many, OneOrMany, Settings, duration, kind, size


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("250ms", 0.25), ("15s", 15.0), ("15 s", 15.0), ("1.5m", 90.0), ("1h", 3600.0), ("7d", 604800.0), ("0s", 0.0), ("900000ms", 900.0)],
)
def test_durations(written: str, seconds: float) -> None:
    assert duration(written) == seconds


@pytest.mark.parametrize(
    ("written", "bytes_"), [("100B", 100), ("16KiB", 16384), ("1MiB", 1 << 20), ("2GiB", 2 << 30), ("1kB", 1000), ("0.5MB", 500000)]
)
def test_sizes(written: str, bytes_: int) -> None:
    assert size(written) == bytes_


@pytest.mark.parametrize(
    "written", ["", "s", "15", "15 minutes", "-1s", "1e3s", "٣s", "15S", " 15s", "15s ", "15  s", True, None, [], {}, 15, 1.5, float("nan")]
)
def test_no_durations_and_no_sizes(written: Any) -> None:
    for read in (duration, size):
        with pytest.raises(ValueError, match=r"is no (duration|size); write .+, as in "):
            read(written)


@pytest.mark.parametrize(
    ("value", "words"),
    [(None, "nothing"), (True, "true"), (8080, "8080"), (1.5, "1.5"), ("a", '"a"'), ("a\nb", '"a\\nb"'), ([], "a list"), ({}, "a mapping")],
)
def test_kinds(value: Any, words: str) -> None:
    assert kind(value) == words


class Sample(Settings):
    file: File | None = None
    many: Many[str] = ()
    several: OneOrMany[int] = ()


def test_one_or_many() -> None:
    sample = Sample.model_validate({"many": ["a"], "several": 1})
    assert (sample.many, sample.several) == (("a",), (1,))
    assert Sample.model_validate({"several": [1, 2]}).several == (1, 2)


@pytest.mark.parametrize("broken", [{"many": "a"}, {"many": [1]}, {"several": "1"}, {"several": ["1"]}, {"unknown": 1}])
def test_items_are_as_strict_as_all_else(broken: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Sample.model_validate(broken)


def test_a_file_is_found_from_the_policy(tmp_path: Path) -> None:
    (tmp_path / "cert.pem").write_text("x")
    sample = Sample.model_validate({"file": "cert.pem"}, context={"folder": tmp_path})
    assert sample.file == tmp_path / "cert.pem"


@pytest.mark.parametrize("written", ["gone.pem", "", ".", "a\0b", 3, None])
def test_no_files(written: Any, tmp_path: Path) -> None:
    class Needs(Settings):
        file: File

    with pytest.raises(ValidationError, match=r"no such file|expected the path of a file"):
        Needs.model_validate({"file": written}, context={"folder": tmp_path})
