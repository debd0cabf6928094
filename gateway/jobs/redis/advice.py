"""What a server's INFO says that an operator who keeps jobs there should hear."""

from __future__ import annotations

from collections.abc import Mapping


def warnings(info: Mapping[str, str]) -> tuple[str, ...]:
    found = []
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction" and (policy.startswith("allkeys") or info.get("maxmemory", "0") != "0"):
        found.append(f"its maxmemory-policy is {policy}: jobs may be thrown away when its memory is full; write noeviction")
    if info and info.get("aof_enabled", "0") != "1":
        found.append("its append-only file is off: jobs are lost when it ends; write appendonly yes")
    if info.get("connected_slaves", "0") != "0" and "min_slaves_good_slaves" not in info:
        found.append("it has replicas and takes writes that none of them has: a failover loses jobs; write min-replicas-to-write 1")
    return tuple(found)
