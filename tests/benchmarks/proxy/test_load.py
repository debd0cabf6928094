"""What wrk writes is read right, and a row says what its samples say."""

from __future__ import annotations

import pytest

from tests.benchmarks.proxy.load import Load, parse
from tests.benchmarks.proxy.sample import Row, Sample, row
from tests.benchmarks.proxy.table import table

HEAD = "Running 2s test @ http://127.0.0.1:8080/\n  1 threads and 32 connections\n"


@pytest.mark.parametrize(
    ("output", "load"),
    [
        pytest.param(
            f"{HEAD}  Latency Distribution\n     50%  850.00us\n     75%    1.29ms\n     90%    2.00ms\n     99%    1.20s \n"
            "  45123 requests in 2.10s, 61.23MB read\nRequests/sec:  21487.14\n",
            Load(45123, 2.1, 0.85, 1200.0, 0, 0),
            id="all well",
        ),
        pytest.param(
            f"{HEAD}     50%    1.00ms\n     99%    3.00ms\n  10 requests in 1.50m, 1.00KB read\n"
            "  Socket errors: connect 1, read 2, write 3, timeout 4\n  Non-2xx or 3xx responses: 9\n",
            Load(10, 90.0, 1.0, 3.0, 9, 10),
            id="errors of both kinds",
        ),
    ],
)
def test_what_wrk_writes(output: str, load: Load) -> None:
    assert parse(output) == load


def test_what_wrk_does_not_write() -> None:
    with pytest.raises(RuntimeError, match="unable to connect"):
        parse("unable to connect to 127.0.0.1:1 Connection refused")


def sample(us: float, errors: int = 0) -> Sample:
    return Sample(us=us, rate=1e6 / us, p50=1.0, p99=us / 10, resident=50 << 20, errors=errors)


def test_a_row_is_the_median_and_the_errors_of_all_rounds() -> None:
    assert row("x", "does", [sample(30, 1), sample(10), sample(20, 2)]) == Row("x", "does", sample(20, 3), 10, 30)


def test_ratios_are_to_both_envoys() -> None:
    rows = [row("envoy", "", [sample(40)]), row("envoy-policy", "", [sample(50)]), row("gateway", "", [sample(20)])]
    last = table(rows).splitlines()[-1]
    assert [cell.strip() for cell in last.split("|")][4:7] == ["20.0 (20.0..20.0)", "0.50", "0.40"]


def test_without_envoy_there_is_no_ratio() -> None:
    last = table([row("gateway", "", [sample(20)])]).splitlines()[-1]
    assert [cell.strip() for cell in last.split("|")][5:7] == ["-", "-"]
