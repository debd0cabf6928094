"""What the W3C's own harness (w3c/trace-context, test/test.py) asks of whoever passes a trace on, as a table: its tests by their names."""

from __future__ import annotations

from typing import NamedTuple

TRACE, SPAN = "12345678901234567890123456789012", "1234567890123456"
MEMBERS = [f"bar{n:02}={n:02}" for n in range(1, 34)]
KEY = "abcdefghijklmnopqrstuvwxyz0123456789_-*/"
VALUE = "".join(chr(n) for n in range(0x20, 0x7F) if chr(n) not in ",=")


class Case(NamedTuple):
    test: str  # of the harness
    parents: tuple[str, ...] = ()  # values of traceparent fields
    states: tuple[str, ...] = ()  # of tracestate fields
    goes_on: bool = True  # the trace does; else another begins
    state: str | None = None  # what goes on of the tracestate; None: the test does not ask


def tp(version: str = "00", trace: str = TRACE, span: str = SPAN, flags: str = "01", rest: str = "") -> str:
    return f"{version}-{trace}-{span}-{flags}{rest}"


def _parent(test: str, *parents: str, goes_on: bool = False) -> Case:
    return Case(f"test_{test}", parents, (), goes_on)


def _state(test: str, state: str, *states: str) -> Case:
    return Case(f"test_tracestate_{test}", (tp(flags="00"),), states, True, state)


FUTURE = "what-the-future-will-be-like"

CASES = [
    _parent("both_traceparent_and_tracestate_missing"),
    _parent("traceparent_included_tracestate_missing", tp(), goes_on=True),
    _parent("traceparent_duplicated", tp(trace=TRACE[:-1] + "1"), tp()),
    _parent("traceparent_version_0x00", tp(rest=".")),
    _parent("traceparent_version_0x00", tp(rest=f"-{FUTURE}")),
    _parent("traceparent_version_0xcc", tp("cc"), goes_on=True),
    _parent("traceparent_version_0xcc", tp("cc", rest=f"-{FUTURE}"), goes_on=True),
    _parent("traceparent_version_0xcc", tp("cc", rest=f".{FUTURE}")),
    _parent("traceparent_version_0xff", tp("ff")),
    _parent("traceparent_version_illegal_characters", tp(".0")),
    _parent("traceparent_version_illegal_characters", tp("0.")),
    _parent("traceparent_version_too_long", tp("000")),
    _parent("traceparent_version_too_long", tp("0000")),
    _parent("traceparent_version_too_short", tp("0")),
    _parent("traceparent_trace_id_all_zero", tp(trace="0" * 32)),
    _parent("traceparent_trace_id_illegal_characters", tp(trace="." + TRACE[1:])),
    _parent("traceparent_trace_id_illegal_characters", tp(trace=TRACE[:-1] + ".")),
    _parent("traceparent_trace_id_too_long", tp(trace=TRACE + "3")),
    _parent("traceparent_trace_id_too_short", tp(trace=TRACE[:-1])),
    _parent("traceparent_parent_id_all_zero", tp(span="0" * 16)),
    _parent("traceparent_parent_id_illegal_characters", tp(span="." + SPAN[1:])),
    _parent("traceparent_parent_id_illegal_characters", tp(span=SPAN[:-1] + ".")),
    _parent("traceparent_parent_id_too_long", tp(span=SPAN + "7")),
    _parent("traceparent_parent_id_too_short", tp(span=SPAN[:-1])),
    _parent("traceparent_trace_flags_illegal_characters", tp(flags=".0")),
    _parent("traceparent_trace_flags_illegal_characters", tp(flags="0.")),
    _parent("traceparent_trace_flags_too_long", tp(flags="001")),
    _parent("traceparent_trace_flags_too_short", tp(flags="1")),
    *(_parent("traceparent_ows_handling", space.format(tp()), goes_on=True) for space in (" {}", "\t{}", "{} ", "{}\t", "\t {} \t")),
    Case("test_tracestate_included_traceparent_missing", (), ("foo=1",), False, ""),
    Case("test_tracestate_included_traceparent_missing", (), ("foo=1,bar=2",), False, ""),
    _state("included_traceparent_included", "foo=1,bar=2", "foo=1,bar=2"),
    _state("empty_header", "", ""),
    _state("empty_header", "foo=1", "foo=1", ""),
    _state("empty_header", "foo=1", "", "foo=1"),
    _state("multiple_headers_different_keys", "foo=1,bar=2,rojo=1,congo=2,baz=3", "foo=1,bar=2", "rojo=1,congo=2", "baz=3"),
    _state("duplicated_keys", "foo=1,foo=1", "foo=1,foo=1"),
    _state("duplicated_keys", "foo=1,foo=2", "foo=1,foo=2"),
    _state("duplicated_keys", "foo=1,foo=1", "foo=1", "foo=1"),
    _state("duplicated_keys", "foo=1,foo=2", "foo=1", "foo=2"),
    _state("all_allowed_characters", f"{KEY}={VALUE}", f"{KEY}={VALUE}"),
    _state("all_allowed_characters", f"{KEY}@a-z0-9_-*/={VALUE}", f"{KEY}@a-z0-9_-*/={VALUE}"),
    _state("ows_handling", "foo=1,bar=2,baz=3", "foo=1 \t , \t bar=2, \t baz=3"),
    _state("ows_handling", "foo=1,bar=2,baz=3", "foo=1\t \t,\t \tbar=2,\t \tbaz=3"),
    *(_state("ows_handling", "foo=1", text) for text in [" foo=1", "\tfoo=1", "foo=1 ", "foo=1\t", "\t foo=1 \t"]),
    *(_state("key_illegal_characters", "", text) for text in ["foo =1", "FOO=1", "foo.bar=1"]),
    _state("key_illegal_vendor_format", "", "@foo=1,bar=2"),
    _state("member_count_limit", ",".join(MEMBERS[:32]), ",".join(MEMBERS[:10]), ",".join(MEMBERS[10:30]), ",".join(MEMBERS[30:32])),
    _state("member_count_limit", "", ",".join(MEMBERS[:10]), ",".join(MEMBERS[10:30]), ",".join(MEMBERS[30:33])),
    _state("key_length_limit", f"foo=1,{'z' * 256}=1", "foo=1", f"{'z' * 256}=1"),
    _state("key_length_limit", "", "foo=1", f"{'z' * 257}=1"),
    _state("value_illegal_characters", "", "foo=bar=baz"),
    _state("value_illegal_characters", "", "foo=,bar=3"),
    # By level 2, whose keys know no vendors; level 1 refused these.
    _state("key_illegal_vendor_format (level 2)", "foo@=1,bar=2", "foo@=1,bar=2"),
    _state("key_illegal_vendor_format (level 2)", "foo@bar@baz=1,bar=2", "foo@bar@baz=1,bar=2"),
]  # fmt: skip
