"""What a server's INFO says that an operator should hear."""

from __future__ import annotations

OLDEST = (6, 0)
"""Of Redis. Before 5 a script may not ask for the time and write; 6 is the oldest that is tested."""


def parsed(info: bytes) -> dict[str, str]:
    lines = (line.partition(":") for line in info.decode("utf-8", "replace").splitlines() if not line.startswith("#"))
    return {name: value for name, colon, value in lines if colon}


def version(info: dict[str, str]) -> str:
    """`Valkey 9.1.2` or `Redis 7.0.15`."""
    if "valkey_version" in info:
        return f"Valkey {info['valkey_version']}"
    return f"Redis {info['redis_version']}" if "redis_version" in info else "a server that does not say its version"


def is_read_only(info: dict[str, str]) -> bool:
    return info.get("role") == "slave" and info.get("slave_read_only", "1") == "1"


def warnings(info: dict[str, str]) -> tuple[str, ...]:
    found = []
    policy = info.get("maxmemory_policy", "noeviction")
    if policy.startswith("allkeys") and info.get("maxmemory", "0") != "0":
        found.append(f"its maxmemory-policy is {policy}: counts may be thrown away while they count; write volatile-ttl or noeviction")
    numbers = info.get("redis_version", "").split(".")
    if len(numbers) > 1 and all(number.isdigit() for number in numbers[:2]) and (int(numbers[0]), int(numbers[1])) < OLDEST:
        found.append(f"it is {version(info)}; Redis 6 or later, or Valkey, is what this was tested with")
    return tuple(found)
