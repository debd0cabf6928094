"""What a worker is told when it starts: where to listen, and the policy in force, whatever stands in its file by now."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from gateway.config.policy import Policy
from gateway.server.listener import Address, Certificate, Listener


@dataclass(frozen=True, slots=True)
class Socket:
    """One that the supervisor has bound, and the worker was born with."""

    descriptor: int
    host: str
    port: int
    certificate: tuple[str, str, str] | None  # files of certificate and key, the oldest version of TLS

    def listener(self) -> Listener:
        """In the worker. Raises OSError when the certificate cannot be used any more."""
        certificate = None if self.certificate is None else Certificate(*self.certificate)
        return Listener(Address(self.host, self.port), certificate, socket.socket(fileno=self.descriptor))


def sockets(policy: Policy, listeners: Sequence[Listener]) -> tuple[Socket, ...]:
    """As `policy` lists what is bound as `listeners`."""
    found = []
    for settings, listener in zip(policy.server.listen, listeners, strict=True):
        tls = settings.tls
        certificate = None if tls is None else (str(tls.cert), str(tls.key), tls.min_version)
        found.append(Socket(listener.fileno(), listener.address.host, listener.address.port, certificate))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Orders:
    """Of one gateway: the same for each of its workers, at any time."""

    policy: str  # its path, as the command had it
    env_files: tuple[str, ...]
    metrics: str  # the folder where each worker has a file of its own for them
    sockets: tuple[Socket, ...]
    bound: Mapping[str, str]  # what cannot change without a restart
    balance: int  # the file that tells how many connections each worker has
    slots: int  # in it
    memory: str  # the socket of the process that hosts `memory://`

    @property
    def descriptors(self) -> list[int]:
        """What a worker must inherit to follow them."""
        return [self.balance, *(one.descriptor for one in self.sockets)]

    @property
    def values(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Orders:
        found = tuple(
            Socket(one["descriptor"], one["host"], one["port"], None if one["certificate"] is None else tuple(one["certificate"]))
            for one in values["sockets"]
        )
        return cls(**{**values, "env_files": tuple(values["env_files"]), "sockets": found})
