"""Which metrics and labels an expression asks for, beside those that docs/metrics.md says there are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from promql_parser import (
    AggModifierType,
    AggregateExpr,
    BinaryExpr,
    Call,
    Expr,
    MatrixSelector,
    NumberLiteral,
    ParenExpr,
    StringLiteral,
    SubqueryExpr,
    UnaryExpr,
    VectorSelector,
    parse,
)

Known = Mapping[str, frozenset[str]]
"""The labels of each metric."""

TARGET = frozenset({"job", "instance"})
"""What Prometheus adds to all that it scrapes."""
_ROW = re.compile(r"^\| `(\w+)` \| `[\w.]+`, (counter|gauge|histogram) \| ([^|]*) \|", re.MULTILINE)
_PROCESS = re.compile(r"`(process_\w+)`")


class Unknown(AssertionError):
    """An expression asks for what there is not."""


@cache
def scraped() -> dict[str, frozenset[str]]:
    """What Prometheus has of a gateway, by docs/metrics.md, and what it says itself."""
    page = (Path(__file__).parents[2] / "docs/metrics.md").read_text()
    found = {"up": TARGET, "ALERTS": TARGET | {"alertname", "alertstate", "severity"}}
    for name, kind, listed in _ROW.findall(page):
        labels = TARGET | set(re.findall(r"`(\w+)`", listed))
        if kind == "histogram":
            found |= {f"{name}_bucket": labels | {"le"}, f"{name}_sum": labels, f"{name}_count": labels}
        else:
            found[name] = labels
    return found | dict.fromkeys(_PROCESS.findall(page), TARGET | {"worker"})


def labels(text: str, known: Known) -> frozenset[str]:
    """Those of what the expression gives. Raises Unknown, and ValueError when it is none."""
    return _labels(parse(text), known)


def _labels(expr: Expr, known: Known) -> frozenset[str]:
    match expr:
        case VectorSelector():
            if expr.name is None or expr.name not in known:
                raise Unknown(f"there is no metric {expr.name}")
            return _within((matcher.name for matcher in expr.matchers.matchers), known[expr.name], expr)
        case MatrixSelector():
            return _labels(expr.vector_selector, known)
        case AggregateExpr():
            given = _labels(expr.expr, known)
            if expr.modifier is None:
                return frozenset()
            named = _within(expr.modifier.labels, given, expr) and frozenset(expr.modifier.labels)
            return named if expr.modifier.type == AggModifierType.By else given - named
        case BinaryExpr():
            return _of_two(expr, known)
        case Call():
            given = frozenset[str]().union(*(_labels(argument, known) for argument in expr.args))
            return given - {"le"} if expr.func.name == "histogram_quantile" else given
        case ParenExpr() | UnaryExpr() | SubqueryExpr():
            return _labels(expr.expr, known)
        case NumberLiteral() | StringLiteral():
            return frozenset()
    raise Unknown(f"{expr} is not understood")


def _of_two(expr: BinaryExpr, known: Known) -> frozenset[str]:
    """A number beside a vector has no labels; of two vectors joined by `or`, each has those that both have."""
    left, right = _labels(expr.lhs, known), _labels(expr.rhs, known)
    modifier = expr.modifier
    if modifier is not None and modifier.matching is not None:
        for side in (left, right):
            _within(modifier.matching.labels, side, expr)
    if not left or not right:
        return left | right
    return left & right if str(expr.op) == "or" else left


def _within(asked: Iterable[str], given: frozenset[str], expr: Expr) -> frozenset[str]:
    if missing := set(asked) - given:
        raise Unknown(f"{expr.prettify()}: there is no label {', '.join(sorted(missing))}")
    return given
