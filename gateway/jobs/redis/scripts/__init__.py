"""What runs inside Redis for jobs. Each script is `jobs.lua`, and the file of its name."""

from __future__ import annotations

from importlib.resources import files

from gateway.store.redis.scripts import Script, script

PREFIX = "{gateway:jobs:1}:"
"""Of all keys, which lie in one slot; 1 is the version of what is kept there."""

_COMMON = (files(__name__) / "jobs.lua").read_text("utf-8")


def _script(name: str) -> Script:
    return script(_COMMON + (files(__name__) / f"{name}.lua").read_text("utf-8"))


ENQUEUE = _script("enqueue")
CLAIM = _script("claim")
FINISH = _script("finish")
EXTEND = _script("extend")
SWEEP = _script("sweep")
DEPTHS = _script("depths")
PAGE = _script("page")
CHANGE = _script("change")
PURGE = _script("purge")
PAUSE = _script("pause")
ALL = (ENQUEUE, CLAIM, FINISH, EXTEND, SWEEP, DEPTHS, PAGE, CHANGE, PURGE, PAUSE)
