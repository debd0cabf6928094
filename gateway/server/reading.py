"""What came of reading a policy: as values that a worker can tell its supervisor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from gateway.config.policy import Policy
from gateway.config.ports import Admin
from gateway.watch import Stamps, stamps


@dataclass(frozen=True, slots=True)
class Reading:
    """With `mistakes` it was not taken, and only `files` says more."""

    mistakes: tuple[str, ...] = ()
    files: Stamps = field(default_factory=dict)  # all that it was made of, as they were when they were read
    refused: tuple[str, ...] = ()  # what of it needs a restart
    texts: Mapping[str, str] = field(default_factory=dict)  # as revisions keep them
    routes: int = 0

    @classmethod
    def of(cls, policy: Policy, files: Stamps, refused: tuple[str, ...] = ()) -> Reading:
        return cls((), files, refused, policy.texts, len(policy.routes))

    @property
    def values(self) -> dict[str, Any]:
        """As JSON values."""
        return {**asdict(self), "files": {str(path): stamp for path, stamp in self.files.items()}}

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Reading:
        files = {Path(path): None if stamp is None else tuple(stamp) for path, stamp in values["files"].items()}
        return cls(tuple(values["mistakes"]), files, tuple(values["refused"]), values["texts"], values["routes"])


def own_code(folder: Path) -> list[Path]:
    """Of the plugins and senders beside a policy in this folder."""
    return sorted([*(folder / "plugins").glob("*.py"), *(folder / "senders").glob("*.py")])


def files(policy: Policy) -> Stamps:
    """All that it is made of, as it is now."""
    return stamps([*policy.files, *own_code(policy.folder)])


NEEDS_RESTART = {name: ("server", name) for name in ("listen", "observe", "admin", "workers")} | {"sentry_dsn": ("telemetry", "sentry_dsn")}
"""Settings that are looked at once, when the process starts, and their places in the policy."""


def bound(policy: Policy) -> dict[str, str]:
    """What cannot change of the settings that need a restart, in a form to be compared; the admin port's token can."""
    values = {name: getattr(getattr(policy, block), setting) for name, (block, setting) in NEEDS_RESTART.items()}
    return {name: str(value.address if isinstance(value, Admin) else value) for name, value in values.items()}


def refused(policy: Policy, before: Mapping[str, str]) -> tuple[str, ...]:
    """What of the policy does not apply to a process that was started with what was `bound` `before`; what is not in there is no matter."""
    why = "only a restart changes this; the old value stays, all else was applied"
    return tuple(str(policy.mistake(NEEDS_RESTART[name], why)) for name, value in bound(policy).items() if before.get(name, value) != value)


@dataclass(frozen=True, slots=True)
class Terms:
    """What a supervisor goes by, of the policy in force."""

    lame_duck: float  # seconds
    drain: float  # seconds
    memory: int | None  # bytes, from which on a worker is replaced
    age: float | None  # seconds, as well
    level: str  # of the log
    admin: tuple[str, str | None] | None  # address and token of the admin port
    receiver: tuple[str | None, float]  # where metrics are sent, and the seconds between two times

    @classmethod
    def of(cls, policy: Policy) -> Terms:
        server = policy.server
        admin = None if server.admin is None else (server.admin.address, server.admin.token)
        level = policy.telemetry.log.level
        receiver = policy.telemetry.metrics.endpoint, policy.telemetry.metrics.interval
        return cls(server.timeouts.lame_duck, server.timeouts.drain, server.recycle.memory, server.recycle.age, level, admin, receiver)

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Terms:
        admin = None if values["admin"] is None else tuple(values["admin"])
        return cls(**{**values, "admin": admin, "receiver": tuple(values["receiver"])})
