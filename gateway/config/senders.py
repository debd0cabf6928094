"""The `senders` of the `jobs` block, read and checked: each a handler's class and its settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

from gateway.config import familiar
from gateway.config.document import Document
from gateway.config.position import Position
from gateway.config.shape import nearest
from gateway.config.validation import validate
from gateway.errors import Mistake
from gateway.jobs.handler import JobHandler, SenderSettings
from gateway.registry import Senders

PATH = ("jobs", "senders")


@dataclass(frozen=True, slots=True, eq=False)
class SenderEntry:
    """One sender of a policy; its name is the type of its jobs."""

    name: str
    settings: SenderSettings
    handler: type[JobHandler[Any]]
    position: Position = field(repr=False)

    def mistake(self, error: ValueError) -> Mistake:
        """What its class refuses of its settings."""
        why, _, hint = str(error).partition("; ")
        return self.position.mistake(why, hint)


def senders(document: Document, registry: Senders, folder: FilePath) -> tuple[SenderEntry, ...]:
    """Those without a mistake; the mistakes of the others are reported to the document."""
    written = document.at(PATH)
    found = [_sender(document, registry, folder, name, value) for name, value in written.items()] if isinstance(written, dict) else []
    return tuple(entry for entry in found if entry is not None)


def _sender(document: Document, registry: Senders, folder: FilePath, name: str, value: Any) -> SenderEntry | None:
    path = (*PATH, name)
    if name not in registry:
        meant = familiar.sender(str(name))
        hint = f'here it is called "{meant}"' if meant in registry else nearest(str(name), list(registry))
        document.report(path, f'no sender is called "{name}"', hint, at_key=True)
        return None
    try:
        handler = registry.load(name)
    except LookupError as error:
        document.report(path, str(error), at_key=True)
        return None
    except Exception as error:  # a sender's file may fail in any way
        document.report(path, f'sender "{name}" cannot be loaded: {type(error).__name__}: {error}', at_key=True)
        return None
    settings = validate(handler.settings_type, document, path, {} if value is None else value, folder)
    return None if settings is None else SenderEntry(name, settings, handler, document.position(path, at_key=True))
