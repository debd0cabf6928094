"""What each algorithm says of a state, as functions of integers: the one place where it is worked out, for memory and Redis alike.

Times are whole microseconds. Each function returns the `Decision` of a request that costs `cost` and was `allowed` and counted, was
refused, or was only looked at: the state is always the one after it.
"""

from __future__ import annotations

from gateway.store.contract import Decision

SECOND = 1e6

_new = tuple.__new__  # half the time of Decision(...), which is a Python function


def sliding(limit: int, window: int, into: int, count: int, before: int, allowed: bool, cost: int) -> Decision:
    """The sliding window counter, `into` this window, with `count` in it and `before` in the last one."""
    remaining = limit - count
    if before:
        remaining += -before * (window - into) // window
    if remaining < 0:
        remaining = 0
    reset = sliding_growth(limit, window, into, count, before, remaining)
    if allowed:
        return _new(Decision, (True, remaining, reset, 0.0))
    retry = reset if remaining == cost - 1 else sliding_growth(limit, window, into, count, before, cost - 1)
    return _new(Decision, (False, remaining, reset, retry))


def sliding_growth(limit: int, window: int, into: int, count: int, before: int, remaining: int) -> float:
    """Seconds until more than `remaining` are left: in this window if some of `before` must fade, else in the next, as `count` does."""
    keep = limit - remaining - 1
    if 0 <= keep < count:
        return (2 * window - keep * window // count - into) / SECOND
    if before and keep >= count:
        wait = window - (keep - count) * window // before - into
        return wait / SECOND if wait > 0 else 0.0
    return 0.0


def log(limit: int, window: int, now: int, used: int, oldest: int, freeing: int, allowed: bool, cost: int) -> Decision:
    """The log, with `used` times in this window; `oldest` leaves it first, and with `freeing` there is room for `cost` (0: there is)."""
    wait = oldest + window - now if used else 0
    reset = wait / SECOND if wait > 0 else 0.0
    if allowed:
        return _new(Decision, (True, limit - used, reset, 0.0))
    wait = freeing + window - now
    return _new(Decision, (False, limit - used if used < limit else 0, reset, wait / SECOND if wait > 0 else 0.0))


def token_bucket(limit: int, window: int, debt: int, allowed: bool, cost: int) -> Decision:
    """The token bucket (GCRA) from which `debt` / `window` tokens are missing; `limit` come back in each window."""
    remaining = limit + -debt // window
    if remaining < 0:
        remaining = 0
    reset = -(((limit - remaining - 1) * window - debt) // limit) / SECOND if debt else 0.0
    if allowed:
        return _new(Decision, (True, remaining, reset, 0.0))
    retry = reset if remaining == cost - 1 else max(0, -(((limit - cost) * window - debt) // limit)) / SECOND
    return _new(Decision, (False, remaining, reset, retry))


def fixed(limit: int, left: int, count: int, allowed: bool) -> Decision:
    """A period that lasts `left` more, with `count` in it."""
    wait = left / SECOND
    return _new(Decision, (allowed, limit - count if count < limit else 0, wait if count else 0.0, 0.0 if allowed else wait))
