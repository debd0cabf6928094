"""Tables in Markdown, padded so that a terminal shows them well."""

from __future__ import annotations

from collections.abc import Sequence

from tests.benchmarks.proxy.sample import Row

BASES = ("envoy", "envoy-policy")
COLUMNS = (
    "peer",
    "what it does",
    "req/s",
    "CPU us a request (min..max)",
    "x envoy",
    "x envoy-policy",
    "p50 ms",
    "p99 ms",
    "p99 x envoy",
    "RSS MB",
    "errors",
)


def table(rows: Sequence[Row]) -> str:
    """One for one number of connections."""
    bases = {row.name: row.typical for row in rows if row.name in BASES}
    cpu = [bases[name].us if name in bases else 0.0 for name in BASES]
    tail = bases["envoy"].p99 if "envoy" in bases else 0.0
    return markdown(
        COLUMNS,
        [
            (
                row.name,
                row.does,
                f"{row.typical.rate:,.0f}",
                f"{row.typical.us:.1f} ({row.least:.1f}..{row.most:.1f})",
                *(ratio(row.typical.us, base) for base in cpu),
                f"{row.typical.p50:.2f}",
                f"{row.typical.p99:.2f}",
                ratio(row.typical.p99, tail),
                f"{row.typical.resident / (1 << 20):.0f}",
                str(row.typical.errors),
            )
            for row in rows
        ],
        texts=2,
    )


def ratio(value: float, base: float) -> str:
    return f"{value / base:.2f}" if base else "-"


def markdown(columns: Sequence[str], rows: Sequence[Sequence[str]], texts: int = 1) -> str:
    """The first `texts` columns are aligned to the left, the figures to the right."""
    widths = [max(len(row[n]) for row in (columns, *rows)) for n in range(len(columns))]

    def line(cells: Sequence[str]) -> str:
        padded = (cell.ljust(width) if n < texts else cell.rjust(width) for n, (cell, width) in enumerate(zip(cells, widths, strict=True)))
        return f"| {' | '.join(padded)} |"

    rule = "|".join("-" * (width + 2) if n < texts else "-" * (width + 1) + ":" for n, width in enumerate(widths))
    return "\n".join([line(columns), f"|{rule}|", *(line(row) for row in rows)])
