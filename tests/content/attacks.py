"""Bodies that are made to keep a gateway busy, each of about a mebibyte before anything is undone."""

from __future__ import annotations

import gzip
import json
from typing import NamedTuple

MIB = 1 << 20
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=b"


class Attack(NamedTuple):
    body: bytes
    media: str = JSON
    encoding: str = ""


def _json(value: object) -> Attack:
    return Attack(json.dumps(value).encode()[:MIB])


ATTACKS: dict[str, Attack] = {
    "brackets": Attack(b"[" * MIB),
    "nested arrays": Attack(b"[" * (MIB // 2) + b"]" * (MIB // 2)),
    "nested objects": Attack(b'{"a":' * (MIB // 5)),
    "thirty levels": Attack(b"[" + (b"[" * 29 + b"]" * 29 + b",") * (MIB // 59) + b"0]"),
    "numbers": Attack(b"[" + b"0," * (MIB // 2 - 2) + b"0]"),
    "one number": Attack(b"1" * MIB),
    "digits": Attack(b"[0." + b"1" * (MIB - 5) + b"]"),
    "empty objects": Attack(b"[" + b"{}," * (MIB // 3 - 2) + b"{}]"),
    "empty strings": Attack(b"[" + b'"",' * (MIB // 3 - 2) + b'""]'),
    "quotes": Attack(b'"' * MIB),
    "backslashes": Attack(b'"' + b"\\" * (MIB - 2) + b'"'),
    "escaped quotes": Attack(b'"' + b'\\"' * (MIB // 2 - 1) + b'"'),
    "escapes": Attack(b'"' + b"\\u0041" * (MIB // 6 - 1) + b'"'),
    "one name twice": Attack(b"{" + b",".join(b'"a":%d' % n for n in range(100_000)) + b"}"),
    "names": _json([{f"k{n}_{m}": 1 for m in range(90)} for n in range(200)]),
    "long names": _json([{f"{n}_{m}" + "x" * 240: 1 for m in range(20)} for n in range(190)]),
    "values": _json([["x" * 40] * 10] * 1800),
    "one string": _json("x" * (MIB - 2)),
    "less than": _json(["<" * 9_000] * 115),
    "nested elements": _json(["<div>" * 1_900] * 109),
    "attributes": _json(["<a " + "b=c " * 2_300] * 112),
    "formatting": _json(["<b><i><u>" * 1_000] * 115),
    "tables": _json(["<table><td>" * 850] * 110),
    "apostrophes": _json(["'=" * 4_900] * 105),
    "short markup": _json(["<b>'=\"" * 6] * 15_000),
    "letters in two": _json(["e\u0301" * 500] * 140),
    "marks": _json("a" + "\u0315\u0300" * 40_000),
    "letters of marks": _json("a" + "\u0f73" * 80_000),
    "many controls": _json(["\x01"] * 15_000),
    "operators": _json([{"$gt": 1}] * 9_000),
    "spaces": Attack(b" " * MIB),
    "not UTF-8": Attack(b'["' + b"\xff" * (MIB - 4) + b'"]'),
    "fields": Attack(b"a&" * (MIB // 2), FORM),
    "one field": Attack(b"a=" + b"%41" * (MIB // 3 - 1), FORM),
    "plus signs": Attack(b"a=" + b"+" * (MIB - 2), FORM),
    "half escapes": Attack(b"a=" + b"%" * (MIB - 2), FORM),
    "ampersands": Attack(b"&" * MIB, FORM),
    "letters": Attack(b"a=" + "é".encode() * (MIB // 2 - 1), FORM),
    "parts": Attack(b"--b\r\n\r\n\r\n" * (MIB // 9), MULTIPART),
    "boundaries": Attack(b"--b" * (MIB // 3), MULTIPART),
    "a long head": Attack(b"--b\r\n" + b"a: b\r\n" * (MIB // 6 - 2), MULTIPART),
    "gzip of zeros": Attack(gzip.compress(bytes(200 * MIB), 9), JSON, "gzip"),
    "gzip of brackets": Attack(gzip.compress(b"[" * MIB), JSON, "gzip"),
    "gzip of gzip": Attack(gzip.compress(gzip.compress(bytes(200 * MIB), 9)), JSON, "gzip"),
    "gzip twice": Attack(gzip.compress(gzip.compress(bytes(200 * MIB), 9)), JSON, "gzip, gzip"),
    "many gzips": Attack(gzip.compress(b"[]") * (MIB // 30), JSON, "gzip"),
}
