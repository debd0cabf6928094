"""The words of an operator: durations, sizes, files, one or several."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from gateway.config.settings import File, Many, OneOrMany, Percent, Rate, Settings, duration, kind, percent, rate, size


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
        with pytest.raises(ValueError, match=r"is no (duration|size); write "):
            read(written)


@pytest.mark.parametrize(
    ("read", "written", "meant"),
    [
        (duration, "15min", "15m"),
        (duration, "15 minutes", "15m"),
        (duration, "10sec", "10s"),
        (duration, "1,5s", "1.5s"),
        (duration, "15M", "15m"),
        (duration, "1h30m", "90m"),
        (duration, "1m30s", "90s"),
        (size, "1M", "1MiB"),
        (size, "1mb", "1MiB"),
        (size, "16KB", "16KiB"),
        (size, "8Kib", "8KiB"),
    ],
)
def test_what_was_meant(read: Callable[[Any], float], written: str, meant: str) -> None:
    with pytest.raises(ValueError, match=rf"; write {meant}$"):
        read(written)
    assert read(meant) > 0


@pytest.mark.parametrize(("read", "written"), [(duration, "36501d"), (duration, "999999999999999d"), (size, "999999999999999GiB")])
def test_too_much(read: Callable[[Any], float], written: str) -> None:
    with pytest.raises(ValueError, match=r"; write .+ at most$"):
        read(written)


@pytest.mark.parametrize(("written", "share"), [("20%", 0.2), ("0%", 0.0), ("100%", 1.0), ("12.5 %", 0.125), ("0.1%", 0.001)])
def test_percentages(written: str, share: float) -> None:
    assert percent(written) == share


@pytest.mark.parametrize(("written", "times"), [("10/s", 10.0), ("600/m", 10.0), ("36 / h", 0.01), ("864/d", 0.01), ("0.5/s", 0.5)])
def test_rates(written: str, times: float) -> None:
    assert rate(written) == times


@pytest.mark.parametrize(
    "written", ["", "%", "/s", "ten%", "10/", "10/ms", "10/S", "-1%", "-1/s", "1e3/s", "٣%", " 1%", True, None, [], {}]
)
def test_no_percentages_and_no_rates(written: Any) -> None:
    for read, noun in ((percent, "percentage"), (rate, "rate")):
        with pytest.raises(ValueError, match=rf"is no {noun}; write a number and its unit, as in "):
            read(written)


@pytest.mark.parametrize("bare", [20, 0.2, 10])
def test_a_bare_number_is_no_percentage_and_no_rate(bare: float) -> None:
    with pytest.raises(
        ValueError, match=rf"^a bare number is no percentage; write the unit, as in {'20% or ' if bare == 0.2 else ''}{bare}%$"
    ):
        percent(bare)
    with pytest.raises(ValueError, match=rf"^a bare number is no rate; write the unit, as in {bare}/s$"):
        rate(bare)


def test_there_is_no_more_than_the_whole() -> None:
    with pytest.raises(ValueError, match=r'^"100.1%" is more than the whole; write 100% at most$'):
        percent("100.1%")


def test_units_are_settings() -> None:
    class Retry(Settings):
        budget: Percent
        rate: Rate = 1.0

    assert Retry.model_validate({"budget": "20%", "rate": "60/m"}).model_dump() == {"budget": 0.2, "rate": 1.0}
    with pytest.raises(ValidationError, match="a bare number is no percentage"):
        Retry.model_validate({"budget": 0.2})


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


@pytest.mark.parametrize("written", ["gone.pem", "", ".", "a\0b", 3, None, "a" * 5000])
def test_no_files(written: Any, tmp_path: Path) -> None:
    class Needs(Settings):
        file: File

    with pytest.raises(ValidationError, match=r"no such file|expected the path of a file|cannot be read|is a folder"):
        Needs.model_validate({"file": written}, context={"folder": tmp_path})
