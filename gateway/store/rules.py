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
    remaining = max(0, ((limit - count) * window - before * (window - into)) // window)
    reset = sliding_growth(limit, window, into, count, before, remaining)
    if allowed:
        return _new(Decision, (True, remaining, reset, 0.0))
    retry = reset if remaining == cost - 1 else sliding_growth(limit, window, into, count, before, cost - 1)
    return _new(Decision, (False, remaining, reset, retry))


def sliding_growth(limit: int, window: int, into: int, count: int, before: int, remaining: int) -> float:
    """Seconds until more than `remaining` are left: in this window if some of `before` must fade, else in the next, as `count` does."""
    keep = limit - count - remaining - 1
    if keep >= 0 and before:
        wait = window - keep * window // before - into
        return wait / SECOND if wait > 0 else 0.0
    keep = limit - remaining - 1
    if count > keep >= 0:
        return (2 * window - keep * window // count - into) / SECOND
    return 0.0


def log(limit: int, window: int, now: int, used: int, oldest: int, freeing: int, allowed: bool, cost: int) -> Decision:
    """The log, with `used` times in this window; `oldest` leaves it first, and with `freeing` there is room for `cost` (0: there is)."""
    reset = max(0, oldest + window - now) / SECOND if used else 0.0
    if allowed:
        return _new(Decision, (True, limit - used, reset, 0.0))
    return _new(Decision, (False, max(0, limit - used), reset, max(0, freeing + window - now) / SECOND))


def token_bucket(limit: int, window: int, debt: int, allowed: bool, cost: int) -> Decision:
    """The token bucket (GCRA) from which `debt` / `window` tokens are missing; `limit` come back in each window."""
    room = limit * window - debt
    remaining = max(0, room // window)
    reset = -(((limit - remaining - 1) * window - debt) // limit) / SECOND if debt else 0.0
    if allowed:
        return _new(Decision, (True, remaining, reset, 0.0))
    return _new(Decision, (False, remaining, reset, max(0, -((room - cost * window) // limit)) / SECOND))


def fixed(limit: int, left: int, count: int, allowed: bool) -> Decision:
    """A period that lasts `left` more, with `count` in it."""
    reset = left / SECOND if count else 0.0
    return _new(Decision, (allowed, max(0, limit - count), reset, 0.0 if allowed else left / SECOND))
