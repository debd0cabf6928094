"""Each algorithm in the fewest words: fractions over the times admitted so far. What the stores are held against."""

from __future__ import annotations

from fractions import Fraction

from gateway.store.contract import LimitSpec

Times = list[tuple[int, int]]
"""When, in microseconds, and how many."""


def free(spec: LimitSpec, admitted: Times, now: int) -> Fraction:
    """How many requests are left. Windows are aligned to time 0."""
    window = round(spec.window * 1e6)
    if spec.algorithm == "log":
        return Fraction(spec.limit - sum(n for time, n in admitted if time > now - window))
    if spec.algorithm == "token_bucket":
        return _tokens(spec, admitted, now)
    count = sum(n for time, n in admitted if time // window == now // window)
    if spec.algorithm == "fixed":
        return Fraction(spec.limit - count)
    before = sum(n for time, n in admitted if time // window == now // window - 1)
    return spec.limit - count - before * Fraction(window - now % window, window)


def _tokens(spec: LimitSpec, admitted: Times, now: int) -> Fraction:
    rate = Fraction(spec.limit, round(spec.window * 1e6))
    tokens, last = Fraction(spec.limit), 0
    for time, n in admitted:
        tokens = min(Fraction(spec.limit), tokens + (time - last) * rate) - n
        last = time
    return min(Fraction(spec.limit), tokens + (now - last) * rate)
