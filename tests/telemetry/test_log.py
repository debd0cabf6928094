"""The gateway's own log: it never makes the one who logs wait."""

from __future__ import annotations

import json
import logging
import os
import sys
import time

import pytest

from gateway.telemetry.log import MOST, LogHandler, formatter


def record(message: str) -> logging.LogRecord:
    return logging.LogRecord("gateway", logging.INFO, "", 0, message, None, None)


def test_what_is_logged_is_written_in_order() -> None:
    reader, writer = os.pipe()
    handler = LogHandler(writer)
    for n in range(100):
        handler.emit(record(f"message {n} \udcff"))
    handler.flush()
    assert os.read(reader, 1 << 16).decode() == "".join(f"message {n} \\udcff\n" for n in range(100))


@pytest.mark.alone
def test_nobody_waits_for_a_reader_that_does_not_read_and_what_is_lost_is_told() -> None:
    reader, writer = os.pipe()
    handler = LogHandler(writer)
    begun = time.monotonic()
    for _ in range(3 * MOST):
        handler.emit(record("a" * 1000))
    assert time.monotonic() - begun < 1
    read = b""
    while b"were dropped" not in read:
        read += os.read(reader, 1 << 16)
    handler.flush()
    assert b"messages of the log were dropped" in read


def test_a_reader_that_has_gone_ends_nothing() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    handler = LogHandler(writer)
    handler.emit(record("to nobody"))
    begun = time.monotonic()
    handler.flush()
    assert time.monotonic() - begun < 0.5


def test_json_is_one_object_a_line_with_the_traceback_of_an_error() -> None:
    try:
        raise KeyError("lost")
    except KeyError:
        told = logging.LogRecord("gateway.x", logging.ERROR, __file__, 1, "two\nlines of %s", ("text",), sys.exc_info())
    told.created = 1_700_000_000.5
    line = formatter("json").format(told)
    assert "\n" not in line
    found = json.loads(line)
    assert found.pop("error").endswith("KeyError: 'lost'")
    assert found == {"time": "2023-11-14T22:13:20.500Z", "level": "error", "logger": "gateway.x", "message": "two\nlines of text"}


def test_text_is_for_reading() -> None:
    told = logging.LogRecord("gateway.x", logging.INFO, __file__, 1, "listening", (), None)
    assert formatter("text").format(told).endswith(" INFO gateway.x: listening")
