"""How many cores this process may use: what `workers: auto` means."""

from __future__ import annotations

import math
import os
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")


def cores(mounted: Path = CGROUPS, own: Path = OWN) -> int:
    """Those it may be scheduled on, or fewer when its cgroup, or one around that, is given less of their time; one at least."""
    has_affinity = hasattr(os, "sched_getaffinity")  # Linux
    allowed = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    return max(1, math.ceil(min(allowed, quota(mounted, own))))


def quota(mounted: Path = CGROUPS, own: Path = OWN) -> float:
    """Cores' worth of time that the cgroups leave, version 2 or 1; infinite where nothing limits it."""
    found = [math.inf]
    for line in _read(own).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            found += [_max(folder / "cpu.max") for folder in _above(mounted, path)]
        elif "cpu" in controllers.split(","):
            for mount in (mounted / "cpu", mounted / controllers):
                found += [_cfs(folder) for folder in _above(mount, path)]
    return min(found)


def _above(mount: Path, path: str) -> list[Path]:
    """A group's folder and those around it. In a container the path may be the host's: then the mount itself is the group."""
    parts = Path(path.lstrip("/")).parts
    return [mount.joinpath(*parts[:n]) for n in range(len(parts) + 1)]


def _max(file: Path) -> float:
    """Version 2: `150000 100000`, or `max 100000` (Linux, Documentation/admin-guide/cgroup-v2.rst)."""
    time, _, period = _read(file).partition(" ")
    return _share(time, period)


def _cfs(folder: Path) -> float:
    """Version 1: -1 is no limit (Linux, Documentation/scheduler/sched-bwc.rst)."""
    return _share(_read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us"))


def _share(time: str, period: str) -> float:
    try:
        return int(time) / int(period) if int(time) > 0 else math.inf
    except (ValueError, ZeroDivisionError):
        return math.inf


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""
