"""What can be asked of a running gateway, by name; whoever asks need not know in which process the answer is made."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any

Arguments = Mapping[str, Any]
Operation = Callable[[Arguments], Awaitable[Any]]
"""Arguments and answer are JSON values, so that a supervisor can pass both on over a socket. Refuses with a ControlError."""

NONE: Arguments = MappingProxyType({})


class ControlError(Exception):
    """An operation's refusal: `status` is what HTTP would say of it, `why` is for the operator."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.why = why


class Control:
    """The operations of one gateway. Those of a process are offered where it is wired, before the first is called."""

    def __init__(self) -> None:
        self._operations: dict[str, Operation] = {}

    def offer(self, name: str, operation: Operation) -> None:
        """Make `operation` what `name` means from now on."""
        self._operations[name] = operation

    def offers(self, name: str) -> bool:
        return name in self._operations

    async def call(self, name: str, arguments: Arguments = NONE) -> Any:
        """The operation's answer. Raises ControlError, with 501 when there is no such operation here."""
        operation = self._operations.get(name)
        if operation is None:
            raise ControlError(501, f"this gateway does not offer {name}")
        return await operation(arguments)
